"""ScienceBase: a listing of child items, items with files, and the files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.replay import Asked, Replay, Reply

OTHER_TITLES = ("Mines, smelters, refineries, and recycling facilities in the United States",)


def entry(number: str, name: str, body: bytes | Path, uploaded: str) -> dict[str, Any]:
    """One file as an item lists it."""
    address = f"https://www.sciencebase.gov/catalog/file/get/{number}?f=__disk__7e%2F49%2Fe8%2F{name}"
    return {
        "name": name,
        "contentType": "text/csv",
        "pathOnDisk": f"__disk__7e/49/e8/{name}",
        "size": body.stat().st_size if isinstance(body, Path) else len(body),
        "dateUploaded": uploaded,
        "url": address,
        "downloadUri": address,
    }


def serve(
    server: Replay,
    releases: Mapping[str, Mapping[str, bytes | Path]],
    *,
    titles: Iterable[str] = OTHER_TITLES,
    uploaded: str = "2026-02-06T12:00:00Z",
) -> dict[str, dict[str, Any]]:
    """Serve releases (title to file name to content) among other items; what is listed may be changed afterwards."""
    numbers = {title: f"{at:024x}" for at, title in enumerate(releases, start=1)}
    listed = [{"id": number, "title": title} for title, number in numbers.items()]
    listed += [{"id": f"{at:024x}", "title": title} for at, title in enumerate(titles, start=1000)]
    items = {
        numbers[title]: {
            "id": numbers[title],
            "title": title,
            "files": [entry(numbers[title], name, body, uploaded) for name, body in contents.items()],
        }
        for title, contents in releases.items()
    }
    bodies = {(numbers[title], name): body for title, contents in releases.items() for name, body in contents.items()}

    def listing(asked: Asked) -> Reply:
        offset, size = int(asked.query.get("offset", "0")), int(asked.query.get("max", "20"))
        return Reply(json.dumps({"total": len(listed), "items": listed[offset : offset + size]}).encode())

    def item(asked: Asked) -> Reply:
        return Reply(json.dumps(items[asked.path.rpartition("/")[2]]).encode())

    def file(asked: Asked) -> Reply:
        number, name = asked.path.rpartition("/")[2], asked.query["f"].rpartition("/")[2]
        return Reply(bodies[number, name], kind="application/octet-stream", validator=True)

    server.on("/catalog/items", listing)
    server.on("/catalog/item/", item)
    server.on("/catalog/file/get/", file)
    return items
