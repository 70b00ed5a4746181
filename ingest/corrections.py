"""Publishers' misprints, corrected as data with a guard.

What belongs here: applying ``reference/corrections.csv`` to a source table. What does not: any
correction itself. A row of that file names the table and the rows (``where``, for example
``raw_usgs_mcs__world: commodity=Gemanium && measure=production``), the ``column``, the bad value it
expects and the value that replaces it. Once the publisher mends the file the expected value is
gone and the run stops, so that no correction outlives its misprint.
"""

from __future__ import annotations

from functools import reduce

import polars as pl

from ingest.errors import SourceChanged
from ingest.mapping import reference

_FILE = "corrections.csv"


def _selected(where: str) -> pl.Expr:
    """Turn ``column=value && column=value`` into a filter; an empty value stands for null."""
    parts = [part.strip().split("=", 1) for part in where.split("&&")]
    return pl.all_horizontal(_equals(column, value) for column, value in parts)


def _equals(column: str, value: str | None) -> pl.Expr:
    return pl.col(column).cast(pl.String).eq_missing(pl.lit(value or None, dtype=pl.String))


def _apply(frame: pl.DataFrame, row: dict[str, str | None]) -> pl.DataFrame:
    where, column = str(row["where"]).split(":", 1)[1], str(row["column"])
    chosen = _selected(where)
    found = frame.filter(chosen)[column].cast(pl.String).unique().to_list()
    if found != [row["expect"] or None]:
        raise SourceChanged(
            f"{row['source']} {row['vintage']}: the correction of {column} where{where} expects "
            f"{row['expect']!r} and finds {found or 'no row'}. Remove or renew it in ingest/reference/{_FILE}."
        )
    new = pl.lit(row["replace"] or None, dtype=pl.String)
    if frame.schema[column] == pl.Boolean():
        new = new == "true"
    return frame.with_columns(pl.when(chosen).then(new).otherwise(pl.col(column)).alias(column))


def apply_corrections(frame: pl.DataFrame, corrections: pl.DataFrame) -> pl.DataFrame:
    """Apply corrections in their order.

    Args:
        frame: the source table; corrected columns are text or boolean.
        corrections: the columns of ``reference/corrections.csv``, all text.

    Raises:
        SourceChanged: a correction finds no row, or not the value it expects.
    """
    return reduce(_apply, corrections.iter_rows(named=True), frame)


def corrected(frame: pl.DataFrame, source: str, vintage: str, table: str) -> pl.DataFrame:
    """Apply every recorded correction of one source table and vintage.

    Args:
        frame: the source table; corrected columns are text or boolean.
        source: publisher's slug.
        vintage: edition.
        table: name of the source table.

    Raises:
        SourceChanged: a correction finds no row, or not the value it expects.
    """
    named = pl.col("where").str.starts_with(f"{table}:")
    ours = (pl.col("source") == source) & (pl.col("vintage") == vintage) & named
    return apply_corrections(frame, reference(_FILE).filter(ours))
