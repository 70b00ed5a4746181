"""A page per country: what it depends on, who depends on it.

What belongs here: choosing what a country's page shows. What does not: HTML.
"""

from __future__ import annotations

from website.marts import NEWEST_LISTS, Row, by
from website.overview import part
from website.render import Site

DEPENDENTS = 5


def write(site: Site) -> None:
    """Write ``countries.html`` and a page per importer."""
    marts = site.marts
    dependents = by(marts.rows(_DEPENDENTS, {"year": marts.year, "shown": DEPENDENTS}), "country")
    output = by(marts.rows(_OUTPUT), "country") if marts.has("mart_stage_output", "mart_stage_concentration") else {}
    index: list[Row] = []
    for code in marts.importers:
        shown = part(site, code)
        counts, hidden = site.parts[code]["counts"], site.parts[code]["hidden"]
        site.page(
            f"country/{code}.html",
            "country.html",
            importer=code,
            # The same part as on the first page, from a folder deeper.
            shown=shown["html"].replace('href="material/', 'href="../material/'),
            hidden=hidden,
            year=marts.year,
            dependents=dependents.get(code, []),
            output=output.get(code, []),
            page={"charts": shown["charts"], "importer": code},
        )
        index.append(
            {
                "importer": code,
                "counts": counts,
                "hidden": hidden[:1],
                "dependents": len(dependents.get(code, [])),
                "why": "nothing beyond the customs label" if counts["traced"] else "no stage of it is seen through",
            }
        )
    site.page("countries.html", "countries.html", rows=index)


# Of every material and stage: how many importers have this country in their supply, how many to more than half, and
# the largest importers among them.
_DEPENDENTS = """
with exposed as (
    select e.country, e.material, e.stage, e.importer, e.processed_in_share as share, e.processed_in_share_low as low,
        e.processed_in_share_high as high, e.traced_evidence, d.imports_t,
        d.top_processor = e.country as is_lead
    from mart_supplier_exposure as e
    join mart_dependence_by_stage as d using (importer, material, stage, year)
    where e.year = $year and e.processed_in_share >= 0.1 and e.importer <> e.country
        and e.country not in ('OTH', 'WLD', 'SECONDARY', 'UNEXPLAINED')
)
select
    country, material, stage, count(*) as importers, count(*) filter (is_lead) as as_lead,
    count(*) filter (share > 0.5) as over_half, max(traced_evidence) as evidence,
    list({'importer': importer, 'share': share, 'low': low, 'high': high}
        order by imports_t desc nulls last, importer)[1:$shown] as largest
from exposed as e join dim_stage as s using (stage)
group by country, material, stage, s.position
order by country, over_half desc, importers desc, material, s.position
"""

_OUTPUT = f"""
select o.country, o.material, o.stage, o.year, o.share, o.production_t, o.production_t_low, o.production_t_high,
    o.token, o.basis, o.evidence, o.source, o.vintage
from mart_stage_output as o
join ({NEWEST_LISTS}) as k using (material, stage, year, source)
join dim_stage as s using (stage)
where not o.is_total and o.form = 'all' and o.share >= 0.01
order by o.country, o.share desc, o.material, s.position
"""
