"""World production, capacity and reserves of the USGS Mineral Commodity Summaries (MCS), as printed.

What belongs here: the three shapes in which editions print their world tables (one csv per
commodity up to 2024, one wide csv in 2025, one long csv from 2026), each unrolled to one row per
printed cell. What does not: the meaning of a label (``reference/mcs_world_map.csv``), of a note
(``reference/mcs_note_rules.csv``) or of a country name; misprints (``reference/corrections.csv``).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import polars as pl

from ingest.corrections import corrected
from ingest.errors import SourceChanged
from ingest.mapping import reference
from ingest.sources.base import files
from ingest.sources.usgs_mcs_notes import with_notes

S = pl.String()
TABLE = "raw_usgs_mcs__world"

# `commodity` is the printed name, or the file's own code (raree) where the file prints none.
# `printed` is the cell's token, null for a blank cell. `estimated`: the newest year of an edition,
# a header or note that says so, or an e mark. `critical_us_2025` is null before the 2026 edition.
WORLD_TABLES: dict[str, dict[str, pl.DataType]] = {
    TABLE: {
        "source": S, "vintage": S, "commodity": S, "label": S, "country": S, "measure": S, "year": pl.Int32(),
        "printed": S, "unit_printed": S, "estimated": pl.Boolean(), "critical_us_2025": pl.Boolean(),
    }
}  # fmt: skip


class Cell(NamedTuple):
    """One printed cell and the note beside it (the note does not leave the reader)."""

    commodity: str
    label: str
    country: str
    measure: str
    year: int
    printed: str
    unit_printed: str
    estimated: bool
    note: str
    critical_us_2025: str | None = None


_LONG, _WIDE, _PER_COMMODITY = "*_[Cc]ommodities_[Dd]ata.csv", "*_World_Data.csv", "*_world.csv"
_STRAY = "mcs_world_stray_columns.csv"
_FEWEST_COMMODITY_FILES = 76
_CHAPTERS = 89
_MEASURES = {"prod": "production", "cap": "capacity", "reserves": "reserves"}
_FIGURE_HEADER = re.compile(
    r"^(prod|cap|reserves)_(?:(.+)_)?(mct|kct|mcm|mmt|mt|kt|kg|t)(_est)?(?:_(20\d\d))?$", re.IGNORECASE
)
_NOTE_HEADER = re.compile(r"^(prod|cap|reserves)_notes?$", re.IGNORECASE)
_LABEL_HEADERS = ("Type", "Mine production, fluorspar")  # the 2024 fluorspar file has its label as header


def read_world(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read the world tables of one edition.

    Args:
        folder: raw vintage with the publisher's own files, in any sub-folders.
        vintage: edition, e.g. ``2025``; it prints the two years before and reserves of the last.

    Returns:
        ``raw_usgs_mcs__world``, one row per printed cell; a column that is blank for a whole
        table gives no rows.

    Raises:
        SourceChanged: a file, chapter or column is missing or of another shape.
    """
    if long_files := files(folder, _LONG, at_least=0):
        cells = [cell for path in long_files for cell in _long_cells(path, int(vintage))]
    elif wide_files := files(folder, _WIDE, at_least=0):
        cells = [cell for path in wide_files for cell in _wide_cells(path, int(vintage))]
    else:
        found = files(folder, _PER_COMMODITY, at_least=_FEWEST_COMMODITY_FILES)
        cells = [cell for path in found for cell in _commodity_cells(path, int(vintage))]
    schema = dict.fromkeys(Cell._fields, S) | {"year": pl.Int32(), "estimated": pl.Boolean()}
    frame = pl.DataFrame(cells, schema=schema, orient="row").with_columns(
        pl.col(pl.String).replace("", None), newest=pl.col("year") == int(vintage) - 1
    )
    marked = pl.col("printed").str.starts_with("e").fill_null(False)
    frame = with_notes(frame, vintage).with_columns(estimated=pl.col("estimated") | marked)
    frame = corrected(frame.drop("note", "newest"), "usgs_mcs", vintage, TABLE)
    return {TABLE: frame.with_columns(_yes_no(frame["critical_us_2025"], vintage))}


def _yes_no(column: pl.Series, vintage: str) -> pl.Series:
    odd = set(column.drop_nulls()) - {"Yes", "No"}
    if odd:
        raise SourceChanged(f"usgs_mcs {vintage}: 'Is critical mineral 2025' says {sorted(odd)}, not Yes or No.")
    return column == "Yes"


def clean(text: str | None) -> str:
    """Join the words of a cell by single blanks (the files hold no-break spaces and line breaks)."""
    return " ".join((text or "").split())


def table_rows(path: Path, encoding: str = "utf-8-sig") -> tuple[list[str], list[list[str]]]:
    """Read a csv as (header, rows of cleaned cells); rows without any text are left out.

    Raises:
        SourceChanged: another encoding, or a row longer than the header that holds text there.
    """
    try:
        text = path.read_bytes().decode(encoding)
    except UnicodeDecodeError as error:
        raise SourceChanged(f"{path.name}: not {encoding} ({error.reason} at byte {error.start}).") from None
    lines = [[clean(cell) for cell in line] for line in csv.reader(StringIO(text, newline=""))]
    header, rows = lines[0], [line for line in lines[1:] if any(line)]
    for row in rows:
        if any(row[len(header) :]):
            raise SourceChanged(f"{path.name}: a row is longer than the header: {row[:4]}.")
    return header, [row + [""] * (len(header) - len(row)) for row in rows]


def _commodity_cells(path: Path, edition: int) -> Iterator[Cell]:
    """Unroll one ``mcs2024-raree_world.csv``: units and years stand in the header names."""
    header, rows = table_rows(path)
    if header[:2] != ["Source", "Country"] or header[2] not in _LABEL_HEADERS:
        raise SourceChanged(f"{path.name}: expected Source, Country, Type, found {header[:3]}.")
    code = path.name.split("-", 1)[1].rsplit("_", 1)[0]
    if stray := [row for row in rows if not row[1] and any(row[3:])]:
        raise SourceChanged(f"{path.name}: a row of figures names no country: {stray[0][:6]}.")
    rows = [row for row in rows if row[1]]
    notes = {match[1].lower(): i for i, name in enumerate(header) if (match := _NOTE_HEADER.match(name))}
    for i, figures in _figure_columns(path, header, rows, edition).items():
        note = notes.get(figures.kind)
        for row in rows:
            yield Cell(
                code,
                f"{row[2]} | {figures.part}" if figures.part else row[2],
                row[1],
                _MEASURES[figures.kind],
                figures.year,
                row[i],
                figures.unit,
                figures.estimated or figures.year == edition - 1,
                row[note] if note is not None else "",
            )


class _Figures(NamedTuple):
    """What the header of a column of figures says, e.g. ``Prod_kt_est_2023``."""

    kind: str
    part: str | None
    unit: str
    year: int
    estimated: bool


def _figure_columns(path: Path, header: list[str], rows: list[list[str]], edition: int) -> dict[int, _Figures]:
    """Find the columns of figures by number; columns without any text are left out."""
    stray = {
        int(number) - 1
        for file, number in reference(_STRAY).select("file", "column_number").iter_rows()
        if file == path.name
    }
    found: dict[int, _Figures] = {}
    for i, name in enumerate(header[3:], start=3):
        if i in stray or _NOTE_HEADER.match(name) or not any(row[i] for row in rows):
            continue
        match = _FIGURE_HEADER.match(name)
        if match is None:
            raise SourceChanged(
                f"{path.name}: unknown column {name!r} (number {i + 1}). If it holds nothing of its own, "
                f"add it to ingest/reference/{_STRAY}."
            )
        kind, part, unit, est, year = match.groups()
        if year and int(year) not in (edition - 2, edition - 1):
            raise SourceChanged(f"{path.name}: column {name!r} is not of the two years before {edition}.")
        found[i] = _Figures(kind.lower(), part, unit, int(year or edition - 1), bool(est))
    return found


def _wide_cells(path: Path, edition: int) -> Iterator[Cell]:
    """Unroll the single wide csv of the 2025 edition."""
    header, rows = table_rows(path)
    columns = {clean(name).replace("_ ", "_"): i for i, name in enumerate(header)}
    older, newer = edition - 2, edition - 1
    plan = [
        ("production", older, f"PROD_{older}", "PROD_NOTES"),
        ("production", newer, f"PROD_EST_{newer}", "PROD_NOTES"),
        ("capacity", older, f"CAP_{older}", "CAP_NOTES"),
        ("capacity", newer, f"CAP_EST_{newer}", "CAP_NOTES"),
        ("reserves", newer, f"RESERVES_{newer}", "RESERVE_NOTES"),
    ]
    keys = ["SOURCE", "COMMODITY", "COUNTRY", "TYPE", "UNIT_MEAS"]
    expected = {*keys, *(name for _, _, figure, note in plan for name in (figure, note))}
    if set(columns) != expected:
        raise SourceChanged(f"{path.name}: expected columns {sorted(expected)}, found {sorted(columns)}.")
    _, commodity, country, label, unit = (columns[name] for name in keys)
    tables = {(row[commodity], row[label]) for row in rows}
    filled = {
        (row[commodity], row[label])
        for row in rows
        for *_, figure, note in plan
        if row[columns[figure]] or row[columns[note]]
    }
    for measure, year, figure, note in plan:
        i, j = columns[figure], columns[note]
        used = {(row[commodity], row[label]) for row in rows if row[i] or row[j]}
        if measure == "production":
            used |= tables - filled  # a table without any figure (germanium) stays as blank cells
        for row in rows:
            if (row[commodity], row[label]) in used:
                estimated = year == newer or "estimated" in row[label].lower()
                yield Cell(
                    row[commodity], row[label], row[country], measure, year, row[i], row[unit], estimated, row[j]
                )


def long_rows(path: Path) -> list[dict[str, str]]:
    """Read the long csv of an edition from 2026 on, whole.

    Raises:
        SourceChanged: a column or a chapter is missing or unknown.
    """
    header, rows = table_rows(path, "cp1252")
    expected = [
        "MCS chapter", "Section", "Commodity", "Country", "Statistics", "Statistics_detail", "Unit", "Year", "Value",
        "Notes", "Is critical mineral 2025", "Other notes",
    ]  # fmt: skip
    if header != expected:
        raise SourceChanged(f"{path.name}: expected columns {expected}, found {header}.")
    found = [dict(zip(header, row, strict=True)) for row in rows]
    if (chapters := len({row["MCS chapter"] for row in found})) != _CHAPTERS:
        raise SourceChanged(f"{path.name}: expected {_CHAPTERS} chapters, found {chapters}.")
    return found


def _long_cells(path: Path, edition: int) -> Iterator[Cell]:
    """Take the world tables out of the long csv."""
    for row in long_rows(path):
        section, measure = row["Section"], row["Statistics"].lower()
        if section.startswith("Salient Statistics") or section == "Import Sources":
            continue
        if not section.startswith("World ") or measure not in _MEASURES.values():
            raise SourceChanged(f"{path.name}: unknown section {section!r} or statistic {row['Statistics']!r}.")
        year = int(row["Year"])
        yield Cell(
            row["Commodity"],
            row["Statistics_detail"],
            row["Country"],
            measure,
            year,
            row["Value"],
            row["Unit"],
            year == edition - 1,
            row["Notes"],
            row["Is critical mineral 2025"],
        )
