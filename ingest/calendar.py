"""When publishers release: the calendar as data, and what is due.

What belongs here: reading ``reference/source_calendar.csv`` and comparing it with what is kept. What
does not: schedules (``orchestration``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import polars as pl

from ingest.errors import UnmappedValue
from ingest.home import REFERENCE
from ingest.sources import sources

CADENCES = ("yearly", "monthly", "weekly", "irregular")


@dataclass(frozen=True)
class Release:
    """When a publisher releases: ``cadence``, with month and day of a yearly one, the day of a monthly one."""

    source: str
    cadence: str
    month: int | None
    day: int | None
    note: str

    def last_before(self, today: date) -> date | None:
        """Return the latest regular release day up to ``today``; None for an irregular publisher."""
        if self.cadence == "yearly":
            this = date(today.year, self.month or 1, self.day or 1)
            return this if this <= today else this.replace(year=today.year - 1)
        if self.cadence == "monthly":
            this = today.replace(day=self.day or 1)
            return this if this <= today else (this.replace(day=1) - timedelta(days=1)).replace(day=self.day or 1)
        if self.cadence == "weekly":
            return today - timedelta(days=today.weekday())
        return None

    def next_after(self, today: date) -> date | None:
        """Return the next regular release day after ``today``."""
        last = self.last_before(today)
        if last is None:
            return None
        step = {"yearly": 367, "monthly": 32, "weekly": 7}[self.cadence]
        return self.last_before(last + timedelta(days=step))


@cache
def calendar() -> dict[str, Release]:
    """Return the release calendar by source.

    Raises:
        UnmappedValue: a source without a row, or an unknown cadence.
    """
    table = pl.read_csv(REFERENCE / "source_calendar.csv", schema_overrides={"month": pl.Int32, "day": pl.Int32})
    found = {row["source"]: Release(**row) for row in table.iter_rows(named=True)}
    if lost := sorted(set(sources()) - set(found)):
        raise UnmappedValue("source", lost, "source_calendar.csv")
    if odd := sorted({item.cadence for item in found.values()} - set(CADENCES)):
        raise UnmappedValue(f"cadence (known: {', '.join(CADENCES)})", odd, "source_calendar.csv")
    return found
