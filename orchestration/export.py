"""Published tables to files: which tables and rows, from one release, whole or not at all.

What belongs here: choosing and reading rows of the published release. What does not: the form of the files
(``exports``), command-line words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exports.notes import Notes, read_notes
from ingest.errors import BadInput
from ingest.words import known_value
from orchestration.progress import SILENT, Meter
from orchestration.show import vocabulary
from orchestration.warehouse import connect, published_file, tables

if TYPE_CHECKING:
    import duckdb
    import polars as pl

FORMATS = ("csv", "xlsx", "parquet", "sdmx")
NAMED = {"country": ("dim_country", "iso3"), "material": ("dim_material", "material"), "stage": ("dim_stage", "stage")}


@dataclass(frozen=True)
class Choice:
    """Which rows: tables by name (all where none is named), and values of columns that the tables have."""

    tables: tuple[str, ...] = ()
    material: str | None = None
    importer: str | None = None
    stage: str | None = None
    year: int | None = None

    def conditions(self) -> dict[str, str | int]:
        """Return the chosen columns with their values."""
        chosen = {"material": self.material, "importer": self.importer, "stage": self.stage, "year": self.year}
        return {name: value for name, value in chosen.items() if value is not None}

    def words(self) -> str:
        """Say the choice in one line; empty when it is everything."""
        return ", ".join(f"{name} {value}" for name, value in self.conditions().items())


@dataclass(frozen=True)
class Exported:
    """What was written: the files, rows by table, tables that the choice left out, and the release they are of."""

    files: list[Path]
    rows: dict[str, int]
    left_out: list[str]
    release: str


def export(form: str, target: Path, choice: Choice, *, force: bool = False, meter: Meter = SILENT) -> Exported:
    """Write tables of the published release.

    Args:
        form: ``csv`` or ``parquet`` (a folder, or one file when one table is named and the target ends so),
            ``xlsx`` (one workbook) or ``sdmx`` (a folder).
        target: where to.
        choice: which tables and rows.
        force: replace files that are there.
        meter: is told what is written, table by table.

    Raises:
        BadInput: nothing published, an unknown table or value, nothing to write, files that are there already.
    """
    file = published_file()
    notes = read_notes(file.parent)
    with connect(file) as db:
        matched = _matched(db, choice)
        names, left_out = _tables(db, form, matched)
        paths = _paths(form, target, names)
        there = [str(path) for path in paths.values() if path.exists()]
        if there and not force:
            raise BadInput(f"{', '.join(sorted(set(there)))} is there already. Take another target, or add --force.")
        if matched.conditions() and not any(_has_rows(db, name, matched) for name in names):
            raise _nothing(matched)
        for folder in {path.parent for path in paths.values()}:
            folder.mkdir(parents=True, exist_ok=True)
        meter.begin("reading" if form in ("xlsx", "sdmx") else "writing", len(names), "tables")
        if form in ("csv", "parquet"):
            rows = {name: _one(form, db, name, paths[name], matched) for name in meter.each(names)}
        else:
            frames = {name: _rows(db, name, matched) for name in meter.each(names)}
            rows = {name: frame.height for name, frame in frames.items()}
            meter.begin(f"writing {form}")
            _together(form, db, paths, frames, notes, matched)
    return Exported(sorted(set(paths.values())), rows, left_out, notes.release)


def _matched(db: duckdb.DuckDBPyConnection, choice: Choice) -> Choice:
    """Match the user's words to tables, slugs and codes."""
    known = {name: name for name in tables(db)}
    words = {
        column: known_value(value, vocabulary(db, column), column)
        for column, value in (("material", choice.material), ("importer", choice.importer), ("stage", choice.stage))
        if value is not None
    }
    chosen = tuple(dict.fromkeys(known_value(name, known, "table") for name in choice.tables))
    return Choice(chosen, year=choice.year, **words)


def _tables(db: duckdb.DuckDBPyConnection, form: str, choice: Choice) -> tuple[list[str], list[str]]:
    """Return the tables that have every chosen column, and those that were left out for want of one."""
    from exports.sdmx import TABLES

    wanted = choice.tables or (TABLES if form == "sdmx" else tuple(tables(db)))
    if form == "sdmx" and set(wanted) - set(TABLES):
        raise BadInput(f"as SDMX there are {' and '.join(TABLES)} only.")
    columns = {name: _columns(db, name) for name in wanted}
    needed = set(choice.conditions())
    left_out = [name for name in wanted if not needed <= columns[name]]
    if left_out and choice.tables:
        raise BadInput(
            f"{left_out[0]} has no column {', '.join(sorted(needed - columns[left_out[0]]))}; it has: "
            f"{', '.join(sorted(columns[left_out[0]]))}."
        )
    names = [name for name in wanted if name not in left_out]
    if not names:
        raise BadInput(f"no table has all of the columns {', '.join(sorted(needed))}.")
    return names, left_out


def _columns(db: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    found = db.execute("select column_name from duckdb_columns() where table_name = ?", [table]).fetchall()
    return {name for (name,) in found}


def _paths(form: str, target: Path, names: Sequence[str]) -> dict[str, Path]:
    """Return the file of each table; one for all in a workbook."""
    from exports.sdmx import DATA_FILE, STRUCTURE_FILE

    if form == "sdmx":
        return {name: target / name for name in (STRUCTURE_FILE, DATA_FILE)}
    if form == "xlsx":
        if target.suffix.casefold() != ".xlsx":
            raise BadInput(f"a workbook is one file; its name ends in .xlsx, e.g. {target}.xlsx")
        return dict.fromkeys(names, target)
    if target.suffix == f".{form}":
        if len(names) != 1:
            raise BadInput(
                f"{target} is one file and there are {len(names)} tables: name one with --table, or a folder."
            )
        return {names[0]: target}
    return {name: target / f"{name}.{form}" for name in names}


def _where(choice: Choice) -> str:
    return " and ".join(f"{column} = ${column}" for column in choice.conditions()) or "true"


def _rows(db: duckdb.DuckDBPyConnection, name: str, choice: Choice) -> pl.DataFrame:
    return db.execute(f'select * from "{name}" where {_where(choice)} order by all', choice.conditions() or None).pl()


def _has_rows(db: duckdb.DuckDBPyConnection, name: str, choice: Choice) -> bool:
    found = db.execute(f'select 1 from "{name}" where {_where(choice)} limit 1', choice.conditions() or None)
    return found.fetchone() is not None


def _nothing(choice: Choice) -> BadInput:
    return BadInput(f"there are no rows for {choice.words()}. See mart_coverage for what there is.")


def _one(form: str, db: duckdb.DuckDBPyConnection, name: str, path: Path, choice: Choice) -> int:
    from exports.files import write_csv, write_parquet

    frame = _rows(db, name, choice)
    (write_csv if form == "csv" else write_parquet)(frame, path)
    return frame.height


def _together(
    form: str,
    db: duckdb.DuckDBPyConnection,
    paths: Mapping[str, Path],
    frames: Mapping[str, pl.DataFrame],
    notes: Notes,
    choice: Choice,
) -> None:
    if not any(frame.height for frame in frames.values()):
        raise _nothing(choice)
    if form == "xlsx":
        _workbook(paths, frames, notes, choice)
    else:
        _sdmx(db, next(iter(paths.values())).parent, frames, notes)


def _workbook(paths: Mapping[str, Path], frames: Mapping[str, pl.DataFrame], notes: Notes, choice: Choice) -> None:
    from exports.files import Sheet, write_workbook

    full = [Sheet(name, frame) for name, frame in frames.items() if frame.height]
    write_workbook(paths[full[0].table], full, notes, choice.words())


def _sdmx(db: duckdb.DuckDBPyConnection, folder: Path, frames: Mapping[str, pl.DataFrame], notes: Notes) -> None:
    from exports.sdmx import write_sdmx

    names = {
        what: dict(db.execute(f"select {key}, name from {table} order by 1").fetchall())
        for what, (table, key) in NAMED.items()
    }
    write_sdmx(folder, frames, names, notes)
