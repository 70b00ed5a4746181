"""Requests to UN Comtrade: which rows one asks for, and how one that is too large is split.

What belongs here: the tree of requests of a year, and whether a reply answers its request. What does
not: the order in which they are sent (``comtrade.py``), what a row means (``sources/comtrade.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ingest.errors import IncompletePull, SourceChanged
from ingest.mapping import reference

PATH = "C/A/HS"
"""Goods, annual, the HS edition that each reporter used."""


@dataclass(frozen=True)
class Endpoint:
    """One of the two doors to the same rows.

    Attributes:
        path: below the base address.
        limit: rows of one reply at most; a reply of as many is truncated.
        codes: codes asked for at once, so that a reply usually stays below the limit.
    """

    path: str
    limit: int
    codes: int


# A code and flow has up to some 4,000 rows over all reporters, so 16 of them stay below 100,000.
PREVIEW = Endpoint(f"public/v1/preview/{PATH}", 500, 1)
KEYED = Endpoint(f"data/v1/get/{PATH}", 100_000, 16)


@dataclass(frozen=True)
class Request:
    """Rows asked for: one year and flow, some codes, all reporters (None) or some, every partner and World.

    Attributes:
        year: calendar year.
        flow: ``M`` imports or ``X`` exports.
        codes: HS codes of four or six digits, sorted.
        reporters: M49 codes, sorted; None for all.
    """

    year: int
    flow: str
    codes: tuple[str, ...]
    reporters: tuple[int, ...] | None

    @property
    def path(self) -> str:
        """Where the reply is kept: ``M/284690/all.json``, or with the first and last code and reporter."""
        return f"{self.flow}/{_span(self.codes)}/{'all' if self.reporters is None else _span(self.reporters)}.json"

    def params(self, limit: int) -> dict[str, str | int]:
        """Query parameters; second partner, customs procedure and transport as totals, so that no row repeats."""
        asked: dict[str, str | int] = {
            "period": self.year,
            "cmdCode": ",".join(self.codes),
            "flowCode": self.flow,
            "partner2Code": 0,
            "customsCode": "C00",
            "motCode": 0,
            "maxRecords": limit,
            "breakdownMode": "classic",
            "includeDesc": "true",
            "format": "JSON",
        }
        return asked if self.reporters is None else asked | {"reporterCode": ",".join(map(str, self.reporters))}

    def parts(self, reporters: Collection[int]) -> tuple[Request, ...]:
        """Split in two, by code and then by reporter; empty where it cannot be split.

        One reporter, code and flow is the end: it has a row per partner, fewer than 300.

        Args:
            reporters: every reporter there is.
        """
        if len(self.codes) > 1:
            return tuple(replace(self, codes=half) for half in _halves(self.codes))
        there = tuple(sorted(reporters)) if self.reporters is None else self.reporters
        return tuple(replace(self, reporters=half) for half in _halves(there)) if len(there) > 1 else ()


def roots(
    year: int, codes: Sequence[str], flows: Sequence[str], reporters: Sequence[int] | None, at_once: int
) -> list[Request]:
    """Return the requests that a year begins with."""
    listed = tuple(sorted(set(codes)))
    groups = [listed[start : start + at_once] for start in range(0, len(listed), at_once)]
    there = None if reporters is None else tuple(sorted(set(reporters)))
    return [Request(year, flow, group, there) for flow in flows for group in groups]


def hold(rows: Sequence[dict[str, Any]], request: Request, reporters: Collection[int] | None) -> None:
    """Hold a reply to its request.

    Args:
        rows: of the reply.
        request: what was asked.
        reporters: every reporter there is; None where the request names its own.

    Raises:
        IncompletePull: a row that was not asked for (a page of another request), or one that repeats.
        SourceChanged: a reporter that the publisher's own list does not hold.
    """
    table = reference("comtrade_columns.csv").drop_nulls("fixed")
    fixed = dict(table.select("column", "fixed").iter_rows())
    fixed |= {"refYear": str(request.year), "period": str(request.year), "flowCode": request.flow}
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        for column, value in fixed.items():
            if str(row[column]) != value:
                raise _other(request, row, column, value)
        if row["cmdCode"] not in request.codes:
            raise _other(request, row, "cmdCode", ", ".join(request.codes))
        if request.reporters is not None and row["reporterCode"] not in request.reporters:
            raise _other(request, row, "reporterCode", ", ".join(map(str, request.reporters)))
        if reporters is not None and row["reporterCode"] not in reporters:
            raise SourceChanged(
                f"comtrade {request.path}: reporter {row['reporterCode']} ({row['reporterDesc']}) is not in the "
                "publisher's list of reporters, so a split by reporter would miss it."
            )
        key = (row["cmdCode"], row["reporterCode"], row["partnerCode"])
        if key in seen:
            raise IncompletePull(
                f"comtrade {request.path}: a row repeats: code {key[0]}, reporter {key[1]}, partner {key[2]}."
            )
        seen.add(key)


def _other(request: Request, row: dict[str, Any], column: str, expected: str) -> IncompletePull:
    return IncompletePull(
        f"comtrade {request.path}: asked for {column} {expected}, a row came with {row[column]!r} "
        f"(code {row['cmdCode']}, reporter {row['reporterCode']}, partner {row['partnerCode']})."
    )


def _halves(items: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    middle = len(items) // 2
    return items[:middle], items[middle:]


def _span(items: Sequence[Any]) -> str:
    return str(items[0]) if len(items) == 1 else f"{items[0]}-{items[-1]}"
