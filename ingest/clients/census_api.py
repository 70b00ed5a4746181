"""The US Census trade interface over HTTP, as far as the monthly and the yearly product share it.

What belongs here: asking, the interface's own ways to refuse, and the proof against its list of
headings. What does not: which variables and editions one product has (``census.py``,
``census_monthly.py``), reading replies (``ingest/sources``).

A whole month at ten digits is more than the interface answers, and so are the largest chapters; a
four-digit heading with a trailing ``*`` is not. What each heading must add up to comes from one
small request per direction beforehand: the totals of all countries by heading.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlencode, urlsplit

import polars as pl

from ingest.clients.base import Client, Item, Plan, Proof, write_text
from ingest.errors import BadInput, IncompletePull, KeyRefused, NotOut, SourceChanged
from ingest.net.keys import Key, redact
from ingest.net.session import LARGEST_ANSWER, Broken, Http
from ingest.sources.census import used_codes
from ingest.sources.census_replies import LEVEL, TOTAL, Reply, echoed, table_of, whole

KEY = Key(variable="ORETRACE_CENSUS_KEY", parameter="key", apply="https://api.census.gov/data/key_signup.html")
# The interface has data from 2010 on.
FIRST_YEAR = 2010
# Replies hold no validator; nothing that was asked with a key goes into the response cache.
_FRESH = {"Cache-Control": "no-store"}
_KEY_ERROR = "X-DataWebAPI-KeyError"
_KEY_PAGES = ("Invalid Key", "Missing Key")
_HEADINGS = "HS4"
Totals = dict[str, tuple[int, ...]]


def shown(item: Item) -> str:
    """Return a request's address with its parameters, which hold no key."""
    return f"{item.url}?{urlencode(item.params, safe=',*')}"


def ask(http: Http, item: Item) -> str | None:
    """Ask the interface.

    Returns:
        The reply as received, whole JSON; None where it has no data (status 204).

    Raises:
        KeyRefused: the key is missing, unknown or not yet confirmed.
        SourceChanged: the interface does not understand the request.
        FetchFailed: no whole answer after every retry.
    """

    def attempt() -> str | None:
        with http.open(item.url, item.params, _FRESH) as response:
            hops = (*response.history, response)
            if any(_KEY_ERROR in hop.headers for hop in hops) or urlsplit(response.url).path.endswith("_key.html"):
                raise _refused(http, item)
            body = bytearray()
            for chunk in http.body(response):
                body += chunk
                if len(body) > LARGEST_ANSWER:
                    raise SourceChanged(f"{shown(item)}: an answer above {LARGEST_ANSWER >> 20} MB.")
            return None if response.status_code == 204 else _whole_json(http, item, bytes(body))

    return http.again(item.url, attempt)


def _whole_json(http: Http, item: Item, body: bytes) -> str:
    text = body.decode("utf-8", errors="replace")
    begins = text.lstrip()
    if begins.startswith("<") and any(title in text for title in _KEY_PAGES):
        raise _refused(http, item)
    if begins.startswith("error:"):
        raise SourceChanged(f"{shown(item)}: Census does not understand the request: {redact(begins[:200])!r}.")
    try:
        json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Broken(
            f"the answer to {urlencode(item.params)} is not whole JSON ({error}; begins {begins[:60]!r})"
        ) from None
    return text


def _refused(http: Http, item: Item) -> KeyRefused:
    state = (
        "is set, but Census does not accept it; was the link in the e-mail followed?"
        if http.key and http.key.value()
        else "is not set, and Census has answered only with a key since May 2026."
    )
    return KeyRefused(f"{shown(item)}: {KEY.variable} {state} A key is free: {KEY.apply}.")


def headings() -> set[str]:
    """Return the four-digit headings of the mapped codes."""
    return {code[:4] for code in used_codes()}


def totals_of(text: str | bytes, asked: Reply, month: str, where: str) -> Totals:
    """Read the totals of all countries by mapped heading, in the order of ``asked.sums`` (USD).

    Raises:
        SourceChanged: another shape, level, month or country, a heading twice, or none that is mapped.
    """
    frame = echoed(table_of(text, _listed(asked), where), _HEADINGS, {month}, where)
    frame = whole(
        frame.rename({name: ours for name, ours in asked.columns.items() if name in frame.columns}), asked.sums, where
    )
    if odd := set(frame["country_code"]) - {TOTAL}:
        raise SourceChanged(f"{where}: totals of {sorted(map(str, odd))}, expected those of all countries.")
    if (twice := frame.filter(pl.col("hs10").is_duplicated())).height:
        raise SourceChanged(f"{where}: the heading {twice['hs10'][0]} twice.")
    mapped = frame.filter(pl.col("hs10").is_in(sorted(headings()))).sort("hs10")
    if mapped.is_empty():
        raise SourceChanged(f"{where}: none of {frame.height} headings is mapped in reference/hs_stage.csv.")
    return {heading: tuple(sums) for heading, *sums in mapped.select("hs10", *asked.sums).iter_rows()}


def _listed(asked: Reply) -> list[str]:
    """Variables of the list of headings: country, commodity and what is summed."""
    return [name for name, ours in asked.columns.items() if ours in ("country_code", "hs10", *asked.sums)]


class CensusClient(Client):
    """What the monthly and the yearly product share.

    An edition is complete when every heading that the interface lists was answered, every reply
    echoes what was asked, the lines of a heading add up to the heading, and the countries of every
    line add up to the line.

    Attributes:
        directions: part of the address (``imports``, ``exports``) to what is asked there.
    """

    base_url = "https://api.census.gov/data/timeseries/intltrade"
    per_second = 2.0
    key = KEY
    directions: ClassVar[Mapping[str, Reply]]

    @abstractmethod
    def month_of(self, edition: str) -> str:
        """Return the month an edition is asked by, ``2024-12``."""

    @abstractmethod
    def tally(self, folder: Path, edition: str) -> tuple[int, str]:
        """Prove the replies among themselves; return the number of rows and one line on their totals.

        Raises:
            IncompletePull, SourceChanged: as ``Client.prove``.
        """

    def plan(self, http: Http, edition: str | None) -> Plan:
        """Ask for the totals by heading: they say whether the month is out, what to ask, and if anything is new.

        Raises:
            NotOut: the month is not out.
            FetchFailed, KeyRefused, SourceChanged: as ``ask``.
        """
        edition = edition or self.editions((), (), datetime.now(UTC).date())[0]
        month = self.month_of(edition)
        items: list[Item] = []
        found: dict[str, Totals] = {}
        for direction, asked in self.directions.items():
            listing = self._listing(direction, month)
            text = ask(http, listing)
            if text is None:
                raise NotOut(f"{shown(listing)}: no data; Census has not released {direction} of {month} yet.")
            found[direction] = totals_of(text, asked, month, shown(listing))
            items += [listing, *(self._item(direction, heading, month) for heading in found[direction])]
        usd = {
            direction: {name: sum(row[at] for row in found[direction].values()) for at, name in enumerate(asked.sums)}
            for direction, asked in self.directions.items()
        }
        return Plan(edition, tuple(items), {"month": month, "total_of_headings_usd": usd}, _state(found))

    def pull(self, http: Http, plan: Plan, folder: Path) -> None:
        """Keep every reply as received.

        Raises:
            IncompletePull: no data for a heading that is listed.
            FetchFailed, KeyRefused, SourceChanged: as ``ask``.
        """
        for item in plan.items:
            target = folder / item.path
            if target.exists():
                continue
            text = ask(http, item)
            if text is None:
                raise IncompletePull(f"{shown(item)}: no data, but Census lists trade under it. Try again later.")
            write_text(target, text)

    def prove(self, plan: Plan, folder: Path) -> Proof:
        """Prove the edition (see the class).

        Raises:
            IncompletePull: a request unanswered, a reply to another request, or sums that do not agree.
            SourceChanged: a reply of another shape.
        """
        asked = {item.path for item in plan.items}
        kept = {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
        if asked != kept:
            raise IncompletePull(
                f"{plan.edition}: {len(asked)} requests and {len(kept)} answers; unanswered {sorted(asked - kept)}, "
                f"not asked for {sorted(kept - asked)}."
            )
        month = self.month_of(plan.edition)
        found: dict[str, Totals] = {}
        for direction, reply in self.directions.items():
            path = folder / self._listing(direction, month).path
            found[direction] = totals_of(path.read_bytes(), reply, month, str(path))
        if _state(found) != plan.state:
            raise IncompletePull(f"{plan.edition}: Census revised its figures during the pull. Fetch it again.")
        for direction, reply in self.directions.items():
            for heading, listed in found[direction].items():
                _agree(folder / self._item(direction, heading, month).path, heading, listed, reply)
        rows, totals = self.tally(folder, plan.edition)
        count = sum(map(len, found.values()))
        checks = (f"{count} of {count} headings answered, each as listed", totals)
        # The interface counts no rows; its own totals are in the plan's partitions, in USD.
        return Proof(rows, None, checks)

    def _listing(self, direction: str, month: str) -> Item:
        return Item(
            f"headings-{direction}.json",
            f"{self.url}/{direction}/hs",
            {
                "get": ",".join(_listed(self.directions[direction])),
                "CTY_CODE": TOTAL,
                "COMM_LVL": _HEADINGS,
                "time": month,
            },
        )

    def _item(self, direction: str, heading: str, month: str) -> Item:
        asked = self.directions[direction]
        return Item(
            asked.pattern.replace("*", heading),
            f"{self.url}/{direction}/hs",
            {"get": ",".join(asked.columns), "COMM_LVL": LEVEL, _commodity(asked): f"{heading}*", "time": month},
        )


def _commodity(asked: Reply) -> str:
    return next(name for name, ours in asked.columns.items() if ours == "hs10")


def _state(found: Mapping[str, Totals]) -> str:
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _agree(path: Path, heading: str, listed: Sequence[int], asked: Reply) -> None:
    """Hold one reply to its heading: no other commodity, and lines that add up to what is listed.

    Raises:
        IncompletePull: it does not.
    """
    frame = table_of(path.read_bytes(), tuple(asked.columns), str(path)).rename(asked.columns)
    if (odd := frame.filter(~pl.col("hs10").str.starts_with(heading).fill_null(False))).height:
        raise IncompletePull(f"{path}: asked for {heading}*, answered with {odd['hs10'][0]}. Fetch it again.")
    lines = whole(frame.filter(country_code=TOTAL), asked.sums, str(path))
    for name, total in zip(asked.sums, listed, strict=True):
        found = int(lines[name].sum())
        if abs(found - total) > lines.height:
            raise IncompletePull(
                f"{path}: {name} of {lines.height} lines sums to {found} USD, Census lists {total} for {heading}. "
                "Fetch it again."
            )


def not_due(source: str, edition: str, newest: str) -> BadInput:
    """Return the error for an edition outside what the interface has."""
    return BadInput(
        f"{source} has no edition {edition}; it has those from {FIRST_YEAR} to {newest}, the newest that is due."
    )


def newest_month(today: date, day: int) -> str:
    """Return the newest month that is out when months come out on ``day`` of the second month after."""
    count = today.year * 12 + today.month - 1 - (2 if today.day >= day else 3)
    return f"{count // 12:04}-{count % 12 + 1:02}"
