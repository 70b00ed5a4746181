"""What every canonical table's module declares.

A transform is a pure function of frames. What does not belong here: reading or writing files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

Frames = Mapping[str, pl.DataFrame]
Scans = Mapping[str, pl.LazyFrame]
Built = tuple[pl.DataFrame, pl.DataFrame]

DROPPED_SCHEMA: dict[str, pl.DataType] = {
    "table": pl.String(),
    "source": pl.String(),
    "vintage": pl.String(),
    "reason": pl.String(),
    "rows": pl.Int32(),
}


@dataclass(frozen=True)
class Transform:
    """One canonical table and how it is made.

    Attributes:
        table: canonical table name (a key of ``ingest.schemas.CANONICAL``).
        inputs: source tables and canonical tables it reads.
        build: frames by name to (canonical frame, dropped rows as ``DROPPED_SCHEMA``).
        description: one or two sentences for the catalogue, with units and methods section.
        pieces: makes the same from inputs that are not in memory, as pieces of which no year is in two;
            None where the inputs are small.
    """

    table: str
    inputs: tuple[str, ...]
    build: Callable[[Frames], tuple[pl.DataFrame, pl.DataFrame]]
    description: str
    pieces: Callable[[Scans], Iterator[Built]] | None = None


def nothing_dropped() -> pl.DataFrame:
    """Return an empty frame of dropped rows."""
    return pl.DataFrame(schema=DROPPED_SCHEMA)


def count_dropped(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """Count dropped rows by reason.

    Args:
        frame: the dropped rows, with columns ``source, vintage, reason``.
        table: the canonical table they did not reach.
    """
    counted = frame.group_by("source", "vintage", "reason").agg(rows=pl.len().cast(pl.Int32))
    return counted.with_columns(table=pl.lit(table)).select(list(DROPPED_SCHEMA)).sort("source", "vintage", "reason")


def of_years(scans: Scans, years: Sequence[int]) -> dict[str, pl.DataFrame]:
    """Read the rows of some years of every input."""
    return {name: scan.filter(pl.col("year").is_in(years)).collect() for name, scan in scans.items()}


def together(dropped: list[pl.DataFrame]) -> pl.DataFrame:
    """Add up what the pieces of a table left out."""
    counts = pl.concat([nothing_dropped(), *dropped]).group_by("table", "source", "vintage", "reason")
    added = counts.agg(pl.col("rows").sum()).select(list(DROPPED_SCHEMA))
    return added.sort("table", "source", "vintage", "reason")
