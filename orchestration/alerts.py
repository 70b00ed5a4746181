"""Sensors that alert: failed runs, runs that ended well, and what happens without a run.

What belongs here: where Dagster tells this project that something happened. What does not: what is
told and how (``alerting``). An alert of a run goes out once, whoever notices it first.
"""

# No `from __future__ import annotations`: Dagster reads the context's annotation as a class.
import dagster as dg

from ingest.home import Home
from orchestration.alerting.desk import Desk
from orchestration.alerting.incident import incident_of
from orchestration.alerting.watch import look_round

RUNNING = dg.DefaultSensorStatus.RUNNING


@dg.run_failure_sensor(
    name="alert_failed_run",
    default_status=RUNNING,
    description="Tells of a failed run by log, webhook and e-mail: which step or check, what, since when, what is "
    "still published.",
)
def alert_failed_run(context: dg.RunFailureSensorContext) -> None:
    """Tell of a run that failed."""
    _tell(context)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    name="alert_good_run",
    default_status=RUNNING,
    description="Tells when a job is back to normal, and what a new release changed.",
)
def alert_good_run(context: dg.RunStatusSensorContext) -> None:
    """Tell of a run that ended well, where there is something to tell."""
    _tell(context)


@dg.sensor(
    name="watch",
    minimum_interval_seconds=60,
    default_status=RUNNING,
    description="Finds runs whose process died, runs that nobody told of, late publishers, a clock that went back; "
    "sends alerts that could not be sent before.",
)
def watch(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Look round; never starts a run."""
    found = look_round(Home.from_environment(), context.instance)
    for line in found:
        context.log.info(line)
    return dg.SkipReason("; ".join(found) or "nothing to tell")


def _tell(context: dg.RunStatusSensorContext) -> None:
    incident = incident_of(context.instance, context.dagster_run.run_id)
    if incident is None:
        return
    for message in Desk(Home.from_environment()).finished(incident):
        context.log.warning(f"alert {message.alert.id} waits for: {', '.join(message.waiting)}")


def sensors() -> list[dg.SensorDefinition]:
    """Return every sensor that alerts."""
    return [alert_failed_run, alert_good_run, watch]
