"""UN Comtrade: the public preview, the keyed ``get``, the list of reporters and who has delivered which year.

What belongs here: answering from rows as the publisher does, filters and row limits included. What
does not: what a client makes of it. The shape of a row and of the reporters is that of recorded
replies; ``getDA`` follows the publisher's documentation (no recording of it is at hand).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from ingest.sources.comtrade import columns
from tests.replay import Asked, Replay, Reply

KEY_HEADER = "ocp-apim-subscription-key"
Row = dict[str, Any]


def row(
    reporter: int,
    partner: int,
    code: str,
    flow: str,
    value: float,
    weight: float | None = None,
    year: int = 2023,
    **more: Any,
) -> Row:
    """Return one row in the publisher's shape, with every column it has."""
    known: Row = dict.fromkeys(columns()) | {
        "typeCode": "C",
        "freqCode": "A",
        "refPeriodId": year * 10000 + 101,
        "refYear": year,
        "refMonth": 52,
        "period": str(year),
        "reporterCode": reporter,
        "reporterDesc": f"Reporter {reporter}",
        "partnerCode": partner,
        "flowCode": flow,
        "partner2Code": 0,
        "classificationCode": "H6",
        "classificationSearchCode": "HS",
        "isOriginalClassification": True,
        "cmdCode": code,
        "customsCode": "C00",
        "mosCode": "0",
        "motCode": 0,
        "qtyUnitCode": 8,
        "qtyUnitAbbr": "kg",
        "qty": weight,
        "isQtyEstimated": False,
        "netWgt": weight,
        "isNetWgtEstimated": False,
        "cifvalue": value if flow == "M" else None,
        "fobvalue": value if flow == "X" else None,
        "primaryValue": value,
        "isReported": False,
        "isAggregate": True,
    }
    return known | more


def with_world(rows: Iterable[Row]) -> list[Row]:
    """Add each reporter's World row: the sum over its partners."""
    sums: dict[tuple[int, int, str, str], list[Row]] = defaultdict(list)
    for one in rows:
        sums[one["refYear"], one["reporterCode"], one["cmdCode"], one["flowCode"]].append(one)
    out: list[Row] = []
    for parts in sums.values():
        whole = sum(part["primaryValue"] for part in parts)
        out += [parts[0] | {"partnerCode": 0, "primaryValue": whole, "netWgt": None, "qty": None}, *parts]
    return out


def from_table(path: Path, codes: Iterable[str]) -> list[Row]:
    """Bring the table of many reporters to the publisher's rows.

    The largest row of a key is its total; the others are breakdowns, which carry a mode of transport.
    """
    table = pl.read_csv(path, schema_overrides={"cmd": pl.String}).filter(pl.col("cmd").is_in(list(codes)))
    key = ["year", "reporter", "partner", "cmd", "flow"]
    ranked = table.with_columns(place=pl.col("value").rank("ordinal", descending=True).over(key))
    return [
        row(
            one["reporter"],
            one["partner"],
            one["cmd"],
            one["flow"],
            one["value"],
            one["netwgt"],
            one["year"],
            motCode=0 if one["place"] == 1 else 1000 + one["place"],
        )
        for one in ranked.iter_rows(named=True)
    ]


class Publisher:
    """Answers from ``rows``; ``limit`` rows at most without a key, ``key_limit`` with the right one."""

    def __init__(self, rows: list[Row], *, key: str = "right", limit: int = 500, key_limit: int = 100_000) -> None:
        self.key, self.limit, self.key_limit = key, limit, key_limit
        self.rows: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        self.delivered: dict[str, set[int]] = defaultdict(set)
        for one in rows:
            self.rows[one["period"], one["cmdCode"], one["flowCode"]].append(one)
            self.delivered[one["period"]].add(one["reporterCode"])
        self.reporters = sorted({one["reporterCode"] for one in rows})

    def serve(self, server: Replay) -> None:
        """Add the routes."""
        server.on("/public/v1/preview/C/A/HS", self.preview)
        server.on("/data/v1/get/C/A/HS", self.get)
        server.on("/public/v1/getDA/C/A/HS", self.availability)
        server.on("/files/v1/app/reference/Reporters.json", self.reporter_list)

    def select(self, asked: Asked) -> list[Row]:
        """Return the rows that a query means; a filter that is not sent filters nothing."""
        query = asked.query
        totals = {"partner2Code": "partner2Code", "customsCode": "customsCode", "motCode": "motCode"}
        reporters = set(map(int, query["reporterCode"].split(","))) if "reporterCode" in query else None
        return [
            one
            for code in query["cmdCode"].split(",")
            for flow in query["flowCode"].split(",")
            for one in self.rows[query["period"], code, flow]
            if (reporters is None or one["reporterCode"] in reporters)
            and all(str(one[column]) == query[name] for name, column in totals.items() if name in query)
        ]

    def preview(self, asked: Asked) -> Reply:
        """Answer without a key."""
        return envelope(self.select(asked)[: min(self.limit, int(asked.query["maxRecords"]))])

    def get(self, asked: Asked) -> Reply:
        """Answer with a key."""
        if asked.headers.get(KEY_HEADER) != self.key:
            return Reply(b'{"statusCode": 401, "message": "Access denied due to invalid subscription key."}', 401)
        return envelope(self.select(asked)[: min(self.key_limit, int(asked.query["maxRecords"]))])

    def availability(self, asked: Asked) -> Reply:
        """Say who has delivered which of the years asked for."""
        found = [
            {"period": int(year), "reporterCode": code, "datasetChecksum": len(self.delivered[year]), "totalRecords": 1}
            for year in asked.query["period"].split(",")
            for code in sorted(self.delivered.get(year, ()))
        ]
        return envelope(found)

    def reporter_list(self, _: Asked) -> Reply:
        """List every reporter there is."""
        known = [{"id": code, "text": str(code), "reporterCode": code, "isGroup": False} for code in self.reporters]
        return Reply(json.dumps({"results": known}).encode())


def envelope(rows: list[Row], **more: Any) -> Reply:
    """Wrap rows as the publisher does."""
    return Reply(
        json.dumps({"elapsedTime": "0.03 secs", "count": len(rows), "data": rows, "error": ""} | more).encode()
    )


def recorded(folder: Path, server: Replay) -> None:
    """Serve the recorded replies, byte for byte: China's imports of heading 2846, one reply per year."""
    years = sorted(path.stem for path in folder.glob("[12]*.json"))

    def preview(asked: Asked) -> Reply:
        query = asked.query
        meant = (query["reporterCode"], query["cmdCode"], query["flowCode"]) == ("156", "2846", "M")
        path = folder / f"{query['period']}.json"
        return Reply(path) if meant and path.exists() else envelope([])

    def availability(asked: Asked) -> Reply:
        there = [year for year in asked.query["period"].split(",") if year in years]
        return envelope([{"period": int(year), "reporterCode": 156, "datasetChecksum": 1} for year in there])

    server.on("/public/v1/preview/C/A/HS", preview)
    server.on("/public/v1/getDA/C/A/HS", availability)
