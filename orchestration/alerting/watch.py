"""What happens without anybody saying so: runs that died, publishers that are late, a house that went quiet.

What belongs here: finding it out; called by the sensor every minute, at the start of each run from the
command line, and by ``oretrace alerts check``. What does not: whether it is told (``desk``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from ingest.calendar import calendar
from ingest.home import Home
from ingest.sources import sources
from ingest.vintages import raw_vintages
from orchestration.alerting.desk import Desk
from orchestration.alerting.incident import DIED, Incident, incident_of
from orchestration.alerting.message import released
from orchestration.locks import forget_run, is_alive, left_behind
from orchestration.publish import current_release

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun, RunRecord

LOOKED_AT = 100  # newest runs
# A process that was started but has not taken its lock yet is still importing.
START_UP = timedelta(minutes=15)
OVERDUE, STALE = ("ORETRACE_ALERT_OVERDUE_DAYS", 14.0), ("ORETRACE_ALERT_STALE_DAYS", 40.0)
CLOCK_SLACK = timedelta(minutes=5)


def look_round(home: Home, instance: DagsterInstance, desk: Desk | None = None) -> list[str]:
    """Find dead runs, runs nobody told of, late publishers; tell, and send what waits.

    Returns:
        What was found, one line each.
    """
    desk = desk or Desk(home)
    found = catch_up(home, instance, desk)
    found += look_at_house(home, desk)
    waiting = desk.deliver()
    return found + [f"alert {message.alert.id} waits for: {', '.join(message.waiting)}" for message in waiting]


def catch_up(home: Home, instance: DagsterInstance, desk: Desk) -> list[str]:
    """Find dead runs and runs that nobody told of, and tell; return what was found, one line each."""
    desk.begin([run.run_id for run in _over(instance)])
    found = [f"run {run_id} is dead" for run_id in bury_dead_runs(home, instance)]
    found += [f"run {run_id} died before its first step" for run_id in tell_of_locks(home, instance, desk)]
    told = desk.told()
    for run in reversed(_over(instance)):
        incident = None if run.run_id in told else incident_of(instance, run.run_id)
        if incident is not None:
            desk.finished(incident)
            found.append(f"run {run.run_id} of {incident.job} is over: {'good' if incident.ok else incident.kind}")
    return found


def _over(instance: DagsterInstance) -> Sequence[DagsterRun]:
    """Return the newest runs that are over, newest first."""
    import dagster as dg

    over = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    return instance.get_runs(dg.RunsFilter(statuses=over), limit=LOOKED_AT)


def bury_dead_runs(home: Home, instance: DagsterInstance) -> list[str]:
    """Mark runs as failed whose process is gone, so that they neither wait for ever nor go unnoticed."""
    import dagster as dg

    status = dg.DagsterRunStatus
    # Not started: a run from the command line is that until its plan is made.
    going = [status.NOT_STARTED, status.STARTING, status.STARTED, status.CANCELING]
    dead = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=going), limit=LOOKED_AT):
        run_id = record.dagster_run.run_id
        if not _is_dead(home, record):
            continue
        run = instance.get_run_by_id(run_id)  # Dagster's own watch may have been faster
        if run is not None and not run.is_finished:
            instance.report_run_failed(run, f"The run is over: {DIED}.")
            dead.append(run_id)
    return dead


def tell_of_locks(home: Home, instance: DagsterInstance, desk: Desk) -> list[str]:
    """Clear the locks of runs that are over; tell of those that died before Dagster knew of them."""
    unknown = []
    for run_id in left_behind(home):
        run = instance.get_run_by_id(run_id)
        if run is None:
            desk.finished(Incident(run_id, "refresh", ok=False, kind="run_died", reasons=(DIED,)))
            unknown.append(run_id)
        if run is None or run.is_finished:
            forget_run(home, run_id)
    return unknown


def _is_dead(home: Home, record: RunRecord) -> bool:
    alive = is_alive(home, record.dagster_run.run_id)
    if alive is None:
        if record.dagster_run.status.value == "NOT_STARTED":
            return False  # one that nobody has taken up yet
        changed = record.update_timestamp
        changed = changed.replace(tzinfo=UTC) if changed.tzinfo is None else changed
        return datetime.now(UTC) - changed > START_UP
    return not alive


def look_at_house(home: Home, desk: Desk, today: date | None = None) -> list[str]:
    """Look at the clock, the age of the last good run and the publishers; tell, and return what is wrong."""
    moment = datetime.now(UTC)
    day = today or moment.date()
    late, clock, quiet = overdue(home, day), clock_behind(home, moment), silence(home, desk, moment)
    desk.condition("sources", "source_overdue", late, look=("oretrace sources",))
    desk.condition("clock", "clock_back", clock, look=("date; timedatectl",))
    desk.condition("warehouse", "stale", quiet, look=("oretrace alerts", "oretrace releases"))
    return [*late, *clock, *quiet]


def overdue(home: Home, today: date) -> tuple[str, ...]:
    """Say which sources, that are fetched at all, have been due for too long."""
    fetched: dict[str, date] = {}
    for item in raw_vintages(home.raw):
        day = date.fromisoformat(str(item.sidecar["retrieved"])[:10])
        fetched[item.source] = max(day, fetched.get(item.source, day))
    lines = []
    for name in sources():
        out = calendar()[name].last_before(today)
        if name in fetched and out is not None and fetched[name] < out and (today - out).days > _days(*OVERDUE):
            lines.append(f"{name}: should have released about {out}; last fetched {fetched[name]}")
    return tuple(lines)


def clock_behind(home: Home, moment: datetime) -> tuple[str, ...]:
    """Say that the clock is behind the newest release."""
    versions = [path.name for path in (home.warehouse / "releases").glob("2*")]
    newest = max(filter(None, map(released, versions)), default=None)
    if newest is None or moment + CLOCK_SLACK >= newest:
        return ()
    return (f"the clock says {moment:%Y-%m-%d %H:%M} UTC, the newest release is of {newest:%Y-%m-%d %H:%M} UTC",)


def silence(home: Home, desk: Desk, moment: datetime) -> tuple[str, ...]:
    """Say that no run has ended well for too long; nothing before the first release."""
    with desk.outbox.state() as state:
        last = state.get("succeeded")
    release = current_release(home.warehouse)
    made = released(release.version) if release else None
    since = max(filter(None, (datetime.fromisoformat(last) if last else None, made)), default=None)
    if since is None or (moment - since).total_seconds() <= _days(*STALE) * 86400:
        return ()
    return (f"the last run that ended well was on {since:%Y-%m-%d}",)


def _days(variable: str, default: float) -> float:
    try:
        return float(os.environ.get(variable) or default)
    except ValueError:
        return default
