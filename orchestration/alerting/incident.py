"""What a finished run left in Dagster: what failed, where and why, in the product's own words.

What belongs here: reading events of a run. What does not: whether anybody is told (``desk``).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ingest.home import Home
from orchestration.alerting.kinds import kind_of_error

if TYPE_CHECKING:
    from dagster import DagsterEvent, DagsterInstance

FULL = ("No space left on device", "disk is full", "ENOSPC", "No space left")
SQLITE, ROOM = "disk I/O error", 1_000_000
READ_ONLY = ("Read-only file system", "cannot be written", "readonly database", "read-only database")
DIED = "its process is gone without a word (killed, out of memory, or the machine went down)"


@dataclass(frozen=True)
class Incident:
    """How a run ended.

    Attributes:
        run_id: the run.
        job: its job; ``ad hoc`` for assets materialised by hand.
        ok: whether it succeeded.
        kind: kind of alert when it did not.
        where: steps that failed.
        reasons: why, one line each.
        exit_code: what the command line ends with.
        version: release that readers see after it; empty when it published none.
        unchanged: whether the figures were the same as before.
        mode: ``live`` or ``snapshot``; empty when no source was read.
        not_fetched: source to why it could not be fetched.
    """

    run_id: str
    job: str
    ok: bool
    kind: str = "run_failed"
    where: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    exit_code: int = 1
    version: str = ""
    unchanged: bool = True
    mode: str = ""
    not_fetched: tuple[tuple[str, str], ...] = ()


def incident_of(instance: DagsterInstance, run_id: str) -> Incident | None:
    """Read how a run ended; None for a run that is not there or not over."""
    import dagster as dg

    run = instance.get_run_by_id(run_id)
    if run is None or not run.is_finished:
        return None
    job = "ad hoc" if run.job_name.startswith("__") else run.job_name
    kinds = {
        dg.DagsterEventType.STEP_FAILURE,
        dg.DagsterEventType.ASSET_CHECK_EVALUATION,
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        dg.DagsterEventType.RUN_FAILURE,
    }
    events = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=kinds) if entry.dagster_event]
    found = _made(Incident(run_id, job, ok=run.status == dg.DagsterRunStatus.SUCCESS), events)
    if found.ok:
        return found
    if run.status == dg.DagsterRunStatus.CANCELED:
        return replace(found, kind="run_canceled", reasons=("it was stopped",))
    return _why(found, events)


def incident_of_error(run_id: str, job: str, error: Exception) -> Incident:
    """Make an incident of an error that ended a run before Dagster knew of it, or because it could not write."""
    text = plain_words(str(error) or type(error).__name__)
    kind = kind_of_text(text)
    if kind == "run_failed":
        kind = kind_of_error(type(error).__name__) or kind
    return Incident(run_id, job, ok=False, kind=kind, reasons=(text,), exit_code=getattr(error, "exit_code", 1))


def _made(found: Incident, events: Sequence[DagsterEvent]) -> Incident:
    """Add what the run materialised: the release, the mode, what could not be fetched."""
    missing: dict[str, str] = {}
    for event in events:
        if event.event_type_value != "ASSET_MATERIALIZATION":
            continue
        metadata = {
            name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        if event.asset_key and event.asset_key.path == ["published"]:
            found = replace(found, version=str(metadata["version"]), unchanged=bool(metadata["unchanged"]))
        if "mode" in metadata:
            found = replace(found, mode=str(metadata["mode"]))
        if "not_fetched" in metadata and event.step_key:
            missing[event.step_key.removeprefix("raw_")] = str(metadata["not_fetched"])
    return replace(found, not_fetched=tuple(sorted(missing.items())))


def _why(found: Incident, events: Sequence[DagsterEvent]) -> Incident:
    stopped = [line for event in events for line in failed_check(event)]
    failures = [event for event in events if event.event_type_value == "STEP_FAILURE"]
    steps = tuple(event.step_key or "" for event in failures)
    if stopped:
        return replace(found, kind="gate_failed", where=steps or ("gate",), reasons=tuple(stopped))
    if failures:
        told = [reason(event) for event in failures]
        kind, _, code = told[0]
        return replace(
            found,
            kind=kind,
            where=steps,
            exit_code=code,
            reasons=tuple(f"{step}: {text}" for step, (_, text, _) in zip(steps, told, strict=True)),
        )
    for event in events:
        error = getattr(event.event_specific_data, "error", None)
        if event.event_type_value == "PIPELINE_FAILURE" and error is not None:
            kind, text, code = _plain(error)
            return replace(found, kind=kind, reasons=(text,), exit_code=code)
    return replace(found, kind="run_died", reasons=(DIED,))


def failed_check(event: DagsterEvent) -> list[str]:
    """Return what a blocking check found wrong, one line per expectation; nothing for any other event."""
    if event.event_type_value != "ASSET_CHECK_EVALUATION":
        return []
    check = event.asset_check_evaluation_data
    if check.passed or not check.blocking or check.severity.value != "ERROR":
        return []
    listed = check.metadata.get("failing")
    lines = [line.removeprefix("- ").strip() for line in str(listed.value if listed else "").splitlines()]
    critical = [line for line in lines if "(critical)" in line]
    return critical or [check.description or f"{check.asset_key.path[-1]}: {check.check_name} failed"]


def reason(event: DagsterEvent) -> tuple[str, str, int]:
    """Return kind, reason and exit code of a step's failure."""
    data = event.step_failure_data
    error = data.error
    if error is None:
        return "run_failed", "failed", 1
    kind, text, code = _plain(error)
    if data.user_failure_data and data.user_failure_data.description:
        text = data.user_failure_data.description
    return kind, text, code


def _plain(error: Any) -> tuple[str, str, int]:
    """Find the cause in a chain of errors and say it without class names and stack."""
    chain = [error]
    while chain[-1].cause is not None:
        chain.append(chain[-1].cause)
    classes = [(item.cls_name or "").rpartition(".")[2] for item in chain]
    text = plain_words(chain[-1].message or "failed")
    kind = kind_of_text(text)
    if kind == "run_failed":
        kind = next(filter(None, map(kind_of_error, reversed(classes))), kind)
    code = 2 if kind in ("bad_input", "run_blocked", "home_unwritable") else 1
    return kind, text, code


def kind_of_text(text: str) -> str:
    """Tell a full or read-only disk from any other failure by what the system said."""
    if any(sign in text for sign in FULL) or (SQLITE in text and _no_room()):
        return "disk_full"
    return "home_unwritable" if any(sign in text for sign in READ_ONLY) else "run_failed"


def _no_room() -> bool:
    """Tell whether the disk of the home is full now; SQLite has the same words for that and for a broken one."""
    try:
        return shutil.disk_usage(Home.from_environment().root).free < ROOM
    except OSError:
        return False


def plain_words(message: str) -> str:
    """Return an error's message without the class in front of it."""
    text = message.strip()
    while (found := re.match(r"\(?([\w.]+)\)?:?\s", text)) and _is_error_class(found.group(1)):
        text = text[found.end() :].strip()
    return text or message.strip()


def _is_error_class(word: str) -> bool:
    last = word.rpartition(".")[2]
    return bool(re.fullmatch(r"[A-Z]\w*", last)) and ("." in word or bool(re.search(r"[a-z][A-Z]|Error$", last)))
