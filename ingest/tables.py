"""Tables between the steps of a run: a Parquet file, or a folder of one file a year for what outgrows memory.

What belongs here: writing a table so that it is there whole or not at all, naming its files, its hash. What does
not: which rows a table holds. Both forms bear the name ``<table>.parquet``, and polars reads both by that name.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from ingest.vintages import sha256_of

BY_YEAR = frozenset(
    {"raw_baci__flows", "raw_baci__totals", "trade_flow", "stage_flow", "traced_exposure", "traced_via"}
)
"""Tables of one file a year: a release of BACI alone brings 28 years of them."""

YEARS_TOGETHER = 400_000
"""Rows of input up to which years are worked on together: small years cost less so, and memory stays the same."""


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a table of one file; it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    frame.write_parquet(partial, compression="zstd")
    partial.replace(path)


def write_scanned(rows: pl.LazyFrame, path: Path, ready: Mapping[int, Path] | None = None) -> None:
    """Write a table whose rows need not fit in memory: of what ``BY_YEAR`` names, a few years at a time.

    Args:
        rows: of all years.
        path: ``<table>.parquet``.
        ready: years whose rows are those of a file that is there and stays as it is.
    """
    if path.stem not in BY_YEAR:
        write_table(rows.collect(), path)
        return
    with years_written(path, rows.collect_schema()) as writer:
        for year, file in (ready or {}).items():
            writer.link(year, file)
        rest = rows.filter(~pl.col("year").is_in([*(ready or {})]))
        for years in years_together(rows_by_year([rest])):
            writer.add(rest.filter(pl.col("year").is_in(years)).collect())


class YearWriter:
    """Takes the rows of a table a few years at a time; a year comes in one piece."""

    def __init__(self, folder: Path) -> None:
        """Write into ``folder``, which is there and empty."""
        self.folder = folder
        self.rows = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Write every year of a frame to its file.

        Raises:
            FileExistsError: a year that was written before.
        """
        for (year,), part in frame.partition_by("year", as_dict=True, maintain_order=True).items():
            path = self.folder / f"{year}.parquet"
            if path.exists():
                raise FileExistsError(path)
            part.write_parquet(path, compression="zstd")
        self.rows += frame.height

    def link(self, year: int, file: Path) -> None:
        """Take a file as that of a year: a hard link to it, for neither is ever written again in its place.

        Raises:
            FileExistsError: a year that was written before.
        """
        (self.folder / f"{year}.parquet").hardlink_to(file)
        self.rows += pl.scan_parquet(file).select(pl.len()).collect().item()


@contextmanager
def years_written(path: Path, schema: pl.Schema) -> Iterator[YearWriter]:
    """Put a folder of yearly files in the place of what is at ``path`` when the block ends well.

    Args:
        path: ``<table>.parquet``.
        schema: columns of the table; one without rows has a file without rows.
    """
    partial = path.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        writer = YearWriter(partial)
        yield writer
        if not writer.rows:
            pl.DataFrame(schema=schema).write_parquet(partial / "none.parquet")
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def parts(path: Path) -> list[Path]:
    """Return the files of a table, by year where there are several."""
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def table_hash(path: Path) -> str:
    """Return a hash of a table's bytes."""
    if not path.is_dir():
        return sha256_of(path)
    whole = hashlib.sha256()
    for part in parts(path):
        whole.update(f"{part.name}\0{sha256_of(part)}\n".encode())
    return whole.hexdigest()


def table_bytes(path: Path) -> int:
    """Return the bytes of a table's files."""
    return sum(part.stat().st_size for part in parts(path))


def rows_by_year(frames: Sequence[pl.LazyFrame]) -> dict[int, int]:
    """Return the rows of each year of some tables together."""
    counted = [frame.group_by("year").len() for frame in frames]
    total = pl.concat(counted).group_by("year").agg(pl.col("len").sum()).sort("year").collect()
    return {year: rows for year, rows in total.iter_rows() if year is not None}


def years_together(rows: dict[int, int], most: int = YEARS_TOGETHER) -> Iterator[list[int]]:
    """Split years into groups of at most ``most`` rows, a larger year on its own."""
    group: list[int] = []
    held = 0
    for year, count in rows.items():
        if group and held + count > most:
            yield group
            group, held = [], 0
        group.append(year)
        held += count
    if group:
        yield group
