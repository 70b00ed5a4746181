"""Canonical table ``end_use``: what each material is used for in the EU, and in which sectors.

What belongs here: shares of use with the sector's value added. What does not: economic importance,
which is computed from them (methods section 5).
"""

from __future__ import annotations

import polars as pl

from ingest.mapping import split_dropped, with_figures, with_mapping
from ingest.transforms.base import Frames, Transform
from ingest.transforms.shares import check_sums

TABLE = "end_use"
_COLUMNS = (
    "economy",
    "material",
    "application",
    "sector",
    "share",
    "value_added_usd",
    "value_added_eur",
    "source",
    "vintage",
    "evidence",
)


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the share (0..1) of each application, its NACE division and that division's value added in euro.

    A use without a division is in sector ``unallocated``; a share printed ``>0%`` is null. Rows that
    repeat another in every column are dropped: with them the material's shares exceed 1.

    Raises:
        UnmappedValue: a material name that ``eu_crm_material_map.csv`` does not cover.
        SourceChanged: shares of a material do not add up to 1 and ``eu_crm_known_gaps.csv`` does not know it.
    """
    uses = with_mapping(frames["raw_eu_crm__end_uses"], "eu_crm_material_map.csv", ["name"], "EU material name")
    uses = with_figures(uses, "share", ceiling=100, unit="%")
    repeat = pl.when(~pl.struct("name", "application", "share", "sector", "vintage").is_first_distinct()).then(
        pl.lit("repeats another row")
    )
    uses = uses.with_columns(drop_reason=pl.coalesce("drop_reason", repeat), share=pl.col("value") / 100)
    kept, dropped = split_dropped(uses, TABLE)
    check_sums(kept.with_columns(scope=pl.lit("use"), step=pl.lit(None, pl.String)))
    kept = kept.with_columns(
        economy=pl.lit("EUU"),
        sector=pl.col("sector").fill_null("unallocated"),
        value_added_usd=pl.lit(None, pl.Float64),
        value_added_eur=pl.col("value_added_meur") * 1e6,
        evidence=pl.lit("reported"),
    )
    return kept.select(_COLUMNS), dropped


TRANSFORM = Transform(
    table=TABLE,
    inputs=("raw_eu_crm__end_uses",),
    build=build,
    description="Shares of end uses in the EU by application and NACE division, with the division's value added in "
    "euro: the A and Q of economic importance (methods section 5).",
)
