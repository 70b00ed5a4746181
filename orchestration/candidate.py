"""A candidate on disk: one DuckDB file, or a folder of one Parquet file per mart; what names its exact bytes.

What belongs here: hashing a candidate, copying it, its Parquet form. What does not: building one (``engines``) and
publishing it (``publish``).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb

from ingest.errors import OretraceError
from ingest.vintages import sha256_of
from orchestration.releases import LINK
from orchestration.vouching import hash_of_listing


def hash_of(candidate: Path) -> str:
    """Return the hash that a certificate vouches for: of the file, or of the list of a folder's Parquet files."""
    if candidate.is_file():
        return sha256_of(candidate)
    return hash_of_listing({path.name: sha256_of(path) for path in candidate.glob("*.parquet")})


def copy_to(candidate: Path, folder: Path) -> str:
    """Copy a candidate into the folder of a release; return the hash of the copy."""
    if candidate.is_file():
        shutil.copyfile(candidate, folder / LINK)
        return hash_of(folder / LINK)
    for path in sorted(candidate.glob("*.parquet")):
        shutil.copyfile(path, folder / path.name)
    return hash_of(folder)


def load_parquet(folder: Path) -> None:
    """Make the DuckDB file of a release from its Parquet files: tables, as views would hold absolute paths.

    Raises:
        OretraceError: there is no Parquet file.
    """
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise OretraceError(f"there is no Parquet file in {folder}. Nothing was published.")
    with duckdb.connect(str(folder / LINK)) as db:
        db.execute("set enable_progress_bar = false")
        for file in files:
            db.read_parquet(str(file)).create(file.stem)
        db.execute("checkpoint")


def write_parquet(db: duckdb.DuckDBPyConnection, rows: duckdb.DuckDBPyRelation, path: Path) -> int:
    """Write rows ordered and with a fixed codec, so that equal rows give equal bytes; return how many there are."""
    db.execute("set threads = 1")
    db.execute("set enable_progress_bar = false")
    rows.order("all").write_parquet(str(path), compression="zstd", row_group_size=100_000)
    counted = db.read_parquet(str(path)).count("*").fetchone()
    return int(counted[0]) if counted else 0
