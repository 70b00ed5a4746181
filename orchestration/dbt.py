"""Running dbt inside this process: manifest, build, and dbt's events for Dagster.

What belongs here: how dbt is called (``dbtRunner``: the command line would cost seconds of start-up
per call) and where its files go. What does not: the models, and what Dagster makes of the events.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from ingest.errors import OretraceError
from ingest.home import PROJECT, Home

DBT_PROJECT = PROJECT / "dbt_project"


class DbtFailedError(OretraceError):
    """A model or a dbt test failed; the candidate is not audited and nothing is published."""


def candidate(home: Home) -> Path:
    """Return where dbt builds the warehouse."""
    return home.build / "candidate.duckdb"


def certificate(home: Home) -> Path:
    """Return where the gate writes its certificate."""
    return home.build / "certificate.json"


def target(home: Home) -> Path:
    """Return dbt's folder for the manifest and compiled SQL."""
    return home.build / "dbt"


@contextmanager
def _environment(home: Home) -> Iterator[None]:
    """Give dbt its paths; dbt reads them with ``env_var`` and may change the working directory."""
    settings = {
        "ORETRACE_CANDIDATE": str(candidate(home)),
        # The models quote it as a SQL string.
        "ORETRACE_CANONICAL": str(home.canonical).replace("'", "''"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
    before = {name: os.environ.get(name) for name in settings}
    folder = Path.cwd()
    os.environ.update(settings)
    try:
        yield
    finally:
        os.chdir(folder)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _invoke(home: Home, *arguments: str) -> tuple[bool, list[dict[str, Any]]]:
    # Imported here: dbt costs seconds, and most commands do not need it.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner
    from dbt_common.events.functions import msg_to_dict

    events: list[dict[str, Any]] = []
    flags = [
        *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
        *("--target-path", str(target(home)), "--log-path", str(target(home) / "logs")),
    ]
    with _environment(home):
        try:
            result = dbtRunner(callbacks=[lambda event: events.append(msg_to_dict(event))]).invoke(
                ["--quiet", *arguments, *flags]
            )
        finally:
            # dbt keeps the file open for the life of the process; readers would meet its lock.
            DuckDBConnectionManager.close_all_connections()
    if result.exception is not None:
        raise DbtFailedError(f"dbt {arguments[0]} could not run: {result.exception}") from None
    return bool(result.success), events


def manifest(home: Home) -> Path:
    """Return dbt's manifest, parsed anew when any file of the dbt project is newer.

    Raises:
        DbtFailedError: the project does not parse.
    """
    path = target(home) / "manifest.json"
    files = [file for file in DBT_PROJECT.rglob("*") if file.is_file() and "target" not in file.parts]
    newest = max(file.stat().st_mtime for file in files)
    if not path.is_file() or path.stat().st_mtime < newest:
        target(home).mkdir(parents=True, exist_ok=True)
        success, events = _invoke(home, "parse")
        if not success:
            raise DbtFailedError(f"dbt parse failed:\n{_messages(events)}")
        os.utime(path)
    return path


def build(home: Home) -> list[dict[str, Any]]:
    """Build and test every model into a fresh candidate.

    Returns:
        dbt's events, as dictionaries.

    Raises:
        DbtFailedError: dbt could not run at all. A failed model or test is in the events.
    """
    for stale in (certificate(home), candidate(home), candidate(home).with_suffix(".duckdb.wal")):
        stale.unlink(missing_ok=True)
    _, events = _invoke(home, "build")
    return events


def failures(events: list[dict[str, Any]]) -> list[str]:
    """Return one line for every model or test that failed, with dbt's message."""
    results = json_results(events)
    lines = []
    for event in results:
        data = event["data"]
        status = str(data.get("status", "")).lower()
        if status.startswith(("error", "fail")):
            lines.append(f"{data['node_info']['unique_id']}: {status}")
    return lines or _messages(events).splitlines()


def json_results(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events that report the result of a node."""
    return [event for event in events if str(event["info"]["name"]).endswith("Result") and "node_info" in event["data"]]


def _messages(events: list[dict[str, Any]]) -> str:
    return "\n".join(event["info"]["msg"] for event in events if event["info"]["level"] == "error")


def catalog(path: Path) -> dict[str, dict[str, str]]:
    """Return relation ``schema.table`` to column names and types, views included."""
    columns: dict[str, dict[str, str]] = {}
    with duckdb.connect(str(path), read_only=True) as db:
        rows = db.execute(
            "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns() "
            "where not internal order by 1, column_index"
        ).fetchall()
    for relation, column, kind in rows:
        columns.setdefault(relation, {})[column] = kind
    return columns


def finish_candidate(path: Path) -> None:
    """Write everything to the one file, and make sure that it stands alone.

    Raises:
        OretraceError: it holds a view; views over canonical Parquet hold absolute paths.
    """
    with duckdb.connect(str(path)) as db:
        views = db.execute("select schema_name, view_name from duckdb_views() where not internal").fetchall()
        if views:
            raise OretraceError(f"the candidate holds views, which may not be published: {views}.")
        db.execute("checkpoint")


def load_manifest(home: Home) -> Mapping[str, Any]:
    """Return the parsed manifest."""
    loaded: dict[str, Any] = json.loads(manifest(home).read_text())
    return loaded
