"""Sensors: a publisher lists something new -> its fetch; any input is new -> the whole job.

One sensor per publisher looks, at most as often as the calendar allows, at what is listed and requests
the fetch of what is new; with it a release is noticed outside its expected days too, and after days in
which the machine was off. A publisher that fails makes its sensor wait longer and longer, never fail.

``new_inputs`` starts the whole job when its inputs are no longer those of the published release.
Dagster's declarative automation does not fit that: it decides asset by asset, while the job must rebuild
as a whole in one process to be audited as a whole; the inputs that count are not all assets (reference
tables, user files, code, settings); and a failing set of inputs is to be tried once a day, not each time
that a condition holds.

What belongs here: evaluations and what they remember. What does not: what is looked at (``ingest.look``)
and what an input is (``ingest.fingerprint``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg

from ingest.attempts import last_attempt
from ingest.calendar import calendar
from ingest.clients import clients
from ingest.fingerprint import fingerprint, parts
from ingest.home import Home
from ingest.live import default_mode
from ingest.look import look
from ingest.store import configured
from orchestration.assets.vintages import job_name
from orchestration.schedules import request, told
from orchestration.standing import what_is_new

EVERY = 600  # seconds between two evaluations; most of them find that it is too early to look
LONGEST_WAIT = timedelta(days=4)
SHOWN = 6
# A run that has been at work longer than this is not waited for.
PATIENCE = timedelta(hours=12)
UNFINISHED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]
UNFINISHED += [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@dataclass
class Memory:
    """What a publisher's sensor remembers, as its cursor.

    Attributes:
        looked: when it last looked, ISO 8601.
        failures: looks in a row that failed.
        problem: why the last look failed.
        requested: listings whose fetch was requested and which are not kept yet.
    """

    looked: str | None = None
    failures: int = 0
    problem: str | None = None
    requested: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, cursor: str | None) -> Memory:
        """Read a cursor; one of another form counts as none."""
        try:
            return cls(**json.loads(cursor or "{}"))
        except (ValueError, TypeError):
            return cls()

    def next_look(self, pause: timedelta) -> datetime | None:
        """Return when the next look is allowed; None when it is at any time."""
        if self.looked is None:
            return None
        wait: timedelta = max(pause, min(LONGEST_WAIT, pause * 2 ** min(self.failures, 8)))
        return datetime.fromisoformat(self.looked) + wait


def sensors() -> list[dg.SensorDefinition]:
    """Return a sensor per publisher that answers over HTTP, and ``new_inputs``."""
    live = default_mode() == "live"
    status = dg.DefaultSensorStatus.RUNNING if live else dg.DefaultSensorStatus.STOPPED
    upstream = [
        dg.SensorDefinition(
            name=f"{source}_upstream",
            job_name=job_name(source),
            evaluation_fn=_upstream(source),
            minimum_interval_seconds=EVERY,
            default_status=status,
            description=f"Looks at most every {calendar()[source].look_hours} hours for what is new; no download.",
        )
        for source in clients()
    ]
    whole = dg.SensorDefinition(
        name="new_inputs",
        job_name="refresh",
        evaluation_fn=new_inputs,
        minimum_interval_seconds=EVERY // 5,
        default_status=status,
        description="Runs the whole job when any input differs from those of the published release. Asks no publisher.",
    )
    return [*upstream, whole]


def _upstream(source: str) -> Callable[[dg.SensorEvaluationContext], dg.SensorResult]:
    release = calendar()[source]

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        memory, now = Memory.read(context.cursor), datetime.now(UTC)
        allowed = memory.next_look(timedelta(hours=release.look_hours or 24))
        # A clock that was set back must not keep the sensor asleep.
        if allowed is not None and now < allowed and now >= datetime.fromisoformat(str(memory.looked)):
            said = f" ({memory.failures} looks failed: {memory.problem})" if memory.failures else ""
            return _skip(f"next look from {allowed:%Y-%m-%d %H:%M} UTC{said}", memory)
        if at_work(context.instance, job_name(source)):
            return _skip(f"a fetch of {source} is at work", memory)
        memory.looked = now.isoformat(timespec="seconds")
        try:
            seen = look(Home.from_environment(), source, now.date())
        except Exception as error:  # a publisher that is down must not break the sensor
            memory.failures, memory.problem = memory.failures + 1, told(error)
            return _skip(f"{source} could not be asked: {memory.problem}", memory)
        memory.failures, memory.problem = 0, None
        news, again = [item for item in seen if item.news], _again(source, now)
        fresh = [item for item in news if item.key + again not in memory.requested]
        memory.requested = [item.key + again for item in news]
        if not fresh:
            waiting = "; requested before, see its last fetch" if news else ""
            return _skip("; ".join(f"{item.edition}: {item.note}" for item in seen) + waiting, memory)
        return dg.SensorResult(run_requests=[request(item, again) for item in fresh], cursor=_cursor(memory))

    return evaluate


def _again(source: str, now: datetime) -> str:
    """Return what makes a request another one after a failure that may pass: the day; else nothing."""
    last = last_attempt(Home.from_environment().raw, source)
    return f":{now:%Y-%m-%d}" if last is not None and last.outcome == "failed" and not last.lasting else ""


def at_work(instance: dg.DagsterInstance, *jobs: str) -> bool:
    """Return whether a run of one of the jobs is queued or at work."""
    since = datetime.now(UTC) - PATIENCE
    return any(
        instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED, created_after=since), limit=1)
        for job in jobs
    )


def new_inputs(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Request the whole job when its inputs differ from those of the published release.

    It waits for runs and fetches at work, so that several new vintages lead to one release. The same inputs
    are tried once a day. Only inputs count: a release that somebody rolled back stays until an input changes.
    """
    home, mode = Home.from_environment(), default_mode()
    if at_work(context.instance, "refresh", *map(job_name, clients())):
        return dg.SensorResult(skip_reason="a run or a fetch is at work")
    if configured():
        from orchestration.store.shelf import join

        try:
            join(home)
        except Exception as error:  # as with publishers: a store that is down must not break the sensor
            return dg.SensorResult(skip_reason=f"the object store could not be asked: {told(error)}")
    reasons = what_is_new(home, mode)
    if not reasons:
        return dg.SensorResult(skip_reason="nothing new")
    shown = "; ".join(reasons[:SHOWN]) + (f"; and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else "")
    key = f"{fingerprint(parts(home, mode))[:16]}:{datetime.now(UTC):%Y-%m-%d}"
    if context.cursor == key:
        return dg.SensorResult(skip_reason=f"tried today without a new release; again tomorrow: {shown}")
    wanted = dg.RunRequest(
        run_key=key,
        job_name="refresh",
        run_config={"resources": {"publishers": {"config": {"mode": mode, "offline": mode == "live"}}}},
        tags={"oretrace/why": shown[:400]},
    )
    return dg.SensorResult(run_requests=[wanted], cursor=key)


def _skip(reason: str, memory: Memory) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=_cursor(memory))


def _cursor(memory: Memory) -> str:
    return json.dumps(asdict(memory))
