"""Canonical table ``governance``: the six Worldwide Governance Indicators.

What belongs here: country codes and indicator slugs. What does not: the 0-10 rescaling of methods
section 5, which is computed where supply risk is.
"""

from __future__ import annotations

import polars as pl

from ingest.mapping import split_dropped, with_iso3_from_code
from ingest.transforms.base import Frames, Transform

TABLE = "governance"
_COLUMNS = ("iso3", "year", "indicator", "estimate", "std_error", "source", "vintage", "evidence")


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return estimates by country, year and indicator (about -2.5 to 2.5, 2.5 = best).

    ``indicator`` keeps the publisher's letters: cc control of corruption, ge government
    effectiveness, pv political stability, rl rule of law, rq regulatory quality, va voice.

    Raises:
        UnmappedValue: a country code that ``wgi_country_codes.csv`` does not cover.
    """
    frame = with_iso3_from_code(frames["raw_wgi__estimates"], "wgi_country_codes.csv", "WGI country code")
    unprinted = pl.when(pl.col("estimate").is_null()).then(pl.lit("no estimate printed"))
    frame = frame.with_columns(evidence=pl.lit("estimated"), drop_reason=pl.coalesce("drop_reason", unprinted))
    kept, dropped = split_dropped(frame, TABLE)
    return kept.select(_COLUMNS), dropped


TRANSFORM = Transform(
    table=TABLE,
    inputs=("raw_wgi__estimates",),
    build=build,
    description="Worldwide Governance Indicators, six estimates per country and year on about -2.5 to 2.5 "
    "(2.5 = best), used to weight supply concentration (methods section 5).",
)
