"""Mappings and guards that are data: reading them and holding a frame to them.

What belongs here: joining a reference file complete-or-fail, and taking the rows it drops on
purpose out with their reason. What does not: any mapping itself (``ingest/reference``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import polars as pl

from ingest.countries import countries
from ingest.errors import SourceChanged, UnmappedValue
from ingest.home import REFERENCE
from ingest.tokens import read_figure
from ingest.transforms.base import count_dropped


@cache
def reference(file: str) -> pl.DataFrame:
    """Return ``ingest/reference/<file>`` with every column as text, an empty field as null."""
    return pl.read_csv(REFERENCE / file, infer_schema=False, null_values=[""])


def read_csv_text(path: Path, columns: Sequence[str], *, encoding: str = "utf-8") -> pl.DataFrame:
    """Read a publisher's csv with all columns as text.

    Args:
        path: the file.
        columns: the header it must have, in any order.
        encoding: Python name of the file's encoding.

    Returns:
        Those columns; outer blanks and line breaks inside a cell become single spaces.

    Raises:
        SourceChanged: another header, or another encoding.
    """
    try:
        text = path.read_bytes().decode(encoding)
    except UnicodeDecodeError as error:
        raise SourceChanged(f"{path.name}: not {encoding} ({error.reason} at byte {error.start}).") from None
    frame = pl.read_csv(text.encode(), infer_schema=False, null_values=[""])
    if set(frame.columns) != set(columns):
        raise SourceChanged(f"{path.name}: expected the columns {list(columns)}, found {frame.columns}.")
    return frame.select(pl.col(name).str.replace_all(r"\s+", " ").str.strip_chars() for name in columns)


def with_mapping(frame: pl.DataFrame, file: str, on: Sequence[str], what: str, *, many: bool = False) -> pl.DataFrame:
    """Add the columns of a reference file, complete or fail.

    Args:
        frame: has the columns ``on``.
        file: csv under ``ingest/reference``; its ``source`` and ``note`` columns stay behind.
        on: join columns; a null matches a null.
        what: how to name the values in the error.
        many: one row may become several (the file holds several rows per combination of ``on``).

    Returns:
        The frame with the file's other columns.

    Raises:
        UnmappedValue: a combination that the file does not hold.
    """
    mapping = reference(file).drop("source", "note", strict=False)
    lost = frame.join(mapping, on=on, how="anti", nulls_equal=True).select(on).unique(maintain_order=True)
    if lost.height:
        raise UnmappedValue(what, [" | ".join(map(str, row)) for row in lost.iter_rows()], file)
    return frame.join(
        mapping, on=on, how="left", nulls_equal=True, validate="m:m" if many else "m:1", maintain_order="left"
    )


def with_iso3_from_code(frame: pl.DataFrame, file: str, what: str) -> pl.DataFrame:
    """Add ``iso3`` and ``drop_reason`` from a publisher's own country codes in ``code``.

    Args:
        frame: has ``code``; most codes are ISO alpha-3 already.
        file: csv under ``ingest/reference`` with ``code, iso3, drop_reason`` for the others.
        what: how to name the codes in the error.

    Raises:
        UnmappedValue: a code that is neither ISO alpha-3 nor in the file.
    """
    special = reference(file).select("code", "iso3", "drop_reason")
    out = frame.join(special, on="code", how="left", validate="m:1", maintain_order="left")
    out = out.with_columns(iso3=pl.when(pl.col("drop_reason").is_null()).then(pl.coalesce("iso3", "code")))
    known = countries()["iso3"].implode()
    lost = out.filter(pl.col("drop_reason").is_null() & ~pl.col("iso3").is_in(known))["code"].unique().sort()
    if len(lost):
        raise UnmappedValue(what, lost.to_list(), file)
    return out


def with_figures(frame: pl.DataFrame, column: str, *, ceiling: float | None = None, unit: str = "") -> pl.DataFrame:
    """Read a column of printed figures.

    Args:
        frame: has ``column``, figures as printed.
        column: its name.
        ceiling: largest possible value, in the printed unit.
        unit: sign that stands behind each figure (``%``), not part of the number.

    Returns:
        The frame with ``value``, ``low``, ``high`` and ``token``, in the printed unit.

    Raises:
        SourceChanged: a token of no known form.
    """
    printed = frame[column].unique().drop_nulls().to_list()
    figures = [read_figure(text.removesuffix(unit), ceiling=ceiling, where=column) for text in printed]
    table = pl.DataFrame(
        [(text, figure.value, figure.low, figure.high, text) for text, figure in zip(printed, figures, strict=True)],
        schema={column: pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "token": pl.String},
        orient="row",
    )
    return frame.join(table, on=column, how="left", validate="m:1", maintain_order="left")


def split_dropped(frame: pl.DataFrame, table: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take out the rows whose ``drop_reason`` is given.

    Args:
        frame: has ``drop_reason``, ``source`` and ``vintage``.
        table: the canonical table they do not reach.

    Returns:
        The kept rows without ``drop_reason``, and the dropped ones counted by reason.
    """
    gone = frame.filter(pl.col("drop_reason").is_not_null()).rename({"drop_reason": "reason"})
    return frame.filter(pl.col("drop_reason").is_null()).drop("drop_reason"), count_dropped(gone, table)


def one_of(column: str, known: Sequence[str], frame: pl.DataFrame, where: str) -> None:
    """Hold a column to the values its reader knows.

    Raises:
        SourceChanged: another value, or none.
    """
    odd = frame.filter(~pl.col(column).is_in(known, nulls_equal=True) | pl.col(column).is_null())
    if odd.height:
        raise SourceChanged(f"{where}: {column} {odd[column][0]!r} is not one of {list(known)}.")
