"""Reading the published warehouse: connections that cannot write, and one-line access to a mart.

What belongs here: opening the published file for users. What does not: anything that writes.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ingest.errors import BadInput
from ingest.home import Home
from ingest.store import configured
from ingest.words import unknown

if TYPE_CHECKING:
    import polars as pl

MEMORY = "2GB"
LOCKED_DOWN = (
    "set python_enable_replacements = false",
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
    "set allow_community_extensions = false",
    "set temp_directory = ''",
    "set enable_external_access = false",
    # Without external access DuckDB still opens the paths of the database itself, and of its write-ahead log, which
    # the next reader would replay. The file is open by now; nothing else is ever opened.
    "set disabled_filesystems = 'LocalFileSystem'",
    "set lock_configuration = true",
)


def published_file(home: Home | None = None) -> Path:
    """Return the published DuckDB file, resolved to its release.

    Raises:
        BadInput: nothing has been published yet.
    """
    home = home or Home.from_environment()
    if configured():
        from orchestration.store.shelf import catch_up

        catch_up(home)
    link = home.warehouse / "oretrace.duckdb"
    if not link.exists():
        raise BadInput(f"there is no published warehouse at {link} yet. Build it with: oretrace run")
    return link.resolve()


def connect(path: str | Path | None = None, *, memory: str = MEMORY) -> duckdb.DuckDBPyConnection:
    """Open the published warehouse, read-only and locked down.

    Within one process all connections to the same file share these limits, those opened with plain DuckDB too.

    Args:
        path: a release's DuckDB file; the published one by default.
        memory: what queries may use before they fail; nothing is spilled to disk.

    Returns:
        A DuckDB connection that can read the warehouse and nothing else: it cannot write, attach,
        install, read or write other files, or be configured otherwise. It keeps its release for good.

    Raises:
        BadInput: nothing has been published yet.

    Example:
        >>> import oretrace
        >>> with oretrace.connect() as db:
        ...     db.sql("select count(*) > 0 as any from mart_claims").fetchone()
        (True,)
    """
    db = duckdb.connect(str(Path(path).resolve() if path else published_file()), read_only=True)
    locked = db.execute("select current_setting('lock_configuration')").fetchone()
    if locked != (True,):
        db.execute("set memory_limit = '" + memory.replace("'", "''") + "'")
        with suppress(duckdb.InvalidInputException):  # a notebook without ipywidgets has no bar to switch off
            db.execute("set enable_progress_bar = false")
        for setting in LOCKED_DOWN:
            db.execute(setting)
    return db


def tables(db: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the names of the published tables, sorted."""
    return [name for (name,) in db.execute("select table_name from duckdb_tables() order by 1").fetchall()]


def table(name: str) -> pl.DataFrame:
    """Read one published table as a polars frame.

    Args:
        name: e.g. ``mart_dependence_by_stage``.

    Returns:
        All its rows; its columns are explained in ``docs/reference/tables.md``.

    Raises:
        BadInput: no such table (the message names the nearest), or nothing published yet.

    Example:
        >>> import oretrace
        >>> claims = oretrace.table("mart_claims")
        >>> claims.select("claim", "verdict").columns
        ['claim', 'verdict']
    """
    with connect() as db:
        known = tables(db)
        if name not in known:
            raise BadInput(f"there is no table {name!r} in the warehouse. {unknown(name, known, 'Tables')}")
        return db.execute(f'select * from "{name}"').pl()
