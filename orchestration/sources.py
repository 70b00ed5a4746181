"""What ``oretrace sources`` shows: each source, what is kept, how old it is, what is due, when it is asked.

What belongs here: the overview as a frame. What does not: fetching.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl

from ingest.attempts import last_attempt
from ingest.calendar import Release, calendar
from ingest.clients import clients
from ingest.home import Home
from ingest.live import embedded_editions
from ingest.sources import sources
from ingest.vintages import Vintage, raw_vintages

SCHEMA = {
    "source": pl.String,
    "from": pl.String,
    "key": pl.String,
    "embedded": pl.String,
    "kept": pl.Int32,
    "newest": pl.String,
    "retrieved": pl.String,
    "age_days": pl.Int32,
    "bytes": pl.Int64,
    "state": pl.String,
    "next_release": pl.String,
    "asked_at": pl.String,
    "asked": pl.String,
    "schedule": pl.String,
    "next_tick": pl.String,
    "licence": pl.String,
}

# What fits a terminal of 120 columns; the rest is of use to who sets up fetching.
NARROW = ["source", "embedded", "kept", "newest", "age_days", "state", "next_release", "asked", "next_tick"]


def overview(home: Home, today: date | None = None) -> pl.DataFrame:
    """Return one row per source.

    ``from`` is http or file drop; ``key`` whether its key is set, needed, or there is none; ``state`` is
    ``due`` when a release came out since the newest vintage was retrieved (or none was ever kept),
    ``partial`` when an interrupted pull waits, else ``current``; ``asked_at`` and ``asked`` when the publisher
    was last asked for an edition and what came of it; ``schedule`` the times at which it is asked (cron, in the
    publisher's time zone) and ``next_tick`` the next of them in UTC.
    """
    day = today or datetime.now(UTC).date()
    kept: dict[str, list[Vintage]] = {}
    for item in raw_vintages(home.raw):
        kept.setdefault(item.source, []).append(item)
    return pl.DataFrame([_row(home, name, kept.get(name, []), day) for name in sources()], schema=SCHEMA)


def _row(home: Home, name: str, vintages: list[Vintage], today: date) -> dict[str, object]:
    source, client, release = sources()[name], clients().get(name), calendar()[name]
    last = max(vintages, key=lambda item: (item.edition, item.revision)) if vintages else None
    retrieved = max((str(item.sidecar["retrieved"])[:10] for item in vintages), default=None)
    out = release.last_before(today)
    due = out is not None and (retrieved is None or retrieved < out.isoformat())
    waiting = any((home.raw / name).glob(".partial-*"))
    following, asked = release.next_after(today), last_attempt(home.raw, name)
    return {
        "source": name,
        "from": "http" if client else "file drop",
        "key": "none" if client is None or client.key is None else ("set" if client.key.value() else "not set"),
        "embedded": ", ".join(embedded_editions(source)) or None,
        "kept": len(vintages),
        "newest": last.vintage if last else None,
        "retrieved": retrieved,
        "age_days": (today - date.fromisoformat(retrieved)).days if retrieved else None,
        "bytes": sum(item.size for item in vintages),
        "state": "partial" if waiting else "due" if due else "current",
        "next_release": following.isoformat() if following else None,
        "asked_at": asked.at[:16].replace("T", " ") if asked else None,
        "asked": asked.outcome if asked else None,
        "schedule": f"{'; '.join(release.crons)} ({release.timezone})" if release.crons else None,
        "next_tick": _next_tick(release, today),
        "licence": source.licence,
    }


def _next_tick(release: Release, today: date) -> str | None:
    """Return the next time at which a publisher is asked, ``2026-12-01 14:00`` UTC, as Dagster computes it."""
    if not release.crons:
        return None
    from dagster._utils.schedules import schedule_execution_time_iterator  # a second to import

    now = datetime.now(UTC)
    start = now if today == now.date() else datetime(today.year, today.month, today.day, tzinfo=UTC)
    tick = next(iter(schedule_execution_time_iterator(start.timestamp(), release.crons, release.timezone)))
    return f"{tick.astimezone(UTC):%Y-%m-%d %H:%M}"
