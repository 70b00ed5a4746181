"""What every canonical table's module declares.

A transform is a pure function of frames. What does not belong here: reading or writing files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

Frames = Mapping[str, pl.DataFrame]

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
    """

    table: str
    inputs: tuple[str, ...]
    build: Callable[[Frames], tuple[pl.DataFrame, pl.DataFrame]]
    description: str


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
