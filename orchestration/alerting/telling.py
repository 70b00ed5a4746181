"""Alerts of the command line: of a command that ends with an error, and of what an earlier one left behind.

What belongs here: what ``oretrace run`` does about alerts before and after the job; light, for most
calls find nothing new. What does not: what is told (``desk``), the job (``run``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import uuid4

from ingest.errors import OretraceError
from ingest.home import Home
from orchestration.locks import left_behind


@contextmanager
def telling(home: Home, run_id: str = "") -> Iterator[None]:
    """Tell of an error that ends the block, as of a run that failed; it goes on as it was."""
    try:
        yield
    except OretraceError as error:
        from orchestration.alerting.desk import Desk
        from orchestration.alerting.incident import incident_of_error

        Desk(home).finished(incident_of_error(run_id or str(uuid4()), "refresh", error))
        raise


def settle(home: Home, not_fetched: Mapping[str, str] | None = None) -> None:
    """Tell, where no run will, of runs that died and of publishers, and send what waits; light where there is nothing.

    Args:
        home: whose alerts.
        not_fetched: source to why nothing could be fetched of it; None when nobody was asked.
    """
    if not_fetched is not None:
        from orchestration.alerting.desk import Desk

        Desk(home).publishers(not_fetched)
    if left_behind(home):
        from orchestration.alerting.watch import look_round
        from orchestration.instance import dagster_instance

        with dagster_instance(home) as instance:
            look_round(home, instance)
    elif any((home.root / "alerts" / "outbox").glob("*.json")):
        from orchestration.alerting.outbox import Outbox

        Outbox(home).deliver()
