"""What every publisher's module declares: who publishes, under which terms, and how a vintage is read.

What belongs here: the ``Source`` record and the checks that all readers share. What does not:
anything about one publisher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ingest.errors import OretraceError, SourceChanged

Reader = Callable[[Path, str], dict[str, pl.DataFrame]]
PartsReader = Callable[[Path, str], Iterator[dict[str, pl.DataFrame]]]


@dataclass(frozen=True)
class Source:
    """One publisher's product.

    Attributes:
        name: slug, the ``source`` value of every row made from it.
        publisher: organisation.
        title: product.
        licence: SPDX name or short name of the terms.
        licence_url: where the terms are.
        homepage: where the data are found.
        citation: how to cite, with ``{vintage}`` for the edition.
        tables: source tables the reader returns, name ``raw_<source>__<thing>`` to schema; each has
            the columns ``source`` and ``vintage``.
        read: ``read(folder, vintage)`` with ``folder`` the raw vintage as the publisher's files;
            returns every table in ``tables``; raises SourceChanged when a file or column is not as expected.
        keeps: ``editions`` where each edition holds something the others do not, ``newest`` where the
            newest replaces the rest, ``newest_by_year`` where it does so from its first year on.
        in_snapshot: whether the terms let the figures be embedded; where not, the tables are empty in
            snapshot mode.
        may_be_empty: tables that some form of the product does not hold; ``read`` may leave them out.
        read_parts: reads a product that outgrows memory a part at a time, each as ``read`` gives the whole;
            no year of a table is in two parts.
    """

    name: str
    publisher: str
    title: str
    licence: str
    licence_url: str
    homepage: str
    citation: str
    tables: Mapping[str, Mapping[str, pl.DataType]]
    read: Reader
    keeps: str = "editions"
    in_snapshot: bool = True
    may_be_empty: frozenset[str] = frozenset()
    read_parts: PartsReader | None = None

    def read_vintage(self, folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
        """Read one raw vintage and hold its tables to the declared schemas.

        Args:
            folder: holds the publisher's files (sub-folders allowed).
            vintage: edition, e.g. ``2026``.

        Returns:
            Table name to frame, columns as declared, ``source`` and ``vintage`` filled in.

        Raises:
            SourceChanged: a table is missing, empty (unless it may be) or of another shape.
        """
        parts = list(self.parts_of(folder, vintage))
        return {table: pl.concat([part[table] for part in parts]) for table in self.tables}

    def parts_of(self, folder: Path, vintage: str) -> Iterator[dict[str, pl.DataFrame]]:
        """Read one raw vintage as ``read_vintage`` does, a part at a time where it is large.

        Yields:
            Table name to frame, as ``read_vintage`` returns it; a table may have no rows in some part.

        Raises:
            SourceChanged: as ``read_vintage``.
        """
        rows = dict.fromkeys(self.tables, 0)
        try:
            for frames in self.read_parts(folder, vintage) if self.read_parts else [self.read(folder, vintage)]:
                part = {table: self._held(frames.get(table), table, vintage) for table in self.tables}
                rows = {table: count + part[table].height for table, count in rows.items()}
                yield part
        except OretraceError:
            raise
        except Exception as error:
            what = (str(error).strip().splitlines() or [""])[0][:200]
            raise SourceChanged(
                f"{self.name} {vintage}: the files in {folder} cannot be read as {self.title} "
                f"({type(error).__name__}: {what})."
            ) from error
        for table, count in rows.items():
            if not count and table not in self.may_be_empty:
                raise SourceChanged(f"{self.name} {vintage}: no rows for {table} in {folder}.")

    def _held(self, frame: pl.DataFrame | None, table: str, vintage: str) -> pl.DataFrame:
        """Hold a frame to the declared schema; one that is not there has no rows."""
        schema = self.tables[table]
        if frame is None:
            return pl.DataFrame(schema=dict(schema))
        frame = frame.with_columns(source=pl.lit(self.name), vintage=pl.lit(vintage))
        missing = [column for column in schema if column not in frame.columns]
        unknown = [column for column in frame.columns if column not in schema]
        if missing or unknown:
            raise SourceChanged(
                f"{self.name} {vintage}: {table} lacks columns {missing} and has unknown columns {unknown}."
            )
        return frame.select(pl.col(name).cast(kind) for name, kind in schema.items())


def files(folder: Path, pattern: str, *, at_least: int = 1) -> list[Path]:
    """List files below ``folder`` that match ``pattern`` (a recursive glob), sorted by path.

    Raises:
        SourceChanged: fewer than ``at_least``.
    """
    found = sorted(path for path in folder.rglob(pattern) if path.is_file())
    if len(found) < at_least:
        raise SourceChanged(f"{folder}: expected at least {at_least} file(s) {pattern!r}, found {len(found)}.")
    return found
