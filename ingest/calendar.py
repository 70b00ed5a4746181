"""When publishers release: the calendar as data, and what is due.

What belongs here: reading ``reference/source_calendar.csv`` and comparing it with what is kept. What
does not: Dagster's schedules and partitions made of it (``orchestration``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import polars as pl

from ingest.errors import UnmappedValue
from ingest.home import REFERENCE
from ingest.sources import sources

CADENCES = ("yearly", "monthly", "weekly", "irregular")
PARTITIONS = ("year", "month", None)


@dataclass(frozen=True)
class Release:
    """When a publisher releases, and how often it is asked; one row of the calendar.

    Attributes:
        source: name of the source.
        cadence: ``yearly``, ``monthly``, ``weekly`` or ``irregular``.
        month: month of a yearly release.
        day: day of a yearly or monthly one; the first day on which it may be out.
        partition: ``year`` or ``month`` where editions are fetched one by one, None where there is one only.
        first: the first edition that can be fetched, ``2010`` or ``2010-01``.
        ahead: editions beyond the last whole year or month: 1 where a release is named by its own year,
            -1 where the newest month takes another month to come out.
        again: how many editions before the newest the publisher still revises.
        cron: times to ask at, several with ``;`` between them; None for publishers that cannot be asked.
        timezone: of ``cron``.
        look_hours: least hours between two looks beside ``cron``.
        stale_days: after how many days without a new vintage something is wrong.
        note: why.
    """

    source: str
    cadence: str
    month: int | None
    day: int | None
    note: str
    partition: str | None = None
    first: str | None = None
    ahead: int | None = None
    again: int | None = None
    cron: str | None = None
    timezone: str | None = None
    look_hours: int | None = None
    stale_days: int | None = None

    @property
    def crons(self) -> list[str]:
        """The times to ask at, one expression each."""
        return [part.strip() for part in (self.cron or "").split(";") if part.strip()]

    def partition_of(self, edition: str) -> str | None:
        """Return the partition that an edition belongs to: ``2026`` of ``V202601``; None where there are none."""
        pattern = {"year": r"\d{4}", "month": r"\d{4}-\d\d", None: ""}[self.partition]
        found = re.search(pattern, edition)
        return found[0] if found and self.partition else None

    def editions(self, today: date) -> list[str]:
        """Return every edition from the first to the last that may be out, as Dagster's partitions are named."""
        first = str(self.first)
        if self.partition == "year":
            return [str(year) for year in range(int(first), today.year + (self.ahead or 0))]
        if self.partition == "month":
            last = today.year * 12 + today.month - 1 + (self.ahead or 0)
            return [_month(count) for count in range(int(first[:4]) * 12 + int(first[5:]) - 1, last)]
        return []

    def earlier(self, edition: str) -> list[str]:
        """Return the editions before one that the publisher still revises, newest first."""
        if self.partition is None:
            return []
        if self.partition == "year":
            return [str(int(edition) - back) for back in range(1, (self.again or 0) + 1)]
        count = int(edition[:4]) * 12 + int(edition[5:]) - 1
        return [_month(count - back) for back in range(1, (self.again or 0) + 1)]

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


def _month(count: int) -> str:
    """Name the month with a number of months since the year 0 before it."""
    return f"{count // 12:04}-{count % 12 + 1:02}"


@cache
def calendar() -> dict[str, Release]:
    """Return the release calendar by source.

    Raises:
        UnmappedValue: a source without a row, or an unknown cadence or partition.
    """
    table = pl.read_csv(REFERENCE / "source_calendar.csv", infer_schema=False)
    numbers = ("month", "day", "ahead", "again", "look_hours", "stale_days")
    rows = table.with_columns(pl.col(numbers).cast(pl.Int32)).iter_rows(named=True)
    found = {row["source"]: Release(**row) for row in rows}
    if lost := sorted(set(sources()) - set(found)):
        raise UnmappedValue("source", lost, "source_calendar.csv")
    if odd := sorted({item.cadence for item in found.values()} - set(CADENCES)):
        raise UnmappedValue(f"cadence (known: {', '.join(CADENCES)})", odd, "source_calendar.csv")
    if odd := sorted({str(item.partition) for item in found.values()} - set(map(str, PARTITIONS))):
        raise UnmappedValue("partition (known: year, month or none)", odd, "source_calendar.csv")
    return found
