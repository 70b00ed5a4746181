"""Looking: what a publisher lists now, held against what is kept, without downloading any of it.

What belongs here: the question that schedules and sensors put before they start a fetch. What does
not: fetching (``fetch``), when to look (``reference/source_calendar.csv``), Dagster (``orchestration``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from ingest.calendar import calendar
from ingest.clients import clients
from ingest.clients.base import Client
from ingest.errors import NotOut
from ingest.fetch import lists_nothing_new, wanted_editions
from ingest.home import Home
from ingest.net.session import Http
from ingest.net.settings import Settings
from ingest.vintages import Vintage, newest

# Editions asked about in one look; months further back are asked about when these are kept.
MOST = 6


@dataclass(frozen=True)
class Seen:
    """One edition as the publisher lists it.

    Attributes:
        source: name of the source.
        edition: name of the edition.
        partition: the partition to fetch it by; None where the source has none.
        news: whether it differs from what is kept; None where the publisher does not tell.
        key: the same for the same source, edition and listing.
        note: one line.
    """

    source: str
    edition: str
    partition: str | None
    news: bool | None
    key: str
    note: str


def look(home: Home, source: str, today: date) -> list[Seen]:
    """Ask what there is of a source: the newest edition, months not kept yet, kept ones that may be revised.

    Args:
        home: where raw vintages are.
        source: name of a source that has a client.
        today: the day.

    Returns:
        One entry per edition asked about; nothing is downloaded and nothing is kept.

    Raises:
        FetchFailed, KeyRefused, SourceChanged, IncompletePull: as ``Client.plan``.
    """
    client, kept = clients()[source], newest(home.raw)
    # A look waits for nobody: the next one comes soon.
    given = Settings.from_environment()
    settings = replace(given, retries=min(given.retries, 1), read=min(given.read, 20), longest_wait=5)
    cache = home.root / "http" / source
    with Http(cache, per_second=client.per_second, key=client.key, hosts=client.hosts, settings=settings) as http:
        return list(_editions(home, client, http, kept, today))


def _editions(
    home: Home, client: Client, http: Http, kept: dict[tuple[str, str], Vintage], today: date
) -> Iterator[Seen]:
    asked: set[str] = set()
    for wanted in list(wanted_editions(home, client, (), (), today))[-MOST:]:
        found = _seen(client, http, wanted, kept)
        asked.add(found.edition)
        yield found
    release = calendar()[client.source]
    for edition in release.earlier(release.partition_of(max(asked)) or ""):
        if (client.source, edition) in kept and edition not in asked:
            yield _seen(client, http, edition, kept)


def _seen(client: Client, http: Http, wanted: str | None, kept: dict[tuple[str, str], Vintage]) -> Seen:
    release = calendar()[client.source]
    try:
        plan = client.plan(http, wanted)
    except NotOut as error:
        if wanted is None:
            raise
        return Seen(client.source, wanted, release.partition_of(wanted), False, "", str(error))
    last = kept.get((client.source, plan.edition))
    listing = hashlib.sha256((plan.state or "").encode()).hexdigest()[:12] if plan.state else "unlisted"
    if last is None:
        news, note = True, "new"
    elif plan.state is None:
        news, note = None, "kept; the publisher does not tell whether it changed"
    elif lists_nothing_new(plan, last):
        news, note = False, "nothing new"
    else:
        news, note = True, f"differs from {last.vintage}"
    key = f"{client.source}:{plan.edition}:{listing}"
    return Seen(client.source, plan.edition, release.partition_of(plan.edition), news, key, note)
