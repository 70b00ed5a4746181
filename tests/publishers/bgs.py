"""The OGC interface of the British Geological Survey: collections of features in pages."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from ingest.clients.bgs import commodities
from ingest.home import REFERENCE
from ingest.sources.bgs import PROPERTIES
from tests.replay import Asked, Replay, Reply

PATH = "/collections/world-mineral-statistics/items"


def made_up(per_commodity: int = 7) -> list[dict[str, Any]]:
    """Properties of a few features of every commodity that the client asks for, in the first part that is mapped."""
    table = pl.read_csv(REFERENCE / "bgs_map.csv", null_values=[""]).unique("commodity", keep="first")
    parts = dict(table.select("commodity", "sub_commodity").iter_rows())
    return [
        dict.fromkeys(PROPERTIES)
        | {
            "bgs_commodity_trans": commodity,
            "bgs_sub_commodity_trans": parts[commodity],
            "bgs_statistic_type_trans": "Production",
            "country_trans": "Chile",
            "year": f"{2023 - at}-01-01T00:00:00",
            "quantity": 100 + at,
            "quantity_in_book_style": str(100 + at),
            "units": "tonnes (metric)",
            "sdmx_code": "A",
        }
        for commodity in commodities()
        for at in range(per_commodity)
    ]


def exported(folder: Path) -> list[dict[str, Any]]:
    """Properties of the real csv exports, as the interface types them."""
    found = []
    for path in sorted(folder.glob("BGS_*_production.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            for line in csv.DictReader(stream):
                line = {name: value or None for name, value in line.items() if name not in ("x", "y")}
                quantity = line["quantity"]
                year = str(line["year"]).replace(" ", "T")
                found.append(line | {"quantity": None if quantity is None else float(quantity), "year": year})
    return found


def serve(server: Replay, properties: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Serve features with these properties; the features returned may be changed afterwards."""
    features = [
        {"type": "Feature", "id": number, "geometry": {"type": "Point", "coordinates": [0, 0]}, "properties": one}
        for number, one in enumerate(properties, start=1)
    ]

    of_commodity: dict[str, list[dict[str, Any]]] = {}
    for feature in features:
        of_commodity.setdefault(feature["properties"]["bgs_commodity_trans"], []).append(feature)

    def route(asked: Asked) -> Reply:
        fitting = list(of_commodity.get(asked.query["bgs_commodity_trans"], []))
        if asked.query.get("sortby") == "-year":
            fitting.sort(key=lambda one: str(one["properties"]["year"]), reverse=True)
        offset, limit = int(asked.query.get("offset", "0")), int(asked.query.get("limit", "10"))
        return collection(fitting[offset : offset + limit], len(fitting))

    server.on(PATH, route)
    return features


def collection(features: list[Any], matched: int) -> Reply:
    content = {
        "type": "FeatureCollection",
        "features": features,
        "numberMatched": matched,
        "numberReturned": len(features),
        "links": [],
        "timeStamp": "2026-01-01T00:00:00Z",
    }
    return Reply(json.dumps(content).encode(), kind="application/geo+json")
