"""Data scripts made small: what many parts of a file have in common is written once.

What belongs here: the form in which figures and HTML reach ``static/app.js``, which opens it again. What does not: what
they say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# A cell or the end of a row ends a piece: cells such as "no tonnes known" come back in row after row.
_PIECE = re.compile(r"(?<=</td>)|(?<=</th>)|(?<=</tr>)")


@dataclass
class Shared:
    """Pieces that occur in a file, each once.

    Attributes:
        pieces: in order of first use.
    """

    pieces: list[str | list[int]] = field(default_factory=list)
    places: dict[str | tuple[int, ...], int] = field(default_factory=dict)

    def place(self, piece: str | list[int]) -> int:
        """Return where a text or a list of years stands; a new one is added."""
        key = piece if isinstance(piece, str) else tuple(piece)
        place = self.places.setdefault(key, len(self.pieces))
        if place == len(self.pieces):
            self.pieces.append(piece)
        return place

    def html(self, text: str) -> list[int]:
        """Return the places of the pieces of HTML, in order."""
        return [self.place(piece) for piece in _PIECE.split(text) if piece]


def packed(part: Mapping[str, Any], shared: Shared) -> dict[str, Any]:
    """Pack what a page shows of one importer: HTML, rows of charts, series.

    Args:
        part: ``html``, and where there are any ``charts`` and ``series``.
        shared: pieces of the file, added to.
    """
    small: dict[str, Any] = {"html": shared.html(part["html"])}
    if "charts" in part:
        small["charts"] = {name: table(chart) for name, chart in part["charts"].items()}
    if "series" in part:
        small["series"] = {
            stage: {**item, "y": shared.place(item["y"]), "note": shared.place(item["note"])}
            for stage, item in part["series"].items()
        }
    return small


def one(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file that holds the part of one importer."""
    shared = Shared()
    small = packed(part, shared)
    return {"shared": shared.pieces, "part": small}


def many(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a file that holds parts of several importers."""
    shared = Shared()
    small = {code: packed(part, shared) for code, part in parts.items()}
    return {"shared": shared.pieces, "parts": small}


def table(chart: Mapping[str, Any]) -> dict[str, Any]:
    """Name the columns of a chart's rows once instead of in every row; other charts stay as they are."""
    rows = chart.get("rows")
    if not rows:
        return dict(chart)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return {**chart, "columns": columns, "rows": [[row.get(name) for name in columns] for row in rows]}
