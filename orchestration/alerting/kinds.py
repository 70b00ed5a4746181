"""The kinds of alerts, as data (``kinds.csv``): severity, meaning, what to do, how often to repeat.

What does not belong here: when an alert is due (``desk``, ``watch``).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("kinds.csv")
SEVERITIES = ("info", "warning", "error", "critical")


@dataclass(frozen=True)
class Kind:
    """A kind of alert.

    Attributes:
        kind: its name.
        severity: ``info``, ``warning``, ``error`` or ``critical``.
        repeat_hours: after how many hours the same trouble is told again.
        errors: classes of errors that are of this kind.
        title: a few words for the subject line.
        means: what it means.
        do: what to do.
    """

    kind: str
    severity: str
    repeat_hours: float
    errors: frozenset[str]
    title: str
    means: str
    do: str


@cache
def kinds() -> dict[str, Kind]:
    """Return every kind by name."""
    with TABLE.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {
        row["kind"]: Kind(
            **{**row, "repeat_hours": float(row["repeat_hours"]), "errors": frozenset(row["errors"].split())}  # type: ignore[arg-type]
        )
        for row in rows
    }


def kind_of_error(name: str) -> str | None:
    """Return the kind that an error's class belongs to; None for any other failure."""
    return next((kind.kind for kind in kinds().values() if name in kind.errors), None)
