"""US salient statistics of the USGS Mineral Commodity Summaries (MCS), as printed.

What belongs here: finding the salient tables of one edition and unrolling them to one row per
printed figure. Editions up to 2025 are one csv per commodity whose headers drift every year; from
2026 they are one long csv. What does not: the meaning of a label, which is data in
``reference/mcs_salient_map.csv``, and the world tables of the same publisher.
"""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import polars as pl

from ingest.corrections import corrected
from ingest.errors import SourceChanged
from ingest.mapping import reference
from ingest.sources.base import files

S = pl.String()
TABLE = "raw_usgs_mcs__salient"
MISFILED = "mcs_salient_misfiled.csv"

# `printed` is the token of the cell; `estimated` is the note "Estimated." that the long csv gives
# instead of an e before the figure. `unit_printed` is null where the unit is part of the label.
SALIENT_TABLES: dict[str, dict[str, pl.DataType]] = {
    TABLE: {
        "source": S,
        "vintage": S,
        "commodity": S,
        "label": S,
        "year": pl.Int32(),
        "printed": S,
        "unit_printed": S,
        "estimated": pl.Boolean(),
    }
}
_ROW_SCHEMA: dict[str, pl.DataType] = {
    name: kind for name, kind in SALIENT_TABLES[TABLE].items() if name not in ("source", "vintage")
}
Row = tuple[str, str, int, str, str | None, bool]

_LONG_FILE = "*_[Cc]ommodities_[Dd]ata.csv"
_WIDE_FILES = "*_salient.csv"
_SECTION = "Salient Statistics—United States"
_LONG_COLUMNS = ("Section", "Commodity", "Statistics", "Statistics_detail", "Unit", "Year", "Value", "Notes")
_FEWEST_CHAPTERS = 80


def read_salient(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read the US salient statistics of one edition.

    Args:
        folder: raw vintage with the publisher's own files, in any sub-folders.
        vintage: edition, e.g. ``2025``.

    Returns:
        ``raw_usgs_mcs__salient``, one row per printed figure: ``commodity``, ``label`` (the printed
        column header, or ``Statistics | Statistics_detail`` of the long csv), ``year``, ``printed``,
        ``unit_printed``, ``estimated``. Empty cells give no row. A header printed twice gets `` [2]``
        the second time, a nameless column with figures is ``column n``.

    Raises:
        SourceChanged: chapters are missing, a file is not a salient table of the known shapes, or a
            correction no longer applies.
    """
    long_files = files(folder, _LONG_FILE, at_least=0)
    if long_files:
        rows = _long_rows(long_files[0])
    else:
        tables = [(path, _table(path)) for path in files(folder, _WIDE_FILES, at_least=_FEWEST_CHAPTERS)]
        usable = _without_misfiled(tables, vintage)
        rows = [row for path, table in usable for row in _wide_rows(path, table, vintage)]
    frame = pl.DataFrame(rows, schema=_ROW_SCHEMA, orient="row")
    return {TABLE: corrected(frame, "usgs_mcs", vintage, TABLE).sort("commodity", "label", "year")}


def _table(path: Path) -> list[list[str]]:
    """Return the cells of a csv file, outer blanks removed and wholly empty rows left out."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252")
    rows = [[cell.replace("\xa0", " ").strip() for cell in row] for row in csv.reader(StringIO(text))]
    return [row for row in rows if any(row)]


def _without_misfiled(tables: list[tuple[Path, list[list[str]]]], vintage: str) -> list[tuple[Path, list[list[str]]]]:
    """Leave out files known to hold another table under the name of a salient one.

    Raises:
        SourceChanged: such a file is gone, or no longer has the shape that was noted.
    """
    noted = reference(MISFILED).filter(pl.col("vintage") == vintage)
    pending = {
        name: (header, int(rows)) for name, header, rows in noted.select("file", "header_starts", "rows").iter_rows()
    }
    kept = []
    for path, table in tables:
        expected = pending.pop(path.name, None)
        if expected is None:
            kept.append((path, table))
        elif (",".join(table[0][:2]), len(table) - 1) != expected:
            raise SourceChanged(
                f"usgs_mcs {vintage}: {path.name} is no longer the misfiled table noted in "
                f"ingest/reference/{MISFILED}; remove its row there if the file is right now."
            )
    if pending:
        raise SourceChanged(f"usgs_mcs {vintage}: misfiled tables {sorted(pending)} are not in the raw vintage.")
    return kept


def _labels(header: list[str], width: int) -> list[str]:
    """Name every column once: repeats get `` [2]``, nameless ones their position from 1."""
    labels: list[str] = []
    seen: dict[str, int] = {}
    for position in range(width):
        name = (header[position] if position < len(header) else "") or f"column {position + 1}"
        seen[name] = seen.get(name, 0) + 1
        labels.append(name if seen[name] == 1 else f"{name} [{seen[name]}]")
    return labels


def _wide_rows(path: Path, table: list[list[str]], vintage: str) -> list[Row]:
    header, body = table[0], table[1:]
    if header[1:3] != ["Commodity", "Year"]:
        raise SourceChanged(
            f"usgs_mcs {vintage}: {path.name} starts with {header[:3]}, not with source, Commodity, Year."
        )
    labels = _labels(header, max(len(row) for row in table))
    rows: list[Row] = []
    for cells in body:
        source, commodity, year = cells[:3]
        if source != f"MCS{vintage}" or not year.isdigit():
            raise SourceChanged(f"usgs_mcs {vintage}: {path.name} has a row that starts with {cells[:3]}.")
        rows += [
            (commodity, label, int(year), cell, None, False)
            for label, cell in zip(labels[3:], cells[3:], strict=False)
            if cell
        ]
    return rows


def _long_rows(path: Path) -> list[Row]:
    header, *body = _table(path)
    missing = [name for name in _LONG_COLUMNS if name not in header]
    if missing:
        raise SourceChanged(f"{path.name}: columns {missing} are missing; found {header}.")
    at = {name: header.index(name) for name in _LONG_COLUMNS}
    rows: list[Row] = []
    seen: dict[tuple[str, str, int], int] = {}
    for cells in body:
        if cells[at["Section"]] != _SECTION:
            continue
        commodity, year, printed = cells[at["Commodity"]], int(cells[at["Year"]]), cells[at["Value"]]
        label = f"{cells[at['Statistics']]} | {cells[at['Statistics_detail']]}"
        # Two forms of one commodity can be printed under the same words; order tells them apart.
        repeat = seen[commodity, label, year] = seen.get((commodity, label, year), 0) + 1
        if repeat > 1:
            label = f"{label} [{repeat}]"
        estimated = "Estimated." in cells[at["Notes"]].split(" -- ")
        if printed:
            rows.append((commodity, label, year, printed, cells[at["Unit"]] or None, estimated))
    if not rows:
        raise SourceChanged(f"{path.name}: no rows in section {_SECTION!r}.")
    return rows
