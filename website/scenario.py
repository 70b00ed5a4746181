"""Scenarios: what an importer loses when a country stops a stage.

What belongs here: choosing rows. What does not: what a scenario is (``ingest``) and what it costs (``tracing``).
"""

from __future__ import annotations

from website.marts import Row, by
from website.packing import one
from website.render import Site

SMALLEST = 0.1


def write(site: Site) -> None:
    """Write ``scenarios.html`` and a data script per importer."""
    marts = site.marts
    found: dict[str, list[Row]] = by(marts.rows(_LOSSES, {"smallest": SMALLEST}), "importer")
    for rows in found.values():
        for row in rows:
            row["name"] = _name(site, row)
    for code in marts.importers:
        html = site.fragment("_losses.html", rows=found.get(code, []))
        site.script(f"data/scenario/{code}.js", f"scenario/{code}", one({"html": html}))
    site.page(
        "scenarios.html",
        "scenarios.html",
        rows=found.get(site.default, []),
        smallest=SMALLEST,
        page={"importer": site.default, "charts": {}},
    )


def _name(site: Site, row: Row) -> str:
    """Say in words what stops."""
    actor = site.marts.countries.get(row["actor"], row["actor"])
    stage = site.marts.stages.get(row["stopped"], "").lower()
    if row["kind"] == "ban":
        return f"{actor} exports none" + (f" at stage {stage}" if stage else " at any stage")
    if row["kind"] == "n_minus_1":
        return f"All output at stage {stage} in {actor}, the largest producer, is lost"
    if row["kind"] == "closure":
        return f"{actor} ships on nothing that it imported"
    return str(row["title"])


# Bans of single stages are left to the mart: the ban at every stage holds the largest loss of them.
_LOSSES = """
with named as (
    select scenario, material, any_value(kind) as kind, any_value(title) as title, any_value(status) as status,
        case when count(distinct stage) = 1 then any_value(stage) else 'several' end as stopped,
        any_value(confidence) as confidence
    from dim_scenario group by scenario, material
)
select d.*, n.kind, n.title, n.status, n.stopped, n.confidence
from mart_disruption as d
join named as n on n.scenario = d.scenario and (n.material = d.material or n.material = 'all')
join dim_stage as s on s.stage = d.stage
where d.loss_high >= $smallest and (n.kind <> 'ban' or n.stopped = 'all')
qualify row_number() over (partition by d.scenario, d.importer, d.material, d.stage order by n.material) = 1
order by d.importer, d.loss_low desc nulls last, d.loss_high desc, d.material, s.position, d.scenario
"""
