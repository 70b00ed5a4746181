"""Stockpiles: nominal days of cover against usable ones.

What belongs here: choosing rows. What does not: how cover is computed (``tracing``).
"""

from __future__ import annotations

from typing import Any

from website.marts import Row, by
from website.render import Site


def write(site: Site) -> None:
    """Write ``stockpile.html``."""
    marts = site.marts
    rows = marts.rows(
        "select c.* from mart_stockpile_cover as c left join dim_stage as s on s.stage = c.form "
        "where entry = 'stock' qualify year = max(year) over (partition by holder, material, form) "
        "order by holder, material, s.position, form"
    )
    programmes = marts.rows("from mart_stockpile_cover where entry <> 'stock' order by holder, year, programme")
    holders = by(rows, "holder")
    charts = {f"days-{holder}": {"rows": _days(site, found)} for holder, found in holders.items()}
    site.page(
        "stockpile.html",
        "stockpile.html",
        holders=holders,
        programmes=programmes,
        held=any(row["holding_t"] is not None for row in rows),
        drawn={holder: bool(charts[f"days-{holder}"]["rows"]) for holder in holders},
        page={"charts": charts},
    )


def _days(site: Site, rows: list[Row]) -> list[dict[str, Any]]:
    """Return days of a holding where it is known, else of the announced target, per material and form."""
    marts, found = site.marts, []
    for row in rows:
        held = row["nominal_days"] is not None and row["usable_days"] is not None
        nominal, usable = ("nominal_days", "usable_days") if held else ("target_days", "target_usable_days")
        if row[nominal] is None or row[usable] is None:
            continue
        name, form = marts.materials.get(row["material"], row["material"]), str(row["form"])
        found.append(
            {
                "label": f"{name}|{marts.stages.get(form, form).lower()}, {'held' if held else 'target'}",
                "nominal": round(row[nominal], 1),
                "usable": round(row[usable], 1),
                "low": None if row[f"{usable}_low"] is None else round(row[f"{usable}_low"], 1),
                "high": None if row[f"{usable}_high"] is None else round(row[f"{usable}_high"], 1),
                "evidence": row["evidence"],
            }
        )
    return found
