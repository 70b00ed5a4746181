"""Series that charts of a material's page draw: shares of imports by year, and the ways into an importer.

What belongs here: compact rows from the exposure marts. What does not: charts.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from website import words
from website.marts import Marts

SUPPLIERS = 3
SELLERS = 8

Key = tuple[str, str, str]


def import_series(marts: Marts) -> dict[Key, dict[str, Any]]:
    """Return by importer, material and stage: years, shares of the largest suppliers, concentration, and a note.

    Suppliers are the largest sellers of the newest year. Shares are percent of imports, HHI 0 to 10,000, its lower
    bounds left out where they are the upper ones; a year without a figure is None. The note says basis, source and
    evidence by year.
    """
    found: dict[Key, dict[str, Any]] = {}
    bases: dict[Key, list[tuple[int, str]]] = defaultdict(list)
    for importer, material, stage, year, low, high, basis, source, grade in marts.db.execute(_YEARS).fetchall():
        key = (importer, material, stage)
        item = found.setdefault(key, {"y": [], "s": [], "l": [], "h": [], "note": ""})
        item["y"].append(year)
        item["l"].append(None if low is None else round(low))
        item["h"].append(None if high is None else round(high))
        if basis:
            bases[key].append((year, f"{basis} ({source}, {grade})"))
    places = {key: {year: place for place, year in enumerate(item["y"])} for key, item in found.items()}
    for importer, material, stage, country, years, shares in marts.db.execute(_SHARES, [SUPPLIERS]).fetchall():
        key = (importer, material, stage)
        if key not in found:
            continue
        line: list[float | None] = [None] * len(found[key]["y"])
        for year, share in zip(years, shares, strict=True):
            if year in places[key] and share is not None:
                line[places[key][year]] = round(100 * share, 1)
        found[key]["s"].append([country, line])
    for item in found.values():
        if item["l"] == item["h"]:  # complete lists of partners leave no doubt; not said twice
            item["l"] = []
    for key, pairs in bases.items():
        found[key]["note"] = f"Basis: {words.runs(pairs)}."
    return found


def sellers_and_ways(marts: Marts) -> dict[Key, dict[str, Any]]:
    """Return by importer, material and stage who sells, and how much of it passed through the lead processor.

    Each seller is ``[code, share of supply, part of it through the lead processor]`` in percent; ``+`` sums up the
    smaller ones. They add up to all supply.
    """
    found: dict[Key, dict[str, Any]] = {}
    for importer, material, stage, lead, grade, country, share, through in marts.db.execute(
        _WAYS, {"year": marts.year}
    ).fetchall():
        item = found.setdefault((importer, material, stage), {"through": lead, "evidence": grade, "sellers": []})
        sellers = item["sellers"]
        if len(sellers) < SELLERS:
            sellers.append([country, 100 * share, 100 * through])
        else:
            if len(sellers) == SELLERS:
                sellers.append(["+", 0.0, 0.0])
            sellers[-1][1] += 100 * share
            sellers[-1][2] += 100 * through
    for item in found.values():
        item["sellers"] = [[code, round(share, 2), round(through, 2)] for code, share, through in item["sellers"]]
    return found


_YEARS = """
select importer, material, stage, year, hhi_low, hhi_high, share_basis, concat_ws(' ', share_source, share_vintage),
    evidence
from mart_dependence_by_stage order by importer, material, stage, year
"""

_SHARES = """
with last as (
    select importer, material, stage, max(year) as year from mart_supplier_exposure
    where import_share is not null group by all
),
ranked as (
    select e.importer, e.material, e.stage, e.country,
        row_number() over (
            partition by e.importer, e.material, e.stage order by e.import_share desc, e.country) as place
    from mart_supplier_exposure as e join last using (importer, material, stage, year)
    where e.import_share is not null and e.country not in ('OTH', 'WLD')
)
select e.importer, e.material, e.stage, e.country, list(e.year order by e.year), list(e.import_share order by e.year)
from mart_supplier_exposure as e join ranked as r using (importer, material, stage, country)
where r.place <= ? and e.import_share is not null
group by e.importer, e.material, e.stage, e.country, r.place
order by e.importer, e.material, e.stage, r.place
"""

_WAYS = """
select e.importer, e.material, e.stage, d.top_processor, d.traced_evidence, e.country, e.face_value_share,
    coalesce(v.share, 0)
from mart_supplier_exposure as e
join mart_dependence_by_stage as d using (importer, material, stage, year)
left join mart_exposure_via as v
    on v.importer = e.importer and v.material = e.material and v.stage = e.stage and v.year = e.year
    and v.country = d.top_processor and v.via = e.country
where e.year = $year and d.top_processor is not null and e.face_value_basis = 'traced' and e.face_value_share > 0
order by e.importer, e.material, e.stage, e.face_value_share desc, e.country
"""
