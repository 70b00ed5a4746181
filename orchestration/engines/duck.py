"""DuckDB builds the candidate in this process: one file, marts only.

What belongs here: the file, dbt's connection to it, what is read through that connection. What does not: running dbt
(``orchestration.dbt``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from ingest.errors import OretraceError
from ingest.home import WORK_MEMORY, Home
from orchestration import failing
from orchestration.engines import PREVIEW_ROWS, Relation
from orchestration.failing import FailingRows


def candidate(home: Home) -> Path:
    """Return where dbt builds the warehouse."""
    return home.build / "candidate.duckdb"


def scratch(home: Home) -> Path:
    """Return where dbt keeps staging and intermediate models while it builds."""
    return home.build / "scratch.duckdb"


def _with_log(file: Path) -> tuple[Path, Path]:
    """Return a DuckDB file and its write-ahead log."""
    return file, file.with_suffix(".duckdb.wal")


class DuckEngine:
    """See ``Engine``."""

    name = "duckdb"
    remote = ""
    quote = '"'

    def candidate(self, home: Home) -> Path:
        """Return the file."""
        return candidate(home)

    def settings(self, home: Home) -> dict[str, str]:
        """Name the files, and how much memory there is before work goes to disk."""
        return {
            "ORETRACE_CANDIDATE": str(candidate(home)),
            "ORETRACE_SCRATCH": str(scratch(home)),
            "ORETRACE_WORK_MEMORY": WORK_MEMORY,
        }

    def clear(self, home: Home) -> None:
        """Remove the files and their write-ahead logs."""
        for path in (*_with_log(candidate(home)), *_with_log(scratch(home))):
            path.unlink(missing_ok=True)

    @contextmanager
    def session(self, home: Home) -> Iterator[None]:
        """Keep dbt's connection; then let go of the files."""
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        try:
            yield
        finally:
            # dbt keeps the file open for the life of the process; readers would meet its lock.
            DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]

    def relations(self, home: Home, models: Iterable[Mapping[str, Any]]) -> dict[str, Relation]:
        """Return every relation by name; staging and intermediate ones end with the build."""
        cursor = _cursor()
        columns: dict[tuple[str, ...], dict[str, str]] = {}
        for *place, column, kind in cursor.execute(
            "select database_name, schema_name, table_name, column_name, data_type from duckdb_columns() "
            "where not internal order by column_index"
        ).fetchall():
            columns.setdefault(tuple(place), {})[column] = kind
        found = {}
        for place, types in columns.items():
            relation = ".".join(f'"{part}"' for part in place)
            rows = cursor.execute(f"select count(*) from {relation}").fetchone()[0]
            head = cursor.execute(f"select * from {relation} limit {PREVIEW_ROWS}").fetchall()
            found[place[-1]] = Relation(types, int(rows), head)
        return found

    def reader(self) -> Callable[[str], FailingRows]:
        """Read on the connection that dbt holds."""
        cursor = _cursor()
        return lambda sql: failing.read(cursor, sql)

    def finish(self, home: Home, marts: Iterable[str]) -> None:
        """Leave everything to the end of the session: until then dbt holds the file."""

    def released(self, home: Home) -> None:
        """Write everything to the one file, make sure that it stands alone, and remove the scratch file.

        Raises:
            OretraceError: it holds a view; views over canonical Parquet hold absolute paths.
        """
        for path in _with_log(scratch(home)):
            path.unlink(missing_ok=True)
        with duckdb.connect(str(candidate(home))) as db:
            views = db.execute("select schema_name, view_name from duckdb_views() where not internal").fetchall()
            if views:
                raise OretraceError(f"the candidate holds views, which may not be published: {views}.")
            db.execute("checkpoint")

    @contextmanager
    def open(self, home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file read-only."""
        with duckdb.connect(str(candidate(home)), read_only=True) as db:
            yield db


def _cursor() -> Any:
    """Return a cursor on the connection that dbt holds."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    return DuckDBConnectionManager.env().handle().cursor()  # type: ignore[no-untyped-call]
