"""The World Bank's interface, version 2: pages of ``[head, rows]`` in the recorded shape."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tests.replay import Asked, Replay, Reply

UNKNOWN = [
    {
        "message": [
            {"id": "120", "key": "Invalid value", "value": "The provided parameter value is not valid"},
        ]
    }
]


def row(series: str, code: str, year: int, value: float | None) -> dict[str, Any]:
    """One figure as the interface writes it."""
    return {
        "indicator": {"id": series, "value": f"Title of {series}"},
        "country": {"id": code[:2], "value": f"Name of {code}"},
        "countryiso3code": code,
        "date": str(year),
        "value": value,
        "unit": "",
        "obs_status": "",
        "decimal": 0,
    }


def serve(
    server: Replay, series: Mapping[str, Iterable[tuple[str, int, float | None]]], *, updated: str = "2025-07-01"
) -> dict[str, list[dict[str, Any]]]:
    """Serve series of ``(code, year, value)``; the rows returned may be changed afterwards."""
    rows = {name: [row(name, *figure) for figure in figures] for name, figures in series.items()}

    def route(asked: Asked) -> Reply:
        name = asked.path.rpartition("/")[2]
        if name not in rows:
            return reply(UNKNOWN)
        size, number = int(asked.query.get("per_page", "50")), int(asked.query.get("page", "1"))
        head = {
            "page": number,
            "pages": -(-len(rows[name]) // size),
            "per_page": size,
            "total": len(rows[name]),
            "sourceid": asked.query.get("source", "2"),
            "lastupdated": updated,
        }
        return reply([head, rows[name][(number - 1) * size : number * size]])

    server.on("/v2/country/all/indicator/", route)
    return rows


def reply(content: Any) -> Reply:
    return Reply(json.dumps(content).encode())


def without_country(_: Asked, reply: Reply) -> Reply:
    """What the World Bank would answer if it renamed a column."""
    assert isinstance(reply.body, bytes)
    return replace(reply, body=reply.body.replace(b'"countryiso3code"', b'"country_code"'))
