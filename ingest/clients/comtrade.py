"""UN Comtrade over HTTP: one edition is one year of the mapped codes, both flows, every reporter and partner.

What belongs here: which year is out, sending and splitting the requests, and why a year is complete.
What does not: one request (``comtrade_requests.py``), reading the rows (``sources/comtrade.py``).

Without a key the public preview answers, 500 rows at a time; with one, ``get``, 100,000 rows. The map's
four-digit entries are headings of mapped codes and are not asked for: a heading's row would repeat its
codes. Asked for besides are the codes that became mapped ones in another HS edition
(``reference/hs_revisions.csv``), because each reporter writes in the edition it used.
The publisher asks for at most one request a second; a free key is good for 500 a day. A year takes some
1,500 requests, or half an hour, without a key and some 40 with one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from ingest.clients.base import Client, Item, Plan, Proof, write_text
from ingest.clients.comtrade_requests import KEYED, PATH, PREVIEW, Endpoint, Request, hold, roots
from ingest.errors import BadInput, IncompletePull, NotOut, SourceChanged
from ingest.mapping import reference
from ingest.net.keys import Key
from ingest.net.session import Http
from ingest.sources.comtrade import ENVELOPE, REPORTERS, replies, reply_rows, table

# The Harmonized System took effect in 1988.
FIRST_YEAR = 1988
# A year is out once nearly as many reporters have delivered as for the best of the last years.
NEARLY_ALL, LOOK_BACK = 0.75, 5
# Partners add up to World within this share (methods, section 4) or within what rounding to dollars allows.
TOLERANCE, ROUNDING_USD = 0.01, 0.5
# Marks a request that was answered with as many rows as the limit; it is not sent again when a pull goes on.
TRUNCATED = ".truncated"
_GROUP = ("reporter_m49", "flow", "hs6")


def mapped_codes() -> tuple[str, ...]:
    """Return the six-digit codes of the map and those that became one in another HS edition, sorted."""
    mapped = reference("hs_stage.csv").filter(pl.col("hs_code").str.len_chars() == 6)["hs_code"]
    return tuple(sorted({*mapped, *reference("hs_revisions.csv")["hs6"]}))


class Comtrade(Client):
    """UN Comtrade, goods by HS code and year.

    Args:
        codes: HS codes to ask for; the mapped ones by default.
        reporters: M49 codes; every reporter by default.
        flows: of ``M`` and ``X``; both by default.
    """

    source = "comtrade"
    base_url = "https://comtradeapi.un.org"
    per_second = 0.8
    key = Key(
        variable="ORETRACE_COMTRADE_KEY",
        header="Ocp-Apim-Subscription-Key",
        apply="https://comtradedeveloper.un.org",
    )

    def __init__(
        self,
        codes: Sequence[str] | None = None,
        reporters: Sequence[int] | None = None,
        flows: Sequence[str] = ("M", "X"),
    ) -> None:
        """Choose what the years consist of."""
        self.codes, self.reporters, self.flows = codes, reporters, flows

    def editions(self, years: Sequence[int], months: Sequence[str], today: date) -> list[str]:
        """Return the years asked for.

        Raises:
            BadInput: a month, or a year before the HS or not yet over.
        """
        if months:
            raise BadInput("comtrade is kept by year; use --year.")
        if odd := [year for year in years if not FIRST_YEAR <= year < today.year]:
            raise BadInput(f"comtrade has years from {FIRST_YEAR} to {today.year - 1}, not {odd[0]}.")
        return [str(year) for year in years]

    def plan(self, http: Http, edition: str | None) -> Plan:
        """Ask which reporters have delivered the year (None: the newest that is out).

        Raises:
            BadInput: no year.
            NotOut: no reporter has delivered that year.
        """
        if edition is not None and not re.fullmatch(r"\d{4}", edition):
            raise BadInput(f"comtrade: edition {edition!r} is no year.")
        asked = range(_this_year() - LOOK_BACK, _this_year()) if edition is None else [int(edition)]
        listed = self._availability(http, asked)
        year = _newest(listed) if edition is None else int(edition)
        there = listed.filter(pl.col("year") == year)
        if there.is_empty():
            raise NotOut(f"comtrade {year}: no reporter has delivered this year yet. No vintage was made.")
        door = self._door()
        requests = self._roots(year, door)
        lists = [] if self.reporters else [Item(REPORTERS, f"{self.url}/files/v1/app/reference/{REPORTERS}")]
        items = [Item(one.path, f"{self.url}/{door.path}", one.params(door.limit)) for one in requests]
        return Plan(
            edition=str(year),
            items=(*lists, *items),
            partitions={
                "year": year,
                "flows": list(self.flows),
                "codes": list(self._codes()),
                "reporters": "all" if self.reporters is None else list(self.reporters),
                "reporters_listed": there.height,
                "limit": door.limit,
            },
            state=self._state(there["state"]),
        )

    def pull(self, http: Http, plan: Plan, folder: Path) -> None:
        """Send the requests; one whose reply is truncated is split by code, then by reporter."""
        door = self._door_of(plan)
        if self.reporters is None and not (folder / REPORTERS).exists():
            answer = http.json(f"{self.url}/files/v1/app/reference/{REPORTERS}")
            _reporters_in(answer.text)
            write_text(folder / REPORTERS, answer.text)
        known = self._known(folder)
        for request in self._roots(int(plan.edition), door):
            self._pull(http, request, door, known, folder)
        for mark in folder.rglob(f"*{TRUNCATED}"):
            mark.unlink()

    def _pull(self, http: Http, request: Request, door: Endpoint, known: frozenset[int], folder: Path) -> None:
        path, parts = folder / request.path, request.parts(known)
        mark = path.with_name(f".{path.stem}{TRUNCATED}")
        if path.exists():
            return
        if not mark.exists():
            text, rows = self._ask(http, request, door, known)
            if not rows:
                # No sum would miss what an empty reply leaves out, so it is asked for a second time.
                text, rows = self._ask(http, request, door, known)
            if len(rows) < door.limit:
                write_text(path, text)
                return
            if not parts:
                raise IncompletePull(
                    f"comtrade {request.year}, {request.path}: {len(rows)} rows, as many as one reply holds, "
                    "and the request cannot be split further. No vintage was made."
                )
            write_text(mark, "")
        for part in parts:
            self._pull(http, part, door, known, folder)

    def _ask(self, http: Http, request: Request, door: Endpoint, known: frozenset[int]) -> tuple[str, list[Any]]:
        answer = http.json(f"{self.url}/{door.path}", request.params(door.limit))
        where = f"comtrade {request.year}, {request.path}"
        rows = reply_rows(answer.text, where)
        hold(rows, request, known)
        table(rows, where)  # what could not be read is not kept
        return answer.text, rows

    def prove(self, plan: Plan, folder: Path) -> Proof:
        """Prove that every request has its whole reply and that partners add up to World."""
        door, known = self._door_of(plan), self._known(folder)
        frames, asked = [], 0
        expected: set[Path] = set()
        for request in self._roots(int(plan.edition), door):
            for leaf in _leaves(request, known, folder):
                where = leaf.path
                rows = reply_rows((folder / leaf.path).read_text(encoding="utf-8"), where)
                hold(rows, leaf, known)
                if len(rows) >= door.limit:
                    raise IncompletePull(f"{where}: {len(rows)} rows, as many as one reply holds: truncated.")
                frames.append(table(rows, where))
                expected.add(folder / leaf.path)
                asked += 1
        if unknown := sorted(set(replies(folder)) - expected):
            raise SourceChanged(f"a file that no request explains: {unknown[0].relative_to(folder)}.")
        trade = pl.concat(frames)
        if trade.is_empty():
            raise IncompletePull("no rows at all: the year is not out. No vintage was made.")
        checks = (f"{asked} requests, each below {door.limit:,} rows", _adds_up(trade))
        return Proof(rows=trade.height, server_total=trade.height, checks=checks)

    def fingerprint(self, folder: Path) -> str:
        """Hash the rows without the time a reply took, however the requests were split."""
        found = []
        for path in replies(folder):
            for row in reply_rows(path.read_text(encoding="utf-8"), path.name):
                found.append(hashlib.sha256(json.dumps(row, sort_keys=True).encode()).digest())
        return hashlib.sha256(b"".join(sorted(found))).hexdigest()

    def _state(self, delivered: pl.Series) -> str:
        """Hash what was delivered and what is asked for; not the door, behind both are the same rows."""
        known = {
            "delivered": delivered.sort().to_list(),
            "codes": sorted(set(self._codes())),
            "flows": sorted(set(self.flows)),
            "reporters": None if self.reporters is None else sorted(set(self.reporters)),
        }
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()

    def _codes(self) -> tuple[str, ...]:
        return mapped_codes() if self.codes is None else tuple(self.codes)

    def _roots(self, year: int, door: Endpoint) -> list[Request]:
        return roots(year, self._codes(), self.flows, self.reporters, door.codes)

    def _door(self) -> Endpoint:
        return KEYED if self.key and self.key.value() else PREVIEW

    @staticmethod
    def _door_of(plan: Plan) -> Endpoint:
        return next(door for door in (PREVIEW, KEYED) if door.limit == plan.partitions["limit"])

    def _known(self, folder: Path) -> frozenset[int]:
        if self.reporters is not None:
            return frozenset(self.reporters)
        return _reporters_in((folder / REPORTERS).read_text(encoding="utf-8"))

    def _availability(self, http: Http, years: Sequence[int]) -> pl.DataFrame:
        """Return ``year, reporter_m49, state``: who has delivered which year, and in which version."""
        where = f"{self.url}/public/v1/getDA/{PATH}"
        answer = http.json(where, {"period": ",".join(map(str, years))})
        reply = answer.content if answer.status != 204 else {name: [] for name in ENVELOPE}
        rows = reply.get("data") if isinstance(reply, dict) else None
        if not isinstance(rows, list):
            raise SourceChanged(f"{where}: expected a list as data, found {type(rows).__name__}.")
        listed = pl.DataFrame(
            [_delivery(row, where) for row in rows],
            schema={"year": pl.Int32, "reporter_m49": pl.Int32, "state": pl.String},
            orient="row",
        )
        return listed if self.reporters is None else listed.filter(pl.col("reporter_m49").is_in(self.reporters))


def _delivery(row: Any, where: str) -> tuple[int, int, str]:
    """Return year, reporter and the whole row as text, of one row of the availability."""
    match row:
        case {"period": int() | str() as period, "reporterCode": int() | str() as reporter}:
            found = [str(period), str(reporter)]
            if re.fullmatch(r"[0-9]{4} [0-9]{1,6}", " ".join(found)):
                try:
                    return int(found[0]), int(found[1]), json.dumps(row, sort_keys=True)
                except RecursionError:
                    pass
    raise SourceChanged(f"{where}: expected a year as period and a number as reporterCode, found {str(row)[:80]!r}.")


def _this_year() -> int:
    return datetime.now(UTC).year


def _newest(listed: pl.DataFrame) -> int:
    counts = listed.group_by("year").agg(reporters=pl.col("reporter_m49").n_unique())
    out = counts.filter(pl.col("reporters") >= NEARLY_ALL * pl.col("reporters").max())
    if out.is_empty():
        raise SourceChanged(f"comtrade: the publisher lists no data for the last {LOOK_BACK} years.")
    years: list[int] = out["year"].to_list()
    return max(years)


def _reporters_in(text: str) -> frozenset[int]:
    """Return the codes of the publisher's list of reporters; a group there may be a country (490 is Taiwan)."""
    try:
        found = frozenset(int(row["reporterCode"]) for row in json.loads(text)["results"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        found = frozenset()
    if not found:
        raise SourceChanged(f"comtrade {REPORTERS}: expected results with a reporterCode each.")
    return found


def _leaves(request: Request, known: frozenset[int], folder: Path) -> Iterator[Request]:
    """Yield the requests whose replies together answer ``request``.

    Raises:
        IncompletePull: one has no reply.
    """
    if (folder / request.path).exists():
        yield request
        return
    parts = request.parts(known)
    if not parts:
        raise IncompletePull(f"no reply to {request.path}. No vintage was made.")
    for part in parts:
        yield from _leaves(part, known, folder)


def _adds_up(trade: pl.DataFrame) -> str:
    """Hold the sum of partners to World, by reporter, flow and code.

    Rows of areas that are no country count here: they are part of World.

    Raises:
        IncompletePull: a value or a World row is missing, or sums are apart without a known reason
            (``reference/comtrade_world_gaps.csv``).
    """
    _refuse(trade.filter(pl.col("value_usd").is_null()), "a flow without a value")
    is_world = pl.col("partner_m49") == 0
    sums = trade.group_by("year", *_GROUP).agg(
        world=pl.col("value_usd").filter(is_world).first(),
        partners=pl.col("value_usd").filter(~is_world).sum(),
        rows=pl.len(),
    )
    _refuse(sums.filter(pl.col("world").is_null()), "partners without a World row")
    gap = (pl.col("partners") - pl.col("world")).abs()
    allowed = pl.max_horizontal(TOLERANCE * pl.col("world").abs(), ROUNDING_USD * pl.col("rows"))
    known = reference("comtrade_world_gaps.csv").select(
        pl.col("year", "reporter_m49").cast(pl.Int32), "flow", hs6="hs_code"
    )
    apart = sums.filter(gap > allowed)
    _refuse(
        apart.join(known, on=["year", *_GROUP], how="anti"),
        "partners do not add up to World within 1 %. If the publisher's own figures differ, state the flow and the "
        "reason in ingest/reference/comtrade_world_gaps.csv",
    )
    return f"partners add up to World within 1 % in {sums.height - apart.height} of {sums.height} sums"


def _refuse(bad: pl.DataFrame, what: str) -> None:
    if bad.height:
        shown: dict[str, Any] = bad.sort(*_GROUP).row(0, named=True)
        names = ("year", *_GROUP, "partner_m49", "partners", "world")
        told = ", ".join(f"{name} {shown[name]}" for name in names if name in shown)
        raise IncompletePull(f"{what} ({bad.height} of them, first {told}).")


CLIENT = Comtrade()
