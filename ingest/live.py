"""Which edition of which source a run reads, and from where: a raw vintage or the embedded snapshot.

What belongs here: the choice, reading what was chosen, and saying so. What does not: fetching
(``fetch``) and the snapshot's form (``embedded``).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import polars as pl

from ingest.embedded import read_snapshot_table, snapshot_package
from ingest.errors import BadInput
from ingest.home import PROJECT, REFERENCE, Home
from ingest.sources import sources
from ingest.sources.base import Source
from ingest.tables import BY_YEAR, parts, write_table, years_written
from ingest.vintages import Vintage, newest, verify_files

Mode = Literal["snapshot", "live"]
MODES: tuple[Mode, ...] = ("snapshot", "live")
VARIABLE = "ORETRACE_MODE"


@dataclass(frozen=True)
class Scanned:
    """A source table, ready to be read.

    Attributes:
        rows: as declared; none where nothing was chosen.
        ready: years whose rows are those of one file, which stays as it is.
    """

    rows: pl.LazyFrame
    ready: Mapping[int, Path]


@dataclass(frozen=True)
class Used:
    """One edition that a run reads.

    Attributes:
        source: name of the source.
        edition: the edition, ``vintage`` of every row made from it.
        origin: ``live`` (a raw vintage) or ``snapshot`` (embedded).
        vintage: the raw vintage when live.
    """

    source: str
    edition: str
    origin: str
    vintage: Vintage | None = None


def default_mode() -> Mode:
    """Return the mode that the environment names in ``ORETRACE_MODE``; ``snapshot`` when it names none.

    Raises:
        BadInput: another word.
    """
    named = os.environ.get(VARIABLE) or "snapshot"
    for mode in MODES:
        if mode == named:
            return mode
    raise BadInput(f"{VARIABLE}={named!r}: expected one of {', '.join(MODES)}.")


def choose(home: Home, mode: str) -> dict[str, list[Used]]:
    """Choose the editions of every source.

    In live mode the newest revision of a raw vintage goes before the embedded edition of the same
    name; a source of which only the newest edition counts gives that one alone, with the embedded
    years before its first one where ``keeps`` says so.

    Args:
        home: where raw vintages are.
        mode: ``snapshot`` or ``live``.

    Returns:
        Source to its editions in order; empty for a source with neither vintage nor embedded figures.
    """
    kept = newest(home.raw) if mode == "live" else {}
    chosen = {}
    for name, source in sources().items():
        found = {edition: Used(name, edition, "snapshot") for edition in embedded_editions(source)}
        found |= {
            edition: Used(name, edition, "live", item) for (owner, edition), item in kept.items() if owner == name
        }
        ordered = [found[edition] for edition in sorted(found)]
        chosen[name] = ordered if source.keeps == "editions" else ordered[-1:]
        if source.keeps == "newest_by_year" and ordered and ordered[-1].origin == "live":
            earlier = [Used(name, edition, "snapshot") for edition in embedded_editions(source)]
            chosen[name] = earlier + ordered[-1:]
    return chosen


def embedded_editions(source: Source) -> list[str]:
    """Return the editions of a source in the embedded snapshot."""
    if not source.in_snapshot:
        return []
    package = snapshot_package()
    return sorted({edition for table in source.tables for edition in package.get(table, {}).get("vintages", [])})


def embedded_tables() -> dict[str, pl.DataFrame]:
    """Return every source table as snapshot mode reads it; empty where the terms do not let figures be embedded."""
    return {
        table: read_snapshot_table(table) if source.in_snapshot else pl.DataFrame(schema=dict(schema))
        for source in sources().values()
        for table, schema in source.tables.items()
    }


def read_tables(home: Home, source: Source, used: list[Used]) -> dict[str, pl.DataFrame]:
    """Read the chosen editions of one source; see ``scan_tables``."""
    return {table: scanned.rows.collect() for table, scanned in scan_tables(home, source, used).items()}


def scan_tables(home: Home, source: Source, used: list[Used]) -> dict[str, Scanned]:
    """Make the chosen editions of one source ready to be read, by table.

    Raises:
        BadInput: the snapshot is damaged.
        OretraceError: a raw vintage is not as it was kept.
        SourceChanged: a raw vintage cannot be read.
    """
    embedded = [item.edition for item in used if item.origin == "snapshot"]
    parsed = [parsed_vintage(home, source, item.vintage) for item in used if item.vintage is not None]
    frames = {}
    for table, schema in source.tables.items():
        rows = [pl.LazyFrame(schema=dict(schema))] + [pl.scan_parquet(folder / f"{table}.parquet") for folder in parsed]
        if embedded:
            whole = read_snapshot_table(table).select(list(schema))
            if parsed:
                whole = whole.filter(pl.col("vintage").is_in(embedded) & _before(parsed, source))
            rows.append(whole.lazy())
        alone = len(parsed) == 1 and (not embedded or source.keeps == "newest_by_year")
        frames[table] = Scanned(pl.concat(rows), _files_by_year(parsed[0], table) if alone else {})
    return frames


def _files_by_year(folder: Path, table: str) -> dict[int, Path]:
    """Return the file of each year of a table that has such files."""
    files = parts(folder / f"{table}.parquet") if table in BY_YEAR else []
    return {int(file.stem): file for file in files if file.stem.isdigit()}


def _before(parsed: list[Path], source: Source) -> pl.Expr:
    """Years before the first of the raw vintages, for a source that gives way from there on; else all."""
    if source.keeps != "newest_by_year":
        return pl.lit(True)
    scans = [pl.scan_parquet(folder / f"{table}.parquet") for folder in parsed for table in source.tables]
    years = [scan.select(pl.col("year").min()).collect().item() for scan in scans]
    return pl.col("year") < pl.lit(min(year for year in years if year is not None))


def parsed_vintage(home: Home, source: Source, vintage: Vintage) -> Path:
    """Return the folder of a raw vintage's tables: what an earlier run made of it, when nothing changed since.

    Raises:
        OretraceError: a file is not as it was kept.
        SourceChanged: it cannot be read.
    """
    folder = home.build / "parsed" / source.name / vintage.vintage
    state = {"content": vintage.sidecar.get("content") or _listed(vintage), "readers": readers_hash()}
    note = folder / "state.json"
    try:
        if json.loads(note.read_text()) == state:
            for table in source.tables:
                pl.read_parquet_schema(next(folder.glob(f"{table}.parquet/*.parquet"), folder / f"{table}.parquet"))
            return folder
    except (OSError, ValueError, pl.exceptions.PolarsError):
        pass  # not there or cut short: it is made anew
    verify_files(vintage)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _parse(source, vintage, folder)
    note.write_text(json.dumps(state))  # last, so that it vouches for whole files only
    return folder


def _parse(source: Source, vintage: Vintage, folder: Path) -> None:
    """Write the tables of a vintage, those of one file a year as they are read."""
    whole: dict[str, list[pl.DataFrame]] = {table: [] for table in source.tables if table not in BY_YEAR}
    with ExitStack() as stack:
        writers = {
            table: stack.enter_context(years_written(folder / f"{table}.parquet", pl.Schema(schema)))
            for table, schema in source.tables.items()
            if table in BY_YEAR
        }
        for part in source.parts_of(vintage.folder, vintage.edition):
            for table, frame in part.items():
                if table in writers:
                    writers[table].add(frame)
                else:
                    whole[table].append(frame)
    for table, frames in whole.items():
        write_table(pl.concat(frames), folder / f"{table}.parquet")


def _listed(vintage: Vintage) -> str:
    return hashlib.sha256(json.dumps(vintage.sidecar["files"]).encode()).hexdigest()


@cache
def readers_hash() -> str:
    """Return a hash of the readers and the reference tables: with other ones a vintage is read anew."""
    whole = hashlib.sha256()
    for path in sorted([*PROJECT.glob("ingest/*.py"), *PROJECT.glob("ingest/sources/*.py"), *REFERENCE.glob("*.csv")]):
        whole.update(path.name.encode() + path.read_bytes())
    return whole.hexdigest()


def described(used: Used) -> dict[str, Any]:
    """Return what the release says of an edition it is made of: a row of canonical ``vintage_used``."""
    meta = sources()[used.source]
    package = snapshot_package()
    known: Mapping[str, Any] = used.vintage.sidecar if used.vintage else package[next(iter(meta.tables))]
    hashes = "".join(package[table]["hash"] for table in meta.tables) if used.vintage is None else ""
    return {
        "source": used.source,
        "vintage": used.edition,
        "origin": used.origin,
        "raw_vintage": used.vintage.vintage if used.vintage else None,
        "publisher": meta.publisher,
        "title": meta.title,
        "licence": meta.licence,
        "citation": meta.citation.format(vintage=used.edition),
        "retrieved": str(known.get("retrieved", ""))[:10],
        "content_sha256": str(known.get("content")) if used.vintage else hashlib.sha256(hashes.encode()).hexdigest(),
    }


def used_path(home: Home, source: str) -> Path:
    """Return where a run notes which editions of a source it read."""
    return home.build / "vintages" / f"{source}.json"


def note_used(home: Home, source: str, used: list[Used], problem: str | None) -> None:
    """Note what a run read of a source, and why nothing newer could be fetched, for the certificate."""
    path = used_path(home, source)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"used": [described(item) for item in used], "problem": problem}, indent=1))
    partial.replace(path)


def noted(home: Home) -> dict[str, dict[str, Any]]:
    """Return what ``note_used`` noted, by source."""
    found = {}
    for name in sources():
        path = used_path(home, name)
        if path.is_file():
            found[name] = json.loads(path.read_text())
    return found
