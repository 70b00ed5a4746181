"""The whole job from the command line: one process, progress line by line, one run at a time.

What belongs here: running the Dagster job and telling its story. What does not: the job.
"""

from __future__ import annotations

import logging
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from expectations.helpers import helpers
from ingest.errors import BadInput, OretraceError
from ingest.home import Home
from ingest.net.settings import Settings
from ingest.user_stock import read_user_stock
from orchestration.alerting.telling import telling
from orchestration.instance import dagster_instance
from orchestration.locks import forget_run, hold_build, hold_run
from orchestration.progress import say, shown

if TYPE_CHECKING:
    from dagster import DagsterEvent, DagsterInstance

    from orchestration.alerting.incident import Incident

SHOWN = 6  # failed expectations in the message of a failed run
TOLD = 5  # reasons to run that are told


class RunFailed(OretraceError):
    """A step of the job failed; what is published stays."""


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


def ask_publishers(home: Home) -> dict[str, str]:
    """Fetch what is new of every source, one after the other; one that fails is told and passed over.

    Returns:
        Source to why nothing could be fetched of it.

    Raises:
        BadInput: a setting cannot be used, or the home is not writable.
    """
    from ingest.ask import ask
    from ingest.sources import sources

    Settings.from_environment()  # a bad setting is a user's mistake, not a publisher's failure
    home.create()
    say("asking the publishers")
    problems = {}
    with shown("asking") as meter:
        for source in sources():
            meter.begin(f"asking {source}")
            problems[source] = ask(
                home, source, offline=False, say=lambda line: say(f"  {line}"), warn=lambda line: say(f"  {line}")
            )
    return {source: problem for source, problem in problems.items() if problem}


def say_why(reasons: Sequence[str]) -> None:
    """Say what is new before a run for it."""
    for line in reasons[:TOLD]:
        say(f"  {line}")
    if len(reasons) > TOLD:
        say(f"  and {len(reasons) - TOLD} more")


def run(
    home: Home,
    *,
    compare: bool = True,
    draws: int | None = None,
    mode: str = "snapshot",
    offline: bool = False,
    engine: str = "duckdb",
    remote: str = "",
) -> dict[str, Any]:
    """Run the job ``refresh`` and return what the publish step says of the release.

    Args:
        home: where everything is written.
        compare: whether the gate compares with the last release.
        draws: Monte Carlo draws behind the intervals; the asset's default when None.
        mode: ``snapshot`` or ``live``.
        offline: in live mode, touch no network.
        engine: ``duckdb`` or ``spark``, which builds and audits the warehouse.
        remote: the Spark Connect server.

    Returns:
        ``version``, ``unchanged`` and ``folder`` of the release.

    Raises:
        BadInput: another run is at work, the home is not writable, the snapshot or a file of the user is damaged.
        RunFailed: a step failed; the message says which and why.
    """
    run_id = str(uuid4())
    resources = {
        "publishers": {"config": {"mode": mode, "offline": offline}},
        "builder": {"config": {"engine": engine, "remote": remote}},
    }
    with telling(home, run_id):
        try:
            incident = _run(home, run_id, compare=compare, draws=draws, resources=resources)
        except OretraceError:
            raise
        except Exception as error:  # Dagster's own storage, on a disk without room or one that died
            raise RunFailed(f"the run could not be recorded: {_last_words(error)}") from error
    if not incident.ok:
        raise _failure(incident)
    folder = home.warehouse / "releases" / incident.version
    return {"version": incident.version, "unchanged": incident.unchanged, "folder": str(folder)}


def _run(home: Home, run_id: str, *, compare: bool, draws: int | None, resources: dict[str, Any]) -> Incident:
    Settings.from_environment()  # a bad setting is a user's mistake, not a publisher's failure
    home.create()
    read_user_stock(home)  # a mistake in the user's file is told before anything runs
    with hold_build(home, run_id=run_id), hold_run(home, run_id), helpers():
        say("loading tools")
        begun = time.monotonic()
        # Seconds to import.
        from orchestration.alerting.desk import Desk
        from orchestration.alerting.incident import incident_of
        from orchestration.alerting.watch import catch_up, look_at_house

        with dagster_instance(home) as instance:
            desk = Desk(home)
            for line in catch_up(home, instance, desk):
                say(f"  {line}")
            # Lines only: Dagster keeps what a step writes to the terminal, and a moving line would fill its logs.
            _execute(instance, run_id, compare=compare, draws=draws, resources=resources)
            incident = incident_of(instance, run_id)
            if incident is None:
                raise RunFailed("the run did not come to its end; see it in the Dagster UI: oretrace ui")
            look_at_house(home, desk)
            for message in desk.finished(incident):
                say(f"  alert {message.alert.id} is kept and sent later: {', '.join(message.waiting)} did not take it")
        if incident.ok:
            say(f"done in {time.monotonic() - begun:.0f} s")
    forget_run(home, run_id)
    return incident


def _execute(
    instance: DagsterInstance, run_id: str, *, compare: bool, draws: int | None, resources: dict[str, Any]
) -> None:
    import dagster as dg

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
    publishers, engine = resources["publishers"]["config"], resources["builder"]["config"]["engine"]
    how = ", offline" if publishers["offline"] else ""
    say(f"running refresh ({publishers['mode']} mode{how}{', on Spark' if engine == 'spark' else ''})")
    ops = {
        "gate": {"config": {"compare": compare}},
        "trace": {"config": {} if draws is None else {"draws": draws}},
    }
    config = {"ops": ops, "loggers": {"progress": {}}, "resources": resources}
    job.execute_in_process(instance=instance, run_id=run_id, run_config=config, raise_on_error=False)


def _failure(incident: Incident) -> OretraceError:
    if incident.kind == "gate_failed":
        return RunFailed(stopped_by_the_gate(incident.reasons, Home.from_environment().build / "data_docs"))
    message = incident.reasons[0] if incident.reasons else "the run failed; see it in the Dagster UI: oretrace ui"
    return BadInput(message) if incident.exit_code == 2 else RunFailed(message)


def stopped_by_the_gate(reasons: Sequence[str], pages: Path) -> str:
    """Say in lines that can be read what the gate found, where all of it stands, and what can be done.

    Args:
        reasons: what each failed check says.
        pages: folder with the pages of the audit.
    """
    lines = ["the gate stopped publication; what is published stays."]
    for reason in reasons[:SHOWN]:
        lines += textwrap.wrap(reason, 110, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
    if len(reasons) > SHOWN:
        lines.append(f"  and {len(reasons) - SHOWN} more")
    lines += [
        f"Every check with the rows that break it: {pages / 'index.html'}",
        "A wrong figure wants a correction in ingest/reference. What only differs from the last release, such as a",
        "rightly smaller coverage, is accepted with: oretrace run --no-compare",
    ]
    return "\n".join(lines)


def _last_words(error: BaseException) -> str:
    """What the innermost error said, on one line: SQLAlchemy and Dagster wrap it in pages."""
    from orchestration.alerting.incident import plain_words

    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return plain_words(str(error).strip().partition("\n")[0] or type(error).__name__)
