"""An alert and its words: plain text for people, JSON for machines.

What belongs here: what every message says and how. What does not: who gets it (``backends``).
"""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from ingest.home import Home
from ingest.net.keys import redact
from orchestration.alerting.kinds import kinds

UI = "ORETRACE_UI_URL"
LONGEST_LINE = 1000
MOST_LINES = 12


@dataclass(frozen=True)
class Alert:
    """Something worth telling.

    Attributes:
        kind: one of ``kinds``.
        subject: what it is about: a job, ``sources``, ``warehouse``.
        summary: one line.
        when: when it happened, ISO 8601 in UTC.
        lines: what else there is to say, one line each: reasons, failed expectations, what moved.
        where: step, asset or check.
        since: start of the trouble.
        count: how often in a row.
        published: what readers see.
        run_id: the run it is about.
        look: commands and addresses to look closer.
        host: the machine.
    """

    kind: str
    subject: str
    summary: str
    when: str
    lines: tuple[str, ...] = ()
    where: str = ""
    since: str = ""
    count: int = 0
    published: str = ""
    run_id: str = ""
    look: tuple[str, ...] = ()
    host: str = field(default_factory=socket.gethostname)

    @property
    def severity(self) -> str:
        """How bad it is."""
        return kinds()[self.kind].severity

    @property
    def id(self) -> str:
        """Name that sorts by time and is the same for the same thing told twice."""
        stamp = "".join(sign for sign in self.when[:23] if sign.isdigit() or sign == "T")
        same = "|".join((self.kind, self.subject, self.run_id or self.since, str(self.count)))
        return f"{stamp}-{self.kind.replace('_', '-')}-{hashlib.sha256(same.encode()).hexdigest()[:6]}"

    @property
    def headline(self) -> str:
        """The subject line."""
        streak = f" ({ordinal(self.count)} in a row, since {minute(self.since)})" if self.count > 1 else ""
        return one_line(f"[oretrace] {self.severity.upper()} {self.summary}{streak}")

    def text(self) -> str:
        """The whole message."""
        kind = kinds()[self.kind]
        shown = [one_line(line) for line in self.lines[:MOST_LINES]]
        if len(self.lines) > MOST_LINES:
            shown.append(f"... and {len(self.lines) - MOST_LINES} more")
        facts = {
            "where": self.where,
            "since": f"{minute(self.since)}, {ordinal(self.count)} in a row" if self.since else "",
            "published": self.published,
            "when": f"{minute(self.when)} on {self.host}",
            "run": self.run_id,
        }
        told = [f"{name:<10} {one_line(value)}" for name, value in facts.items() if value]
        told += [f"{'look' if not nth else '':<10} {where}" for nth, where in enumerate((*self.look, *self._show()))]
        advice = [f"means      {kind.means}", f"do         {kind.do}"] if kind.severity != "info" else []
        parts = [[self.headline], [f"- {line}" for line in shown], told, advice]
        return redact("\n\n".join("\n".join(part) for part in parts if part))

    def _show(self) -> tuple[str, ...]:
        return () if self.kind == "test" else (f"oretrace alerts show {self.id}",)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with severity and headline, without any key."""
        content = {"id": self.id, "severity": self.severity, "headline": redact(self.headline), **asdict(self)}
        content["summary"] = redact(self.summary)
        content["lines"] = [redact(one_line(line)) for line in self.lines]
        content["look"] = list(self.look)
        return content

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Alert:
        """Read what ``to_dict`` wrote."""
        known = {name: content[name] for name in cls.__dataclass_fields__ if name in content}
        return cls(**{**known, "lines": tuple(known.get("lines", ())), "look": tuple(known.get("look", ()))})


def now() -> str:
    """Return the time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def minute(moment: str) -> str:
    """Return a moment for people: ``2026-11-27 15:30 UTC``."""
    return f"{moment[:10]} {moment[11:16]} UTC" if len(moment) > 16 else moment


def ordinal(count: int) -> str:
    """Return ``1st``, ``2nd``, ``3rd``, ``4th`` ..."""
    ending = "th" if count % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count}{ending}"


def one_line(text: str) -> str:
    """Return text as one line of bearable length."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 3]}..."


def run_address(run_id: str) -> str:
    """Return where the Dagster UI shows a run."""
    return f"{os.environ.get(UI, 'http://127.0.0.1:3000').rstrip('/')}/runs/{run_id}"


def published_now(home: Home) -> str:
    """Say which release readers see, of which day, and how old it is; never fails."""
    from orchestration.publish import current_release

    try:
        release = current_release(home.warehouse)
    except Exception as error:  # an alert goes out whatever is wrong with the warehouse
        return f"cannot be told ({type(error).__name__})"
    if release is None:
        return "nothing has been published yet"
    day = released(release.version)
    if day is None:
        return f"{release.version} stays"
    age = (datetime.now(UTC) - day).days
    return f"{release.version} of {day:%Y-%m-%d}, {age} day{'' if age == 1 else 's'} old, stays"


def released(version: str) -> datetime | None:
    """Return when a release was made, from its name."""
    try:
        return datetime.strptime(version[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
