"""The embedded snapshot: our own source tables as Parquet, with a data package that vouches for them.

What belongs here: writing the snapshot from raw vintages and reading it back, hash by hash. What does
not: parsing (the same readers as live mode do that) and transforms.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from ingest.errors import BadInput
from ingest.home import SNAPSHOT
from ingest.sources import sources, table_owner
from ingest.vintages import have_files, newest, sha256_of

PACKAGE = "datapackage.json"


def write_snapshot(raw: Path, target: Path = SNAPSHOT, *, retrieved: date | None = None) -> dict[str, int]:
    """Write the snapshot from raw vintages through the readers of live mode.

    Args:
        raw: folder with ``<source>/<vintage>/``; every source that may be embedded must have a vintage.
        target: folder for ``<table>.parquet`` and the data package.
        retrieved: day noted as retrieval, today by default.

    Returns:
        Rows by table.

    Raises:
        BadInput: a source has no raw vintage; nothing is written.
    """
    vintages: dict[str, list[str]] = defaultdict(list)
    frames: dict[str, list[pl.DataFrame]] = defaultdict(list)
    embedded = {name: source for name, source in sources().items() if source.in_snapshot}
    for item in newest(raw).values():
        if item.source not in embedded:
            continue
        have_files(item)
        for table, frame in embedded[item.source].read_vintage(item.folder, item.edition).items():
            frames[table].append(frame)
        vintages[item.source].append(item.edition)
    absent = [name for name in embedded if name not in vintages]
    if absent:
        raise BadInput(f"no raw vintage of {', '.join(absent)} below {raw}; add one with: oretrace raw add SOURCE ...")
    target.mkdir(parents=True, exist_ok=True)
    resources = []
    rows = {}
    tables = [table for source in embedded.values() for table in source.tables]
    for table in tables:
        frame = pl.concat(frames[table])
        path = target / f"{table}.parquet"
        frame.write_parquet(path, compression="zstd", compression_level=19, statistics=False)
        rows[table] = frame.height
        resources.append(_resource(table, frame, path, vintages, retrieved or date.today()))
    for stray in set(target.glob("*.parquet")) - {target / f"{table}.parquet" for table in tables}:
        stray.unlink()
    package = {
        "name": "oretrace-snapshot",
        "title": "Figures embedded in oretrace, in its own schema",
        "resources": resources,
    }
    (target / PACKAGE).write_text(json.dumps(package, indent=1, ensure_ascii=False) + "\n")
    return rows


def _resource(
    table: str, frame: pl.DataFrame, path: Path, vintages: dict[str, list[str]], retrieved: date
) -> dict[str, Any]:
    meta = sources()[table_owner()[table]]
    editions = vintages[meta.name]
    return {
        "name": table,
        "path": path.name,
        "format": "parquet",
        "mediatype": "application/vnd.apache.parquet",
        "bytes": path.stat().st_size,
        "hash": f"sha256:{sha256_of(path)}",
        "rows": frame.height,
        "schema": {"fields": [{"name": name, "type": _kind(kind)} for name, kind in frame.schema.items()]},
        "sources": [{"title": meta.title, "path": meta.homepage, "publisher": meta.publisher}],
        "licenses": [{"name": meta.licence, "path": meta.licence_url}],
        "vintages": editions,
        "citation": [meta.citation.format(vintage=edition) for edition in editions],
        "retrieved": retrieved.isoformat(),
    }


def _kind(kind: pl.DataType) -> str:
    if kind.is_integer():
        return "integer"
    if kind.is_float():
        return "number"
    return {pl.Boolean: "boolean", pl.Date: "date"}.get(kind.base_type(), "string")


def snapshot_package(folder: Path = SNAPSHOT) -> dict[str, dict[str, Any]]:
    """Return the data package's resources by table.

    Raises:
        BadInput: the data package is missing or is not JSON.
    """
    path = folder / PACKAGE
    try:
        package = json.loads(path.read_text())
    except FileNotFoundError:
        raise BadInput(f"the embedded snapshot lacks {path}. Restore it: git checkout ingest/snapshot") from None
    except ValueError as error:
        raise BadInput(f"{path} is not JSON ({error}). Restore it with git checkout.") from None
    return {resource["name"]: resource for resource in package["resources"]}


def read_snapshot_table(table: str, folder: Path = SNAPSHOT) -> pl.DataFrame:
    """Read one source table of the snapshot after checking its hash.

    Args:
        table: source table name.
        folder: the snapshot.

    Returns:
        The table as its reader made it.

    Raises:
        BadInput: the file is missing or its SHA-256 is not the one in the data package; the message
            gives file, expected and found.
    """
    resource = snapshot_package(folder).get(table)
    if resource is None:
        raise BadInput(f"{folder / PACKAGE} does not list {table}. Write it anew: oretrace snapshot write")
    path = folder / resource["path"]
    expected = resource["hash"].removeprefix("sha256:")
    if not path.is_file():
        raise BadInput(f"snapshot file {path} is missing (expected sha256 {expected}). Restore it with git checkout.")
    found = sha256_of(path)
    if found != expected:
        raise BadInput(
            f"snapshot file {path} is corrupt: expected sha256 {expected}, found {found}. Restore it with git checkout."
        )
    return pl.read_parquet(path)
