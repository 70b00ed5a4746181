"""Whether the services answer, seen from outside: Dagster's storage and its daemon.

What belongs here: what the daemon cannot tell because it is the one that is gone. What does not: what it
can (``watch``).
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from ingest.home import Home
from ingest.net.keys import hide, redact
from orchestration.alerting.desk import Desk
from orchestration.alerting.watch import look_round
from orchestration.instance import dagster_instance

# Dagster's daemon reports every half minute; a restart and a slow disk are not worth a message.
QUIET_S = 600.0
SUBJECT = "services"


def look_from_outside(home: Home) -> list[str]:
    """Look round as the daemon does, and tell when the storage or the daemon does not answer.

    Returns:
        What was found, one line each.
    """
    from dagster._daemon.controller import all_daemons_live

    hide(os.environ.get("ORETRACE_PG_PASSWORD", ""))
    desk = Desk(home)
    with ExitStack() as open_:
        try:
            instance = open_.enter_context(dagster_instance(home))
            live = all_daemons_live(instance, heartbeat_tolerance_seconds=QUIET_S)
        except Exception as error:  # whatever the database says when it is not there
            why = redact(str(error.__cause__ or error).strip().splitlines()[0])
            return _tell(
                desk, "storage_gone", f"Dagster's storage does not answer: {why}", "systemctl status postgresql"
            )
        if not live:
            said = f"Dagster's daemon has not reported for {QUIET_S / 60:.0f} minutes"
            return _tell(desk, "daemon_gone", said, "systemctl status oretrace-daemon oretrace-code")
        desk.condition(SUBJECT, "daemon_gone", ())
        return look_round(home, instance, desk)


def _tell(desk: Desk, kind: str, line: str, look: str) -> list[str]:
    desk.condition(SUBJECT, kind, (line,), look=(look,))
    return [line, *(f"alert {one.alert.id} waits for: {', '.join(one.waiting)}" for one in desk.deliver())]
