"""Canonical table ``criticality_score``: the EU's published supply risk and economic importance.

What belongs here: scores as published. What does not: scores that this project computes.
"""

from __future__ import annotations

import polars as pl

from ingest.mapping import split_dropped, with_figures, with_mapping
from ingest.transforms.base import Frames, Transform

TABLE = "criticality_score"
# In this table a dash is a material that the year's study did not assess, not a zero.
_NOT_ASSESSED = "-"
_COLUMNS = ("material", "assessment_year", "indicator", "value", "token", "source", "vintage", "evidence")


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row per material, assessment year and indicator (``supply_risk``, ``economic_importance``).

    Raises:
        UnmappedValue: a material name that ``eu_crm_material_map.csv`` does not cover.
        SourceChanged: a score that is no figure.
    """
    scores = frames["raw_eu_crm__scores"].unpivot(
        on=["supply_risk", "economic_importance"],
        index=["source", "vintage", "name", "year"],
        variable_name="indicator",
        value_name="printed",
    )
    scores = with_mapping(scores, "eu_crm_material_map.csv", ["name"], "EU material name")
    unassessed = pl.when(pl.col("printed") == _NOT_ASSESSED).then(pl.lit("not assessed that year"))
    scores = scores.with_columns(drop_reason=pl.coalesce("drop_reason", unassessed), evidence=pl.lit("reported"))
    kept, dropped = split_dropped(scores, TABLE)
    kept = with_figures(kept, "printed").rename({"year": "assessment_year"})
    return kept.select(_COLUMNS), dropped


TRANSFORM = Transform(
    table=TABLE,
    inputs=("raw_eu_crm__scores",),
    build=build,
    description="Supply risk and economic importance as the EU published them 2011-2023 (thresholds 1.0 and 2.8; "
    "methods section 5).",
)
