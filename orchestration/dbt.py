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

from ingest.errors import BadInput, OretraceError
from ingest.home import PROJECT, Home
from orchestration import failing
from orchestration.engines import Engine, Relation
from orchestration.engines.duck import DuckEngine, candidate
from orchestration.failing import FailingRows

DBT_PROJECT = PROJECT / "dbt_project"
DUCKDB = DuckEngine()


@dataclass(frozen=True)
class Built:
    """Outcome of a build.

    Attributes:
        events: dbt's events as dictionaries.
        relations: what was built, by model name.
        failed_tests: a line for each test that failed.
        failing: the rows it found, by the ``unique_id`` of the test.
    """

    events: list[dict[str, Any]]
    relations: dict[str, Relation]
    failed_tests: list[str]
    failing: dict[str, FailingRows]


class DbtFailedError(OretraceError):
    """A model failed or dbt could not run; the candidate is not audited and nothing is published."""


def certificate(home: Home) -> Path:
    """Return where the gate writes its certificate."""
    return home.build / "certificate.json"


def tests_file(home: Home) -> Path:
    """Return where a build keeps which dbt tests failed."""
    return home.build / "dbt_tests.json"


def target(home: Home) -> Path:
    """Return dbt's folder for the manifest and compiled SQL."""
    return home.build / "dbt"


@contextmanager
def _environment(home: Home, engine: Engine) -> Iterator[None]:
    """Give dbt its paths; dbt reads them with ``env_var`` and may change the working directory."""
    settings = {
        **engine.settings(home),
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


@dataclass(frozen=True)
class _Outcome:
    """What one dbt command said: success, its events as dictionaries, the result dbt returns."""

    success: bool
    events: list[dict[str, Any]]
    result: Any


def _call(home: Home, *arguments: str, manifest: Any = None, engine: Engine = DUCKDB) -> _Outcome:
    """Run one dbt command; a parsed manifest saves parsing again."""
    # Imported here: dbt costs seconds, and most commands do not need it.
    from dbt.cli.main import dbtRunner
    from dbt_common.events.functions import msg_to_dict

    events: list[dict[str, Any]] = []

    def keep(event: Any) -> None:
        # dbt tells some twenty events a node; making a dictionary of each takes longer than many a test.
        if event.info.level == "error" or event.info.name.endswith("Result"):
            events.append(msg_to_dict(event))

    flags = [
        *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
        *("--target", engine.name),
        *("--target-path", str(target(home)), "--log-path", str(target(home) / "logs")),
        # The level of debug would write every statement there; they are in ``compiled`` and ``run`` beside it.
        *("--log-level-file", "info"),
    ]
    runner = dbtRunner(manifest=manifest, callbacks=[keep])
    done = runner.invoke(["--quiet", *arguments, *flags])
    if done.exception is not None:
        raise DbtFailedError(f"dbt {arguments[0]} could not run: {done.exception}") from None
    return _Outcome(bool(done.success), events, done.result)


@contextmanager
def _session(home: Home, engine: Engine) -> Iterator[None]:
    """Keep what dbt builds for several commands."""
    with _environment(home, engine), engine.session(home):
        yield


def _failing(tested: _Outcome, parsed: Any, engine: Engine) -> dict[str, FailingRows]:
    """Return the rows behind each failed test; a test that could not run found none."""
    failed = [result for result in getattr(tested.result, "results", []) if result.status in ("fail", "warn")]
    if not failed:
        return {}
    read = engine.reader()
    keys = failing.keys(node.to_dict() for node in parsed.nodes.values() if node.resource_type == "test")
    found = {}
    for test in (result.node for result in failed):
        model = parsed.nodes.get(getattr(test, "attached_node", None))  # a test in a file of its own has none
        relation, key = (model.relation_name, keys.get(model.unique_id, [])) if model else ("", [])
        found[test.unique_id] = read(failing.query(test.to_dict(), relation, key, engine.quote))
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
        with _session(home, DUCKDB):
            parsed = _call(home, "parse")
        if not parsed.success:
            raise DbtFailedError(f"dbt parse failed:\n{_messages(parsed.events)}")
        os.utime(path)
    return path


def build(home: Home, engine: Engine = DUCKDB, *, unit_tests: bool = False) -> Built:
    """Build every model into a fresh candidate, then test the data of all of them.

    A failed test does not stop the others, nor the gate after them: whoever mends the data sees everything
    that is wrong with it. What failed is kept in ``tests_file`` and keeps the gate from certifying.

    Args:
        home: where the canonical tables are and the candidate goes.
        engine: what the models run on.
        unit_tests: run dbt's unit tests too; they test the SQL, not the data, so a production run skips them.

    Raises:
        DbtFailedError: dbt could not run, or a model failed; the message says which and why.
    """
    for path in (certificate(home), tests_file(home)):
        path.unlink(missing_ok=True)
    engine.clear(home)
    only_data = [] if unit_tests else ["--exclude-resource-type", "unit_test"]
    with _session(home, engine):
        # The JSON files of these three would be read by nobody; the manifest was written when it was last parsed.
        parsed = _call(home, "parse", "--no-write-json", engine=engine).result
        ran = _call(home, "run", "--no-write-json", manifest=parsed, engine=engine)
        if not ran.success:
            raise DbtFailedError("a model failed; nothing is published:\n" + "\n".join(_failed(ran)))
        tested = _call(home, "test", "--no-write-json", *only_data, manifest=parsed, engine=engine)
        models = [node.to_dict() for node in parsed.nodes.values() if node.resource_type == "model"]
        relations = engine.relations(home, models)
        behind = _failing(tested, parsed, engine)
        engine.finish(home, [model["name"] for model in models if model["fqn"][1] == "marts"])
    engine.released(home)
    failed = _failed(tested)
    tests_file(home).write_text(json.dumps({"failed": failed}, indent=1) + "\n")
    return Built([*ran.events, *tested.events], relations, failed, behind)


def docs(home: Home) -> Path:
    """Write the data dictionary of all models as one static page; needs no network.

    Raises:
        BadInput: there is no candidate yet to describe.
        DbtFailedError: dbt could not write it.
    """
    if not candidate(home).is_file():
        raise BadInput(f"there is no candidate {candidate(home)} to describe yet. Build it with: oretrace run")
    with _session(home, DUCKDB):
        written = _call(home, "docs", "generate", "--static")
    if not written.success:
        raise DbtFailedError(f"dbt docs failed:\n{_messages(written.events)}")
    return target(home) / "static_index.html"


def failed_tests(home: Home) -> list[str]:
    """Return what dbt's tests found wrong with the candidate, a line each.

    Raises:
        OretraceError: the candidate was not tested.
    """
    try:
        found: list[str] = json.loads(tests_file(home).read_text())["failed"]
    except (OSError, ValueError, KeyError):
        raise OretraceError(
            f"{tests_file(home)} is missing: the candidate was not tested. Build it: oretrace run"
        ) from None
    return found


def _failed(outcome: _Outcome) -> list[str]:
    """Return one line for every model or test that failed, with dbt's message."""
    results = getattr(outcome.result, "results", [])
    if not results:
        return _messages(outcome.events).splitlines() or ["dbt built nothing"]
    return [
        f"{result.node.unique_id.split('.', 2)[-1]}: {' '.join(str(result.message).split())}"
        for result in results
        if result.status in ("error", "fail", "runtime error", "skipped")
    ]


def json_results(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events that report the result of a node."""
    return [event for event in events if str(event["info"]["name"]).endswith("Result") and "node_info" in event["data"]]


def _messages(events: list[dict[str, Any]]) -> str:
    return "\n".join(event["info"]["msg"] for event in events if event["info"]["level"] == "error")


def load_manifest(home: Home) -> Mapping[str, Any]:
    """Return the parsed manifest."""
    loaded: dict[str, Any] = json.loads(manifest(home).read_text())
    return loaded
