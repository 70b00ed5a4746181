"""Tables on the terminal and in files: one frame, five formats.

What belongs here: how figures look. What does not: which figures.
"""

from __future__ import annotations

import io
import json
import sys
from datetime import date
from typing import Any

import polars as pl

from ingest.errors import BadInput

FORMATS = ("table", "csv", "json", "parquet", "xlsx")


def write_frame(frame: pl.DataFrame, form: str) -> None:
    """Write a frame to stdout.

    Args:
        frame: what to show.
        form: ``table``, ``csv``, ``json`` (a list of objects) ``parquet`` or ``xlsx`` (bytes; redirect it to a file).

    Raises:
        BadInput: bytes would go to a terminal.
    """
    if form == "table":
        print_table(frame)
    elif form == "csv":
        sys.stdout.write(flat(frame).write_csv())
    elif form == "json":
        json.dump(frame.to_dicts(), sys.stdout, indent=1, default=_plain)
        sys.stdout.write("\n")
    else:
        if sys.stdout.isatty():
            raise BadInput(f"{form} is binary; redirect it: oretrace query ... --format {form} > out.{form}")
        sys.stdout.buffer.write(_bytes(frame, form))


def _bytes(frame: pl.DataFrame, form: str) -> bytes:
    if form == "xlsx":
        from exports.files import Sheet, workbook
        from exports.notes import read_notes
        from orchestration.warehouse import published_file

        return workbook([Sheet("result", flat(frame))], read_notes(published_file().parent), "the result of a query")
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame for formats of plain cells: what is no plain cell (lists, structs, bytes, zoned times) as text."""
    return frame.with_columns(
        pl.Series(name, [None if value is None else _text(value) for value in frame[name].to_list()], dtype=pl.String)
        for name, kind in frame.schema.items()
        if kind.is_nested() or kind in (pl.Binary, pl.Object) or getattr(kind, "time_zone", None)
    )


def _text(value: Any) -> str:
    return _plain(value) if isinstance(value, date | bytes) else json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date) else str(value)


def print_table(frame: pl.DataFrame, title: str | None = None) -> None:
    """Print a frame as an aligned table; numbers right, missing values as a dash."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Piped output is never cut to a window's width.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 400)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name, kind in frame.schema.items():
        table.add_column(name, justify="right" if kind.is_numeric() else "left", overflow="fold")
    for row in frame.iter_rows():
        table.add_row(*(Text(cell(value)) for value in row))
    console.print(table)


def cell(value: Any) -> str:
    """Format one value: thousands separated, four significant digits below one, a dash for missing."""
    if value is None:
        return "-"
    if isinstance(value, float):
        if value != 0 and abs(value) < 1:
            return f"{value:.4g}"
        return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:,.1f}"
    return str(value)
