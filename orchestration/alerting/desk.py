"""What is told and what is not: every first trouble, every change, every end of it; nothing twice.

What belongs here: the decision, given how a run ended or how a condition stands. What does not: reading
Dagster (``incident``), sending (``outbox``), finding conditions out (``watch``).

A trouble has a subject (a job, the sources, the warehouse). Of the same trouble the first three times
are told, then what changes, and otherwise once every so many hours (``kinds.csv``,
``ORETRACE_ALERT_REPEAT_HOURS`` for all kinds).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ingest.home import Home
from orchestration.alerting.digest import digest_lines
from orchestration.alerting.incident import Incident
from orchestration.alerting.kinds import kinds
from orchestration.alerting.message import Alert, minute, now, one_line, published_now, run_address
from orchestration.alerting.outbox import Message, Outbox

REPEAT = "ORETRACE_ALERT_REPEAT_HOURS"
ALWAYS = 3  # so often the same trouble is told each time
UI = "oretrace ui"


class Desk:
    """Takes what happened, tells what is worth it."""

    def __init__(self, home: Home, outbox: Outbox | None = None) -> None:
        """Take the outbox of the home, or the one given."""
        self.home = home
        self.outbox = outbox or Outbox(home)

    def finished(self, incident: Incident) -> list[Message]:
        """Tell of a run that is over, once, whoever noticed it first.

        Returns:
            Alerts that still wait for a way out.
        """
        with self.outbox.state() as state:
            if incident.run_id not in state["runs"]:
                state["runs"][incident.run_id] = "ok" if incident.ok else incident.kind
                for alert in self._of_run(state, incident):
                    self.outbox.put(alert)
        return self.outbox.deliver()

    def _of_run(self, state: dict[str, Any], incident: Incident) -> list[Alert]:
        if not incident.ok:
            look = (f"{UI}, then {run_address(incident.run_id)}",)
            return self._trouble(state, _subject(incident), incident, look)
        blocked = f"{incident.job} blocked"
        state["troubles"].pop(blocked, None)
        if incident.job == "refresh":
            state["succeeded"] = now()
        told = self._over(state, incident.job, incident.run_id)
        told += self._of_sources(state, incident)
        if incident.version and not incident.unchanged:
            told.append(self._digest(incident))
        return told

    def _of_sources(self, state: dict[str, Any], incident: Incident) -> list[Alert]:
        subject = "publishers"
        if incident.not_fetched:
            reasons = tuple(f"{source}: {why}" for source, why in incident.not_fetched)
            sources = ", ".join(source for source, _ in incident.not_fetched)
            trouble = Incident(incident.run_id, subject, False, "not_fetched", (sources,), reasons)
            return self._trouble(state, subject, trouble, ("oretrace sources",))
        return self._over(state, subject, incident.run_id) if incident.mode == "live" else []

    def _digest(self, incident: Incident) -> Alert:
        folder = self.home.warehouse / "releases" / incident.version
        return Alert(
            "digest",
            incident.job,
            f"new release {incident.version}",
            now(),
            lines=tuple(digest_lines(folder)),
            run_id=incident.run_id,
            look=(str(folder / "diff.md"), f"{UI}, then {run_address(incident.run_id)}"),
        )

    def condition(
        self, subject: str, kind: str, reasons: tuple[str, ...], *, where: str = "", look: tuple[str, ...] = ()
    ) -> None:
        """Tell of something that holds without a run (``reasons``), or that it is over (none)."""
        with self.outbox.state() as state:
            found = Incident("", subject, False, kind, (where,) if where else (), reasons)
            alerts = self._trouble(state, subject, found, look) if reasons else self._over(state, subject, "")
            for alert in alerts:
                self.outbox.put(alert)

    def publishers(self, not_fetched: Mapping[str, str]) -> None:
        """Tell of publishers that could not be fetched (source to why) when nothing was new, and no run tells of it."""
        reasons = tuple(f"{source}: {why}" for source, why in sorted(not_fetched.items()))
        where = ", ".join(sorted(not_fetched))
        self.condition("publishers", "not_fetched", reasons, where=where, look=("oretrace sources",))

    def _trouble(self, state: dict[str, Any], subject: str, incident: Incident, look: tuple[str, ...]) -> list[Alert]:
        moment = now()
        before = state["troubles"].get(subject, {"since": moment, "count": 0, "signature": "", "told": ""})
        signature = _signature(incident)
        lasting = incident.run_id == ""  # a condition, looked at every minute: it does not add up
        count = 1 if lasting else before["count"] + 1
        trouble = {**before, "count": count, "signature": signature, "kind": incident.kind}
        state["troubles"][subject] = trouble
        if not _worth_telling(before, incident.kind, signature, 1 if lasting else ALWAYS, moment):
            return []
        trouble["told"] = moment
        kind = kinds()[incident.kind]
        where = ", ".join(filter(None, incident.where))
        return [
            Alert(
                incident.kind,
                subject,
                one_line(f"{incident.job}: {kind.title}{f' at {where}' if where else ''}"),
                moment,
                lines=incident.reasons,
                where=where,
                since=trouble["since"],
                count=count,
                published=published_now(self.home),
                run_id=incident.run_id,
                look=look,
            )
        ]

    def _over(self, state: dict[str, Any], subject: str, run_id: str) -> list[Alert]:
        """Tell that a trouble is over, if there was one that somebody was told of."""
        trouble = state["troubles"].pop(subject, None)
        if trouble is None:
            return []
        count = trouble["count"]
        after = f" after {count} failure{'' if count == 1 else 's'}" if run_id and subject != "publishers" else ""
        return [
            Alert(
                "recovered",
                subject,
                f"{subject}: back to normal{after}",
                now(),
                lines=(f"it was: {kinds()[trouble['kind']].title}, since {minute(trouble['since'])}",),
                published=published_now(self.home).removesuffix(", stays"),
                run_id=run_id,
                # Two recoveries in one second are two alerts.
                since="",
                look=(run_address(run_id),) if run_id else (),
            )
        ]

    def deliver(self) -> list[Message]:
        """Send what waits; return the alerts that still wait for a way out."""
        return self.outbox.deliver()

    def begin(self, known: list[str]) -> None:
        """On the first call ever, take the runs that are over for told: nobody wants to hear of last year."""
        with self.outbox.state() as state:
            if state.pop("new", False):
                state["runs"] |= dict.fromkeys(known, "before")

    def told(self) -> set[str]:
        """Return the runs that were dealt with."""
        with self.outbox.state() as state:
            return set(state["runs"])


def _subject(incident: Incident) -> str:
    """A run that another one kept from starting does not end or continue a row of failures."""
    return f"{incident.job} blocked" if incident.kind == "run_blocked" else incident.job


def _signature(incident: Incident) -> str:
    """What makes two failures the same: kind, place and words, whatever the figures; hashed, for words hold keys."""
    words = [re.sub(r"\d+", "#", one_line(line)) for line in incident.reasons]
    same = "|".join((incident.kind, *sorted(incident.where), *sorted(words)))
    return hashlib.sha256(same.encode()).hexdigest()[:12]


def _worth_telling(before: dict[str, Any], kind: str, signature: str, always: int, moment: str) -> bool:
    if before["count"] < always or before["signature"] != signature or not before["told"]:
        return True
    passed = (datetime.fromisoformat(moment) - datetime.fromisoformat(before["told"])).total_seconds() / 3600
    # A clock that was moved back makes it negative.
    return not 0 <= passed < repeat_hours(kind)


def repeat_hours(kind: str) -> float:
    """Return after how many hours the same trouble is told again."""
    try:
        return max(float(os.environ[REPEAT]), 0.0)
    except (KeyError, ValueError):
        return kinds()[kind].repeat_hours
