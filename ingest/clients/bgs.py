"""British Geological Survey, World Mineral Statistics over its OGC interface.

What belongs here: asking for the production of the mapped commodities and proving the pages whole.
What does not: what a feature means (``ingest.sources.bgs``, ``reference/bgs_map.csv``).

An edition is the newest year that has statistics, e.g. ``2023``; figures revised afterwards make a new
revision, because the publisher gives no date of change. It is complete when each commodity's pages hold
as many features as the server matches (``numberMatched``), none twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from math import ceil
from pathlib import Path
from typing import Any, ClassVar

from ingest.clients.base import Client, Item, Plan, Proof, write_text
from ingest.errors import BadInput, IncompletePull, SourceChanged
from ingest.mapping import reference
from ingest.net.session import Http
from ingest.sources.bgs import properties_of
from ingest.vintages import kept_files

# All commodities together have some 27,000.
MOST_FEATURES = 10_000_000


class WorldMineralStatistics(Client):
    """Production of the commodities that ``bgs_map.csv`` names, all countries and years.

    Attributes:
        per_page: features asked for at once; larger pages are known to break off.
    """

    source: ClassVar[str] = "bgs"
    base_url: ClassVar[str] = "https://ogcapi.bgs.ac.uk"
    per_page: ClassVar[int] = 500

    def editions(self, years: Sequence[int], months: Sequence[str], today: date) -> list[str]:
        """Return nothing, that is the newest: the publisher keeps no earlier edition.

        Raises:
            BadInput: a year or month was asked for.
        """
        if years or months:
            raise BadInput("bgs has no editions by year or month: its figures are all years in one. Leave it out.")
        return []

    def plan(self, http: Http, edition: str | None) -> Plan:
        """Ask for the number of features of each commodity and for the newest year."""
        matched: dict[str, int] = {}
        newest = ""
        for commodity in commodities():
            answer = http.json(self._address, self._query(commodity, 1, 0) | {"sortby": "-year"})
            count, features = _collection(answer.content, answer.url)
            if count == 0:
                raise SourceChanged(
                    f"{answer.url}: no features; the commodity {commodity!r} may be named otherwise now."
                )
            if not features:
                raise IncompletePull(f"{answer.url}: no feature, but {count:,} matched; fetch again.")
            matched[commodity] = count
            newest = max([newest, *(_year(properties_of(found, answer.url), answer.url) for found in features)])
        if edition not in (None, newest):
            raise BadInput(f"bgs: there is no edition {edition}; the only one is {newest}.")
        items = tuple(
            Item(
                f"{_slug(commodity)}/features-{number:04}.json",
                self._address,
                self._query(commodity, self.per_page, at),
            )
            for commodity, count in matched.items()
            for number, at in enumerate(range(0, ceil(count / self.per_page) * self.per_page, self.per_page), start=1)
        )
        # No state: a revised figure leaves all counts as they were.
        return Plan(newest, items, {"matched": matched})

    def pull(self, http: Http, plan: Plan, folder: Path) -> None:
        """Bring every page as it was answered."""
        for item in plan.items:
            path = folder / item.path
            if path.exists():
                continue
            answer = http.json(item.url, item.params)
            self._check(answer.content, item, plan, answer.url)
            write_text(path, answer.text)

    def prove(self, plan: Plan, folder: Path) -> Proof:
        """Hold every commodity to its number of features, none twice, and the whole to its newest year."""
        kept = {str(path.relative_to(folder)) for path in kept_files(folder)}
        if kept != {item.path for item in plan.items}:
            different = sorted(kept ^ {item.path for item in plan.items})
            raise IncompletePull(f"pages missing or too many: {', '.join(different[:5])}.")
        matched: dict[str, int] = plan.partitions["matched"]
        newest = ""
        for commodity, count in matched.items():
            features: list[Any] = []
            for item in plan.items:
                if item.params["bgs_commodity_trans"] == commodity:
                    content = json.loads((folder / item.path).read_text(encoding="utf-8"))
                    features += self._check(content, item, plan, item.path)
            rows = [properties_of(feature, commodity) for feature in features]
            if odd := {str(row["bgs_commodity_trans"]) for row in rows} - {commodity}:
                raise IncompletePull(f"{commodity}: the pages hold features of {sorted(odd)}.")
            contents = {json.dumps(row, sort_keys=True) for row in rows}
            numbers = {str(feature.get("id", at)) for at, feature in enumerate(features)}
            if not len(rows) == len(contents) == len(numbers) == count:
                raise IncompletePull(
                    f"{commodity}: the server matches {count:,} features, the pages hold {len(rows):,}, of them "
                    f"{min(len(contents), len(numbers)):,} different; a page repeats or features are missing."
                )
            newest = max([newest, *(_year(row, commodity) for row in rows)])
        if newest != plan.edition:
            raise IncompletePull(
                f"the newest year is {newest}, expected {plan.edition}; the publisher may be updating."
            )
        whole = sum(matched.values())
        checks = (f"{len(matched)} commodities: numberMatched {whole:,} = features kept, none twice",)
        return Proof(whole, whole, checks)

    def fingerprint(self, folder: Path) -> str:
        """Return a hash of the properties of all features: the answers themselves hold the time of day."""
        pages = [json.loads(path.read_text(encoding="utf-8")) for path in kept_files(folder)]
        rows = sorted(json.dumps(found["properties"], sort_keys=True) for page in pages for found in page["features"])
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    @property
    def _address(self) -> str:
        return f"{self.url}/collections/world-mineral-statistics/items"

    def _query(self, commodity: str, limit: int, offset: int) -> dict[str, str | int]:
        wanted: dict[str, str | int] = {"bgs_commodity_trans": commodity, "bgs_statistic_type_trans": "Production"}
        return wanted | {"limit": limit, "offset": offset, "f": "json"}

    def _check(self, content: Any, item: Item, plan: Plan, where: str) -> list[Any]:
        """Return the features of a page after holding it to the plan.

        Raises:
            IncompletePull: the server matches another number now, or the page is short.
        """
        count, features = _collection(content, where)
        expected = plan.partitions["matched"][item.params["bgs_commodity_trans"]]
        due = min(int(item.params["limit"]), expected - int(item.params["offset"]))
        if (count, len(features)) != (expected, due):
            raise IncompletePull(
                f"{where}: expected {due} of {expected:,} matched features, found {len(features)} of {count:,}; "
                "the publisher may be updating, fetch again."
            )
        return features


def commodities() -> list[str]:
    """Return the commodities that are asked for, as the publisher names them."""
    return reference("bgs_map.csv")["commodity"].unique().sort().to_list()


def _slug(commodity: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", commodity.lower())


def _year(properties: Mapping[str, Any], where: str) -> str:
    """Return the year of a feature, ``2023`` of ``2023-01-01``."""
    year = str(properties["year"])[:4]
    if not re.fullmatch(r"[0-9]{4}", year):
        raise SourceChanged(f"{where}: a feature of the year {properties['year']!r:.40}, expected one such as 2023.")
    return year


def _collection(content: Any, where: str) -> tuple[int, list[Any]]:
    """Return ``numberMatched`` and the features of an answer."""
    match content:
        case {"numberMatched": int(count), "features": list(features)} if (
            not isinstance(count, bool) and 0 <= count <= MOST_FEATURES
        ):
            return count, features
        case None:
            raise IncompletePull(f"{where}: an empty answer, expected a collection of features.")
        case _:
            raise SourceChanged(f"{where}: expected numberMatched and features, found {content!r:.80}.")


CLIENT = WorldMineralStatistics()
