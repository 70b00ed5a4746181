"""Output of years of which the sources hold none, so that every year of a long release has chains to look through.

What belongs here: those generated rows, in the bench's own home only. What does not: any figure that is published.

The world tables that the project reads begin in 2021. Older years of real trade are not traced: net exports alone
are no output. To measure what 28 traced years cost, the rows of the newest whole year are repeated for every older
year with ``token`` ``generated`` and evidence ``assumed``.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

TOKEN = "generated"  # noqa: S105
PATTERN_YEAR = 2024


def fill_older_years(canonical: Path, years: list[int]) -> list[int]:
    """Add generated rows to canonical ``production`` for the years that it lacks; return those years."""
    path = canonical / "production.parquet"
    production = pl.read_parquet(path)
    known = set(production["year"])
    older = [year for year in years if year not in known]
    pattern = production.filter((pl.col("year") == PATTERN_YEAR) & (pl.col("source") == "usgs_mcs"))
    pattern = pattern.filter(pl.col("vintage") == pl.col("vintage").max())
    rows = [
        pattern.with_columns(year=pl.lit(year, pl.Int32), token=pl.lit(TOKEN), evidence=pl.lit("assumed"))
        for year in older
    ]
    pl.concat([production, *rows]).write_parquet(path, compression="zstd")
    return older
