"""Canonical ``secondary_supply``: recycled supply by the stage at which it enters the market.

What belongs here: US recovery from scrap as the salient statistics print it, latest edition of each
year. What does not: scrap that never left the mills, refinery output from scrap that a world table
already holds (both dropped with a reason), trade in scrap (``stage_flow``).
"""

from __future__ import annotations

import polars as pl

from ingest.mapping import split_dropped, with_mapping
from ingest.transforms.base import Frames, Transform

TABLE = "secondary_supply"


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return recycled supply (tonnes contained; quantity null where withheld) and the dropped rows.

    Raises:
        UnmappedValue: a line of recycled production that ``secondary_supply_map.csv`` does not hold.
    """
    lines = frames["us_salient"].filter(statistic="production", stage="secondary", unit="t")
    lines = lines.filter(pl.col("vintage") == pl.col("vintage").max().over("commodity", "detail", "year", "source"))
    rows = with_mapping(
        lines.drop("material", "stage"), "secondary_supply_map.csv", ["commodity", "detail"], "line of recycled output"
    )
    kept, dropped = split_dropped(rows, TABLE)
    table = kept.select(
        "material",
        "stage",
        "form",
        "year",
        "token",
        "source",
        "vintage",
        "evidence",
        iso3=pl.lit("USA"),
        quantity_t="value",
        quantity_t_low="value_low",
        quantity_t_high="value_high",
    )
    return table, dropped


TRANSFORM = Transform(
    table=TABLE,
    inputs=("us_salient",),
    build=build,
    description=(
        "Recycled supply of the USA by material and the stage at which it enters the market, tonnes contained, from "
        "the MCS salient statistics; world figures by country are not among the sources (methods, section 3)."
    ),
)
