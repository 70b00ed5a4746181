"""Canonical table ``economy``: gross domestic product by country and year.

What belongs here: countries, the world and the European Union. What does not: the publisher's other
groups of countries, which are dropped and counted.
"""

from __future__ import annotations

import polars as pl

from ingest.mapping import split_dropped, with_iso3_from_code
from ingest.transforms.base import Frames, Transform

TABLE = "economy"


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return GDP in current US dollars by country and year, WLD and EUU included.

    Raises:
        UnmappedValue: a code that ``worldbank_groups.csv`` does not cover.
    """
    frame = with_iso3_from_code(frames["raw_worldbank__gdp"], "worldbank_groups.csv", "World Bank code")
    kept, dropped = split_dropped(frame.with_columns(evidence=pl.lit("reported")), TABLE)
    return kept.select("iso3", "year", "gdp_usd", "source", "vintage", "evidence"), dropped


TRANSFORM = Transform(
    table=TABLE,
    inputs=("raw_worldbank__gdp",),
    build=build,
    description="Gross domestic product in current US dollars, by country and year, with WLD and EUU totals.",
)
