"""Running dbt inside this process: manifest, build, and dbt's events for Dagster.

What belongs here: how dbt is called (``dbtRunner``: the command line would cost seconds of start-up
per call) and where its files go. What does not: the models, and what Dagster makes of the events.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from ingest.errors import OretraceError
from ingest.home import PROJECT, Home

DBT_PROJECT = PROJECT / "dbt_project"
PREVIEW_ROWS = 8


@dataclass(frozen=True)
class Relation:
    """What dbt built: column types, number of rows, the first rows."""

    columns: Mapping[str, str]
    rows: int
    head: list[tuple[Any, ...]]


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


def _invoke(home: Home, *arguments: str, look: bool = False) -> tuple[bool, list[dict[str, Any]], dict[str, Relation]]:
    # Imported here: dbt costs seconds, and most commands do not need it.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner
    from dbt_common.events.functions import msg_to_dict

    events: list[dict[str, Any]] = []
    relations: dict[str, Relation] = {}
    flags = [
        *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
        *("--target-path", str(target(home)), "--log-path", str(target(home) / "logs")),
    ]
    with _environment(home):
        try:
            result = dbtRunner(callbacks=[lambda event: events.append(msg_to_dict(event))]).invoke(
                ["--quiet", *arguments, *flags]
            )
            if look and result.exception is None:
                # Staging and intermediate relations live in memory and are gone once dbt lets go.
                relations = _relations(DuckDBConnectionManager.env().handle().cursor())  # type: ignore[no-untyped-call]
        finally:
            # dbt keeps the file open for the life of the process; readers would meet its lock.
            DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    if result.exception is not None:
        raise DbtFailedError(f"dbt {arguments[0]} could not run: {result.exception}") from None
    return bool(result.success), events, relations


def _relations(cursor: Any) -> dict[str, Relation]:
    """Return every relation that dbt built, by name."""
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
        success, events, _ = _invoke(home, "parse")
        if not success:
            raise DbtFailedError(f"dbt parse failed:\n{_messages(events)}")
        os.utime(path)
    return path


def build(home: Home, *, unit_tests: bool = False) -> tuple[list[dict[str, Any]], dict[str, Relation]]:
    """Build and test every model into a fresh candidate.

    Args:
        home: where the canonical tables are and the candidate goes.
        unit_tests: run dbt's unit tests too; they test the SQL, not the data, so a production run skips them.

    Returns:
        dbt's events as dictionaries, and what was built, by model name.

    Raises:
        DbtFailedError: dbt could not run at all. A failed model or test is in the events.
    """
    for stale in (certificate(home), candidate(home), candidate(home).with_suffix(".duckdb.wal")):
        stale.unlink(missing_ok=True)
    only_data = [] if unit_tests else ["--exclude-resource-type", "unit_test"]
    _, events, relations = _invoke(home, "build", *only_data, look=True)
    return events, relations


def failures(home: Home, events: list[dict[str, Any]]) -> list[str]:
    """Return one line for every model or test that failed, with dbt's message; empty when all is well."""
    path = target(home) / "run_results.json"
    if not json_results(events) or not path.is_file():
        return _messages(events).splitlines() or ["dbt built nothing"]
    results = json.loads(path.read_text())["results"]
    return [
        f"{result['unique_id'].split('.', 2)[-1]}: {' '.join(str(result['message']).split())}"
        for result in results
        if result["status"] in ("error", "fail", "runtime error")
    ]


def json_results(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events that report the result of a node."""
    return [event for event in events if str(event["info"]["name"]).endswith("Result") and "node_info" in event["data"]]


def _messages(events: list[dict[str, Any]]) -> str:
    return "\n".join(event["info"]["msg"] for event in events if event["info"]["level"] == "error")


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
