"""Printed tokens of statistical tables, read as (value, low, high, token).

A censored figure stays an interval: ``>95`` is never 95 and ``W`` (withheld) is never zero
(methods, section 4). What does not belong here: units, and what a figure means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.errors import SourceChanged

# An em dash is zero; "NA"/"XX"/"" not available; "W" withheld; "E" net exporter; "s" less than
# half a unit or 'small' where the chapter says so. Words stand for unquantified reserves.
_ZERO = {"—", "–", "-", "--"}
_MISSING = {"NA", "XX", "W", "N/A", "(NA)", "LARGE", "SMALL", "VERY SMALL", "MODERATE", "MODERATE TO LARGE"}
_NUMBER = r"-?\d[\d,]*(?:\.\d+)?|-?\.\d+"
_PLAIN = re.compile(rf"^({_NUMBER})$")
_ABOVE = re.compile(rf"^(?:>|≥|greater than|more than)\s*({_NUMBER})$", re.IGNORECASE)
_BELOW = re.compile(rf"^(?:<|≤|less than)\s*({_NUMBER})$", re.IGNORECASE)
_RANGE = re.compile(rf"^({_NUMBER})\s*(?:-|–|to)\s*({_NUMBER})$")
_MARKS = re.compile(r"^(?:[er]\s*(?=[\d>.<]))|(?<=\d)\s*[er]$")


@dataclass(frozen=True)
class Figure:
    """One printed figure.

    Attributes:
        value: the point value; None when the print gives none.
        low: lower bound; None when unbounded or unknown.
        high: upper bound; None when unbounded or unknown.
        token: the text as printed (trimmed); None only for an empty cell.
        estimated: True when the print carried an ``e`` mark.
    """

    value: float | None
    low: float | None
    high: float | None
    token: str | None
    estimated: bool = False


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def read_figure(text: str | None, *, ceiling: float | None = None, where: str = "") -> Figure:
    """Read one printed figure.

    Args:
        text: the cell as printed; None or blank is an empty cell.
        ceiling: largest possible value (100 for percentages), the high bound of ``>x``.
        where: file and row, for the error.

    Returns:
        Its value, bounds and token. ``50–300`` gives no point value, only bounds; ``E`` (net
        exporter) is below zero, so its high bound is 0; a withheld figure has no bounds.

    Raises:
        SourceChanged: the token is of no known form.
    """
    token = (text or "").strip()
    if not token:
        return Figure(None, None, None, None)
    bare = _MARKS.sub("", token).strip()
    estimated = bare != token and "e" in token.lower()
    if bare in _ZERO:
        return Figure(0.0, 0.0, 0.0, token, estimated)
    if bare.upper() in _MISSING or bare.lower().startswith(("variable", "included", "not available")):
        return Figure(None, None, None, token, estimated)
    if bare == "E":
        return Figure(None, None, 0.0, token, estimated)
    if bare == "s":
        return Figure(None, 0.0, 0.5, token, estimated)
    if match := _PLAIN.match(bare):
        number = _number(match[1])
        return Figure(number, number, number, token, estimated)
    if match := _ABOVE.match(bare):
        return Figure(None, _number(match[1]), ceiling, token, estimated)
    if match := _BELOW.match(bare):
        return Figure(None, 0.0, _number(match[1]), token, estimated)
    if match := _RANGE.match(bare):
        return Figure(None, _number(match[1]), _number(match[2]), token, estimated)
    raise SourceChanged(
        f"{where or 'a table'}: the printed token {token!r} is of no known form. "
        "Add it to ingest/tokens.py with its meaning, or correct it in ingest/reference/corrections.csv."
    )
