"""Which failures are worth another try, as Dagster is told.

What belongs here: turning typed errors into Dagster's failures, in one place for every asset. What does
not: the errors (``ingest.errors``) and who is told of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from ingest.errors import Busy, FetchFailed, OretraceError
from ingest.net.settings import Settings
from orchestration.workers import DEATHS

# A refused key, a changed schema or a pull that does not add up is the same the next time; these are not.
PASSING = (FetchFailed, Busy)


def network_retries() -> dg.RetryPolicy:
    """Return the policy of assets that go over the network: three more tries after about 1, 2 and 4 minutes.

    The first pause is a minute times ``ORETRACE_HTTP_BACKOFF``.
    """
    return dg.RetryPolicy(
        max_retries=3,
        delay=60 * Settings.from_environment().backoff,
        backoff=dg.Backoff.EXPONENTIAL,
        jitter=dg.Jitter.PLUS_MINUS,
    )


def killer_of_workers(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> None:
    """End a step of which several workers died already: the broker would hand it on until none is left.

    Raises:
        dg.Failure: this run has begun the step more often than ``workers.DEATHS``.
    """
    step = context.get_step_execution_context().step.key
    begun = context.instance.all_logs(context.run_id, of_type=dg.DagsterEventType.STEP_START)
    times = sum(entry.step_key == step for entry in begun)
    if times > DEATHS:
        raise dg.Failure(
            f"{step}: {times - 1} workers died of it or lost their broker (killed, out of memory?); it is not handed "
            "to another one. What the machine's log says of the time will tell; docs/fan-out.md, Limits.",
            allow_retries=False,
        )


@contextmanager
def permanent_failures() -> Iterator[None]:
    """Let errors that trying again does not mend end the step at once, with their message.

    Raises:
        dg.Failure: without retries, for every typed error but those in ``PASSING``.
    """
    try:
        yield
    except PASSING:
        raise
    except OretraceError as error:
        raise dg.Failure(
            description=str(error), metadata={"kind": type(error).__name__, "lasting": True}, allow_retries=False
        ) from error
