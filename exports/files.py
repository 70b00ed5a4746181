"""One frame to a file that a person opens: CSV, Parquet, or a workbook whose first sheet says what is in it.

What belongs here: the form of the files. What does not: which rows and which tables.

    from exports.files import Sheet, write_csv, write_workbook
    from exports.notes import read_notes

    write_workbook(path, [Sheet("mart_claims", frame)], read_notes(release_folder), about="Material: gallium")
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from exports.notes import Notes, Table
from ingest.errors import BadInput

if TYPE_CHECKING:
    import xlsxwriter
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

# What a sheet can hold; more is a file that opens cut off, or not at all.
MOST_ROWS = 1_048_576
MOST_COLUMNS = 16_384
MOST_CHARACTERS = 32_767
MOST_SHEET_NAME = 31


@dataclass(frozen=True)
class Sheet:
    """A frame and the published table that it is of, whose notes are shown beside it."""

    table: str
    frame: pl.DataFrame


@contextmanager
def fresh_file(path: Path) -> Iterator[Path]:
    """Give a file to write beside ``path`` that becomes ``path`` when it is whole, and is removed when it is not."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_csv(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as CSV: UTF-8, a header, a blank for missing, figures at full precision."""
    with fresh_file(path) as partial:
        frame.write_csv(partial)


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as Parquet."""
    with fresh_file(path) as partial:
        frame.write_parquet(partial)


def write_workbook(path: Path, sheets: Sequence[Sheet], notes: Notes, about: str = "") -> None:
    """Write frames as a workbook; see ``workbook``."""
    with fresh_file(path) as partial:
        partial.write_bytes(workbook(sheets, notes, about))


def workbook(sheets: Sequence[Sheet], notes: Notes, about: str = "") -> bytes:
    """Make a workbook: a sheet README, and a sheet per frame.

    README says which release it is, what each sheet and column means with its unit, where the figures come from and
    on which terms. Text stays text: nothing in a cell is run as a formula or made a link. Missing stays blank.

    Args:
        sheets: what to write, each as one sheet.
        notes: of the release that the frames come from.
        about: a line on how the rows were chosen.

    Returns:
        The bytes of an ``.xlsx`` file.

    Raises:
        BadInput: more rows, columns or characters than a sheet can hold.
    """
    import xlsxwriter

    for sheet in sheets:
        _check_size(sheet)
    out = io.BytesIO()
    # In memory: a workbook is dozens of small files, which cost more on disk than all its cells.
    options = {"strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": True, "in_memory": True}
    with xlsxwriter.Workbook(out, options) as book:
        # The time of the release, not of writing: equal figures give equal bytes.
        created = datetime.fromisoformat(notes.created) if notes.created else datetime(2000, 1, 1)
        comments = f"Release {notes.release}. {notes.licence}"
        book.set_properties({"title": "oretrace", "comments": comments, "created": created.replace(tzinfo=None)})
        names = list(_sheet_names(sheet.table for sheet in sheets))
        _write_readme(book, sheets, names, notes, about)
        for sheet, name in zip(sheets, names, strict=True):
            _write_sheet(book, name, sheet, notes.table(sheet.table))
    return out.getvalue()


def _check_size(sheet: Sheet) -> None:
    rows, columns = sheet.frame.shape
    if rows + 1 > MOST_ROWS or columns > MOST_COLUMNS:
        raise BadInput(
            f"{sheet.table} has {rows:,} rows and {columns:,} columns; a sheet holds {MOST_ROWS - 1:,} and "
            f"{MOST_COLUMNS:,}. Take fewer (one material, importer or year), or CSV or Parquet."
        )
    texts = sheet.frame.select(pl.col(pl.String).str.len_chars().max())
    for name, longest in zip(texts.columns, texts.row(0) if texts.columns else (), strict=True):
        if longest is not None and longest > MOST_CHARACTERS:
            raise BadInput(
                f"{sheet.table}.{name} holds a text of {longest:,} characters; a cell holds {MOST_CHARACTERS:,}. "
                "Take CSV or Parquet."
            )


def _sheet_names(tables: Iterable[str]) -> Iterator[str]:
    """Yield names short enough for a tab and different from each other, whatever the case."""
    seen = {"readme"}
    for table in tables:
        name, number = table[:MOST_SHEET_NAME], 1
        while name.casefold() in seen:
            number += 1
            name = f"{table[: MOST_SHEET_NAME - len(str(number)) - 1]}_{number}"
        seen.add(name.casefold())
        yield name


def _write_sheet(book: xlsxwriter.Workbook, name: str, sheet: Sheet, table: Table) -> None:
    sheet.frame.write_excel(
        workbook=book,
        worksheet=name,
        table_style="Table Style Light 1",
        header_format={"bold": True},
        # Figures as they are, without rounding on the screen; a year without a thousands separator.
        dtype_formats={pl.Float64: "General", pl.Int64: "0", pl.Int32: "0"},
        freeze_panes=(1, 0),
    )
    written = book.get_worksheet_by_name(name)
    if written is None:  # polars made it a line above
        raise KeyError(name)
    known = {column.name: column for column in table.columns}
    for position, column in enumerate(sheet.frame.columns):
        width = max(len(column), *map(len, _sample(sheet.frame[column])), 4)
        written.set_column(position, position, min(width + 2, 44))
        note = known.get(column)
        if note and (note.unit or note.description):
            text = f"{note.unit}\n{note.description}" if note.unit else note.description
            written.write_comment(0, position, text, {"x_scale": 2, "y_scale": 1.5})


def _sample(values: pl.Series) -> list[str]:
    return [str(value)[:60] for value in values.head(200).to_list() if value is not None]


def _write_readme(
    book: xlsxwriter.Workbook, sheets: Sequence[Sheet], names: Sequence[str], notes: Notes, about: str
) -> None:
    page = book.add_worksheet("README")
    bold, wrap = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
    page.set_column(0, 1, 30)
    page.set_column(2, 2, 28)
    page.set_column(3, 3, 100)
    row = 0
    for label, text in (
        ("oretrace", "Dependence in critical minerals by supply-chain stage"),
        ("Release", notes.release),
        ("Published", notes.created),
        ("Rows", about or "every row of the tables"),
        ("Terms", notes.licence),
        ("Missing", "A blank is missing, withheld or unknown, never zero; printed tokens such as >95 are text."),
    ):
        row = _line(page, row, (label, text), (bold, None))
    row = _block(page, row + 1, ("Sheet", "Table", "Rows", "What a row is"), bold)
    for sheet, name in zip(sheets, names, strict=True):
        text = notes.table(sheet.table).description
        row = _line(page, row, (name, sheet.table, sheet.frame.height, text), (None, None, None, wrap))
    row = _block(page, row + 1, ("Table", "Column", "Unit", "Meaning"), bold)
    for sheet in sheets:
        known = {column.name: column for column in notes.table(sheet.table).columns}
        for column in sheet.frame.columns:
            unit, text = (known[column].unit, known[column].description) if column in known else ("", "")
            row = _line(page, row, (sheet.table, column, unit, text), (None, None, wrap, wrap))
    row = _block(page, row + 1, ("Source", "Editions", "Terms", "Title and address"), bold)
    for slug in sorted(set(notes.sources) & set(notes.vintages)):
        source = notes.sources[slug]
        where = ", ".join(source[part] for part in ("publisher", "title", "path") if part in source)
        row = _line(page, row, (slug, ", ".join(notes.vintages[slug]), source.get("licence", ""), where), ())


def _block(page: Worksheet, row: int, heading: Sequence[str], bold: Format) -> int:
    return _line(page, row, heading, [bold] * len(heading))


def _line(page: Worksheet, row: int, cells: Sequence[Any], formats: Sequence[Format | None]) -> int:
    for position, text in enumerate(cells):
        style = formats[position] if position < len(formats) else None
        page.write(row, position, text, style)
    return row + 1
