"""Criticality: supply risk against importance, on face value and traced.

What belongs here: choosing rows. What does not: scores (``tracing``).
"""

from __future__ import annotations

from typing import Any

from website.marts import Row, by
from website.render import Site


def write(site: Site) -> None:
    """Write ``criticality.html``."""
    marts = site.marts
    newest = marts.rows(
        "select c.*, s.position from mart_criticality as c join dim_stage as s using (stage) where basis = 'network' "
        "qualify year = max(year) over (partition by economy) order by economy, material, s.position"
    )
    study = marts.rows(
        "select c.*, s.position from mart_criticality as c join dim_stage as s using (stage) "
        "where basis = 'eu_study' order by material, s.position"
    )
    checks = (
        {row["material"]: row for row in marts.rows("from mart_criticality_check order by material")}
        if marts.has("mart_criticality_check")
        else {}
    )
    economies = by(newest, "economy")
    scored = [row for row in newest if row["sr_face_value"] is not None and row["economic_importance"] is not None]
    site.page(
        "criticality.html",
        "criticality.html",
        economies=economies,
        study=study,
        checks=checks,
        page={"charts": {"criticality": {"rows": _points(site, scored, study)}}},
    )


def _points(site: Site, scored: list[Row], study: list[Row]) -> list[dict[str, Any]]:
    """Return the bottleneck stage of each material: traced ones as arrows, those of the EU study as dots."""
    marts = site.marts
    arrows = [row for row in scored if row["is_bottleneck_traced"] or row["is_bottleneck"]]
    highest: dict[str, Row] = {}
    for row in arrows:
        best = highest.get(row["material"])
        if best is None or (row["sr_traced"] or 0) > (best["sr_traced"] or 0):
            highest[row["material"]] = row
    dots = [
        row
        for row in study
        if row["is_bottleneck"]
        and row["material"] not in highest
        and row["sr_face_value"] is not None
        and row["economic_importance"] is not None
    ]
    return [
        {
            "label": marts.materials.get(row["material"], row["material"]),
            "stage": marts.stages[row["stage"]],
            "importance": round(row["economic_importance"], 3),
            "face": round(row["sr_face_value"], 3),
            "traced": None if row["sr_traced"] is None else round(row["sr_traced"], 3),
            "year": row["year"],
        }
        for row in [*highest.values(), *dots]
    ]
