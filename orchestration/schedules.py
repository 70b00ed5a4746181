"""Schedules: each publisher is asked at the times of its calendar (``ingest/reference/source_calendar.csv``).

A tick looks at what the publisher lists and starts a fetch only where something is new, so that asking
every day of an uncertain week costs a few small requests. What belongs here: ticks. What does not:
what is looked at (``ingest.look``), looking in between and after missed ticks (``orchestration.sensors``).

All of this goes over the network, so the schedules are off unless ``ORETRACE_MODE=live``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import dagster as dg

from ingest.calendar import calendar
from ingest.clients import clients
from ingest.errors import OretraceError
from ingest.home import Home
from ingest.live import default_mode
from ingest.look import Seen, look
from ingest.net.keys import redact
from orchestration.assets.vintages import job_name

Tick = Callable[[dg.ScheduleEvaluationContext], Iterator[dg.RunRequest | dg.SkipReason]]


def schedules() -> list[dg.ScheduleDefinition]:
    """Return the schedules of all publishers that answer over HTTP."""
    running = default_mode() == "live"
    return [
        dg.ScheduleDefinition(
            name=f"{source}_calendar",
            job_name=job_name(source),
            cron_schedule=calendar()[source].crons,
            execution_timezone=calendar()[source].timezone,
            execution_fn=_tick(source),
            description=calendar()[source].note,
            default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        )
        for source in clients()
    ]


def _tick(source: str) -> Tick:
    def evaluate(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        try:
            seen = look(Home.from_environment(), source, context.scheduled_execution_time.date())
        except Exception as error:  # a publisher that is down must not break the schedule
            yield dg.SkipReason(f"{source} could not be asked; the sensor asks again. {told(error)}")
            return
        # One that does not tell whether it changed is fetched: what is the same makes no second vintage.
        wanted = [item for item in seen if item.news is not False]
        for item in wanted:
            yield request(item)
        if not wanted:
            yield dg.SkipReason("; ".join(f"{item.edition}: {item.note}" for item in seen))

    return evaluate


def request(seen: Seen, attempt: str = "") -> dg.RunRequest:
    """Return the request to fetch an edition; the same listing is requested once (``attempt`` tells tries apart)."""
    return dg.RunRequest(
        run_key=seen.key + attempt,
        job_name=job_name(seen.source),
        partition_key=seen.partition,
        tags={"oretrace/source": seen.source, "oretrace/edition": seen.edition, "oretrace/why": seen.note},
    )


def told(error: Exception) -> str:
    """Return one line on an error, without keys."""
    return redact(str(error) if isinstance(error, OretraceError) else f"{type(error).__name__}: {error}")
