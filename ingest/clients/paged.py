"""The World Bank's interface, version 2: series in pages, complete when the pages hold what their heads count.

What belongs here: asking for the pages of any series and proving them whole. What does not: which
series a source needs (``worldbank``, ``wgi``) and what a page looks like (``ingest.sources.worldbank``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from math import ceil
from pathlib import Path
from typing import ClassVar

from ingest.clients.base import Client, Item, Plan, Proof, write_text
from ingest.errors import BadInput, IncompletePull, SourceChanged
from ingest.net.session import Http
from ingest.sources.worldbank import Page, page, row_key
from ingest.vintages import kept_files


class WorldBankSeries(Client):
    """Series of one of the World Bank's databases, all countries and years.

    An edition is the day on which the database was last updated, e.g. ``2025-07-01``; every update
    revises the whole history. It is complete when each series' pages hold as many rows as their
    heads count, none twice, all of the same update.

    Attributes:
        series: names of the series that make up an edition.
        optional: series without which an edition is still of use; left out, and said so in the
            proof, where the publisher does not know them.
        database: the publisher's number of the database; None for its main one.
        per_page: rows asked for at once (the publisher allows 32,500).
    """

    base_url: ClassVar[str] = "https://api.worldbank.org/v2"
    # The publisher states no limit.
    per_second: ClassVar[float] = 2.0
    series: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]] = ()
    database: ClassVar[int | None] = None
    per_page: ClassVar[int] = 20_000

    def editions(self, years: Sequence[int], months: Sequence[str], today: date) -> list[str]:
        """Return nothing, that is the newest: the publisher keeps no earlier edition.

        Raises:
            BadInput: a year or month was asked for.
        """
        if years or months:
            raise BadInput(
                f"{self.source} has no editions by year or month: every update holds all years. Leave it out."
            )
        return []

    def plan(self, http: Http, edition: str | None) -> Plan:
        """Ask each series for its number of rows and the day of its last update, one row each."""
        heads, absent = {}, []
        for name in (*self.series, *self.optional):
            try:
                head = self._ask(http, name, 1, per_page=1)
                if head.total == 0:
                    raise SourceChanged(f"{self.source}: the World Bank has no rows for {name}.")
                heads[name] = head
            except SourceChanged:
                if name not in self.optional:
                    raise
                absent.append(name)
        updates = {head.updated for head in heads.values()}
        if len(updates) != 1 or "" in updates:
            raise IncompletePull(f"{self.source}: series of different updates {sorted(updates)}; try again later.")
        updated = updates.pop()
        if edition not in (None, updated):
            raise BadInput(f"{self.source}: there is no edition {edition}; the only one is {updated}.")
        items = tuple(
            Item(f"{name}/page-{number:04}.json", self._address(name), self._query(number, self.per_page))
            for name, head in heads.items()
            for number in range(1, ceil(head.total / self.per_page) + 1)
        )
        totals = {name: head.total for name, head in heads.items()}
        state = json.dumps({"updated": updated, "rows": totals}, sort_keys=True)
        return Plan(updated, items, {"series": totals, "unknown_series": absent}, state)

    def pull(self, http: Http, plan: Plan, folder: Path) -> None:
        """Bring every page as it was answered."""
        for item in plan.items:
            path = folder / item.path
            if path.exists():
                continue
            answer = http.json(item.url, item.params)
            if answer.content is None:
                raise IncompletePull(
                    f"{answer.url}: an empty answer (status {answer.status}), expected a page of rows."
                )
            self._check(page(answer.content, answer.url), item, plan, answer.url)
            write_text(path, answer.text)

    def prove(self, plan: Plan, folder: Path) -> Proof:
        """Hold every page to its number and update, and every series to its number of rows."""
        kept = {str(path.relative_to(folder)) for path in kept_files(folder)}
        if kept != {item.path for item in plan.items}:
            different = sorted(kept ^ {item.path for item in plan.items})
            raise IncompletePull(f"pages missing or too many: {', '.join(different[:5])}.")
        totals: dict[str, int] = plan.partitions["series"]
        checks, nulls = [], 0
        for name, total in totals.items():
            rows = []
            for item in plan.items:
                if item.path.startswith(f"{name}/"):
                    found = page(json.loads((folder / item.path).read_text(encoding="utf-8")), item.path)
                    self._check(found, item, plan, item.path)
                    rows += found.rows
            keys = [row_key(row) for row in rows]
            if odd := {key[0] for key in keys} - {name}:
                raise IncompletePull(f"{name}: the pages hold rows of {sorted(odd)}.")
            if len(rows) != total or len(set(keys)) != total:
                raise IncompletePull(
                    f"{name}: the server counts {total:,} rows, the pages hold {len(rows):,}, "
                    f"of them {len(set(keys)):,} different; a page repeats or rows are missing."
                )
            nulls += sum(row["value"] is None for row in rows)
        whole = sum(totals.values())
        checks.append(
            f"{len(totals)} series: server total {whole:,} = rows kept, none twice, {nulls:,} without a figure"
        )
        checks += [f"the World Bank knows no series {name}" for name in plan.partitions["unknown_series"]]
        return Proof(whole, whole, tuple(checks))

    def _address(self, name: str) -> str:
        return f"{self.url}/country/all/indicator/{name}"

    def _query(self, number: int, per_page: int) -> dict[str, str | int]:
        query: dict[str, str | int] = {"format": "json", "per_page": per_page, "page": number}
        return query if self.database is None else query | {"source": self.database}

    def _ask(self, http: Http, name: str, number: int, per_page: int) -> Page:
        answer = http.json(self._address(name), self._query(number, per_page))
        if answer.content is None:
            raise IncompletePull(f"{answer.url}: an empty answer (status {answer.status}), expected a page of rows.")
        return page(answer.content, answer.url)

    def _check(self, found: Page, item: Item, plan: Plan, where: str) -> None:
        """Hold a page to what was asked for and to the plan.

        Raises:
            IncompletePull: another page, another total, or the publisher updated in the meantime.
        """
        name = item.path.partition("/")[0]
        expected = (item.params["page"], plan.partitions["series"][name], plan.edition)
        if (found.number, found.total, found.updated) != expected:
            raise IncompletePull(
                f"{where}: expected page {expected[0]} of {expected[1]:,} rows, updated {expected[2]}; "
                f"found page {found.number} of {found.total:,} rows, updated {found.updated or 'on no day'}. "
                "A page repeats, or the publisher has just updated; fetch again."
            )
