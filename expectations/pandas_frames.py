"""Frames of a DuckDB candidate: queries run in DuckDB, Great Expectations judges pandas frames.

What belongs here: opening the files read-only and counting. What does not: judging (``adapter``).

Great Expectations is given frames, never the database: through SQLAlchemy on DuckDB it passes
false checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from expectations.frames import Frame
from ingest.errors import OretraceError
from ingest.home import WORK_MEMORY


class PandasFrames:
    """See ``frames.Frames``."""

    engine = ""
    unreadable: tuple[type[Exception], ...] = (duckdb.Error,)

    def __init__(self, connection: duckdb.DuckDBPyConnection, previous: frozenset[str] | None) -> None:
        """Keep the connection that all queries run on."""
        self.connection = connection
        self.previous = previous

    def batches(self, gx: Any) -> Any:
        """Take any pandas frame."""
        return _batches(gx)

    def columns(self, mart: str) -> list[str]:
        """Ask DuckDB."""
        return [row[0] for row in self.connection.execute(f'describe "{mart}"').fetchall()]

    @contextmanager
    def read(self, sql: str, *, ordered: bool) -> Iterator[Frame]:
        """Read into memory; sorting takes longer than judging."""
        yield self.connection.execute(f"select * from ({sql}){' order by all' if ordered else ''}").df()

    def names(self, frame: Frame) -> list[str]:
        """Return the columns."""
        return list(frame.columns)

    def counts(self, frame: Frame, groups: Sequence[tuple[str, ...]]) -> list[int]:
        """Count in pandas, which takes not-a-number for no value."""
        return [int(frame[list(group)].notna().all(axis=1).sum()) if group else len(frame) for group in groups]

    def first(self, frame: Frame, rows: int) -> list[Mapping[str, Any]]:
        """Return the first rows."""
        return list(frame.head(rows).to_dict("records"))


@contextmanager
def open_candidate(candidate: Path, previous: Path | None) -> Iterator[PandasFrames]:
    """Open the candidate read-only; both files must be there.

    Raises:
        OretraceError: a file is not there or cannot be opened.
    """
    for path, what in ((candidate, "candidate warehouse"), (previous, "last release")):
        if path is not None and not path.is_file():
            raise OretraceError(f"the {what} {path} is not there.")
    try:
        connection = duckdb.connect(str(candidate), read_only=True)
    except duckdb.Error as error:
        raise OretraceError(f"the candidate warehouse {candidate} cannot be opened: {_line(error)}") from None
    try:
        connection.execute("set enable_progress_bar = false")
        connection.execute(f"set memory_limit = '{WORK_MEMORY}'")
        yield PandasFrames(connection, _attach_previous(connection, previous))
    finally:
        connection.close()


def _attach_previous(connection: duckdb.DuckDBPyConnection, previous: Path | None) -> frozenset[str] | None:
    """Attach the last release as ``previous`` and name its tables."""
    if previous is None:
        return None
    location = str(previous).replace("'", "''")
    try:
        connection.execute(f"attach '{location}' as previous (read_only)")
    except duckdb.Error as error:
        raise OretraceError(f"the last release {previous} cannot be opened: {_line(error)}") from None
    rows = connection.execute("select table_name from duckdb_tables() where database_name = 'previous'").fetchall()
    return frozenset(name for (name,) in rows)


@cache
def _batches(gx: Any) -> Any:
    """A batch definition that takes any frame; making a context per frame would cost more than the checks."""
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("candidate").add_dataframe_asset("frame")
    return asset.add_batch_definition_whole_dataframe("all rows")


def _line(error: object) -> str:
    """An error text as one line without a final stop."""
    return re.sub(r"\s+", " ", str(error)).strip().rstrip(".")
