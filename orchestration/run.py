"""The whole job from the command line: one process, progress line by line, one run at a time.

What belongs here: running the Dagster job and telling its story. What does not: the job.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.helpers import helpers
from ingest.errors import BadInput, OretraceError
from ingest.home import Home
from ingest.net.session import Settings
from ingest.user_stock import read_user_stock

if TYPE_CHECKING:
    from dagster import DagsterEvent, DagsterInstance, ExecuteInProcessResult

# No telemetry and no first-visit dialog; runs are kept in SQLite under ORETRACE_HOME.
INSTANCE = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"


class RunFailed(OretraceError):
    """A step of the job failed; what is published stays."""


def dagster_home(home: Home) -> Path:
    """Prepare Dagster's folder and name it in the environment; return it."""
    config = home.dagster / "dagster.yaml"
    if not config.exists():
        config.write_text(INSTANCE)
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    os.environ["ORETRACE_HOME"] = str(home.root)
    return home.dagster


@contextmanager
def only_run(home: Home) -> Iterator[None]:
    """Hold the lock of the build folder; it falls with the process, however that ends.

    Raises:
        BadInput: another run holds it.
    """
    with (home.build / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"another run is at work in {home.root}; wait for it to end.") from None
        yield


class Progress(logging.Handler):
    """Prints one line per finished step: layer, name, rows, seconds."""

    def __init__(self) -> None:
        """Start the clock."""
        super().__init__()
        self.begun: dict[str, float] = {}
        self.rows: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Turn a Dagster event into a line; other messages only from errors on."""
        meta: dict[str, Any] = getattr(record, "dagster_meta", {})
        event: DagsterEvent | None = meta.get("dagster_event")
        if event is None:
            message = str(meta.get("orig_message", ""))
            # Warnings of the gate are in its checks; what a publisher did not give concerns this run.
            level = logging.WARNING if str(meta.get("step_key") or "").startswith("raw_") else logging.ERROR
            if record.levelno >= level and message and not message.startswith("Dependencies for step"):
                say(f"  {message}")
            return
        step = event.step_key or ""
        kind = event.event_type_value
        if kind == "STEP_START":
            self.begun[step] = time.monotonic()
        elif kind == "ASSET_MATERIALIZATION":
            self._count(step, event)
        elif kind in ("STEP_SUCCESS", "STEP_FAILURE"):
            took = time.monotonic() - self.begun.get(step, time.monotonic())
            rows = f"{self.rows[step]:>9,} rows" if step in self.rows else " " * 14
            say(f"  {step:<36} {rows} {took:>7.1f} s{'' if kind == 'STEP_SUCCESS' else '   FAILED'}")

    def _count(self, step: str, event: DagsterEvent) -> None:
        rows = event.step_materialization_data.materialization.metadata.get("dagster/row_count")
        if rows is not None and isinstance(rows.value, int):
            self.rows[step] = self.rows.get(step, 0) + rows.value


def say(line: str) -> None:
    """Print a line of progress to stderr, so that stdout holds results only."""
    print(line, file=sys.stderr, flush=True)


def run(
    home: Home, *, compare: bool = True, draws: int | None = None, mode: str = "snapshot", offline: bool = False
) -> dict[str, Any]:
    """Run the job ``refresh`` and return what the publish step says of the release.

    Args:
        home: where everything is written.
        compare: whether the gate compares with the last release.
        draws: Monte Carlo draws behind the intervals; the asset's default when None.
        mode: ``snapshot`` or ``live``.
        offline: in live mode, touch no network.

    Returns:
        ``version``, ``unchanged`` and ``folder`` of the release.

    Raises:
        BadInput: another run is at work, the home is not writable, the snapshot or a file of the user is damaged.
        RunFailed: a step failed; the message says which and why.
    """
    Settings.from_environment()  # a bad setting is a user's mistake, not a publisher's failure
    home.create()
    read_user_stock(home)  # a mistake in the user's file is told before anything runs
    dagster_home(home)
    with only_run(home):
        say("loading tools")
        begun = time.monotonic()
        publishers = {"mode": mode, "offline": offline}
        with helpers():
            result = _execute(compare=compare, draws=draws, publishers=publishers)
        if not result.success:
            raise _failure(result)
        metadata = result.asset_materializations_for_node("published")[0].metadata
        say(f"done in {time.monotonic() - begun:.0f} s")
        return {name: metadata[name].value for name in ("version", "unchanged", "folder")}


def _execute(*, compare: bool, draws: int | None, publishers: dict[str, Any]) -> ExecuteInProcessResult:
    import dagster as dg  # seconds to import

    from orchestration.definitions import defs

    progress = Progress()

    @dg.logger
    def lines(_: dg.InitLoggerContext) -> logging.Logger:
        target = logging.getLogger("oretrace.progress")
        target.setLevel(logging.DEBUG)
        target.propagate = False
        target.handlers = [progress]
        return target

    job = defs.resolve_job_def("refresh").with_logger_defs({"progress": lines})
    instance: DagsterInstance = dg.DagsterInstance.get()
    say(f"running refresh ({publishers['mode']} mode{', offline' if publishers['offline'] else ''})")
    ops = {
        "gate": {"config": {"compare": compare}},
        "trace": {"config": {} if draws is None else {"draws": draws}},
    }
    config = {"ops": ops, "loggers": {"progress": {}}, "resources": {"publishers": {"config": publishers}}}
    return job.execute_in_process(instance=instance, run_config=config, raise_on_error=False)


def _failure(result: ExecuteInProcessResult) -> OretraceError:
    checks = [event for event in result.all_events if event.event_type_value == "ASSET_CHECK_EVALUATION"]
    stopped = [
        check.description or f"{check.asset_key.path[-1]}: {check.check_name} failed"
        for check in (event.asset_check_evaluation_data for event in checks)
        if not check.passed and check.blocking
    ]
    if stopped:
        return RunFailed("the gate stopped publication; what is published stays. " + " | ".join(stopped))
    for event in result.all_events:
        if event.event_type_value == "STEP_FAILURE":
            return _cause(event)
    return RunFailed("the run failed; see it in the Dagster UI: oretrace ui")


def _cause(event: DagsterEvent) -> OretraceError:
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    text = (error.message if error else "failed").strip()
    name, _, rest = text.partition(": ")
    kind = name.rpartition(".")[2]
    message = f"{event.step_key}: {rest if kind.isidentifier() and rest else text}"
    return BadInput(message) if kind in ("BadInput", "UnmappedValue") else RunFailed(message)
