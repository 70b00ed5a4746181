"""How a figure, an interval, a missing value or a name is written on a page.

What belongs here: pure functions from values to text. What does not: HTML and choice of figures.
"""

from __future__ import annotations

import re
from datetime import date

MISSING = "–"
WITHHELD, NET_EXPORTER = "W", "E"  # as printed
EVIDENCE = {"reported": "R", "estimated": "E", "derived": "D", "assumed": "A"}
EVIDENCE_MEANING = {
    "reported": "printed by the publisher as a measurement",
    "estimated": "printed by the publisher as an estimate, or share times world total",
    "derived": "computed here from printed figures",
    "assumed": "rests on an assumption where no figure is printed",
}
_SLUG = re.compile(r"[^A-Za-z0-9_-]+")


def slug(name: str) -> str:
    """Return a name that is safe as a file name and in a link, the same for the same name."""
    return _SLUG.sub("-", name).strip("-") or "unnamed"


def percent(share: float | None) -> str:
    """Write a share of 0 to 1 in percent, without its sign: whole, but never 0 or 100 for what is only near it.

    Returns:
        ``77``, ``0.4``, ``<0.1``, ``99.6``; the mark of a missing value for None.
    """
    if share is None:
        return MISSING
    value = 100 * share
    for near, far in ((0.0, 100.0), (100.0, 0.0)):
        gap = abs(value - near)
        if gap < 1e-9:
            return f"{near:.0f}"
        if gap < 0.05:
            return "<0.1" if far else ">99.9"
        if gap < 0.95:
            return f"{value:.1f}"
    return f"{value:.0f}"


def interval(low: float | None, high: float | None) -> str:
    """Write the bounds of a share in percent, ``93–98``; one figure where both read the same; nothing when unknown."""
    if low is None or high is None:
        return ""
    left, right = percent(low), percent(high)
    return left if left == right else f"{left}–{right}"


def share_with_interval(share: float | None, low: float | None, high: float | None) -> str:
    """Write a share with its bounds in brackets, ``83 (73–98)``."""
    bounds = interval(low, high)
    text = percent(share)
    return f"{text} ({bounds})" if share is not None and bounds and bounds != text else text


def points(difference: float | None) -> str:
    """Write a difference of two shares in signed percentage points, ``+58``; ``0`` for what rounds to it."""
    if difference is None:
        return MISSING
    value = 100 * difference
    text = f"{value:+.0f}" if abs(value) >= 0.95 or value == 0 else f"{value:+.1f}"
    return "0" if float(text) == 0 else text.replace("-", "−")


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with thousands separators and at least ``digits`` significant digits; whole when large."""
    if value is None:
        return MISSING
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 10 ** (digits - 1):
        return f"{value:,.0f}".replace("-", "−")
    if value == round(value):
        return f"{value:.0f}".replace("-", "−")
    text = f"{value:#.{digits}g}"
    return (f"{value:.2e}" if "e" in text else text.rstrip(".")).replace("-", "−")


def number_with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """Write a number with its bounds in brackets where they differ from it."""
    text = number(value)
    if value is None or low is None or high is None:
        return text
    left, right = number(low), number(high)
    return text if left == right == text else f"{text} ({left}–{right})"


def number_range(low: float | None, high: float | None) -> str:
    """Write two bounds of a number, ``2,995–3,108``; one where both read the same."""
    if low is None or high is None:
        return MISSING
    left, right = number(low), number(high)
    return left if left == right else f"{left}–{right}"


def reliance(token: str | None, derived: float | None) -> str:
    """Write net import reliance in percent: as printed where it is printed, ``E`` in words, else what was derived."""
    if token is not None:
        return "E (net exporter)" if token == NET_EXPORTER else token
    if derived is None:
        return MISSING
    return "net exporter" if derived < 0 else number(derived, 2)


def printed(token: str | None, value: float | None) -> str:
    """Write a figure as printed: its token where there is one, ``W`` in words, else the number."""
    if token == WITHHELD:
        return "W (withheld)"
    if token is not None:
        return token
    return number(value)


def shade(share: float | None) -> int:
    """Return the step of the colour scale, 0 to 9, of a share."""
    return -1 if share is None else min(9, max(0, int(share * 10)))


def day(moment: date | None, precision: str | None = None) -> str:
    """Write a date as far as it is known: ``2010``, ``2010-09`` or ``2010-09-07``."""
    if moment is None:
        return ""
    return moment.isoformat()[: {"year": 4, "month": 7}.get(precision or "day", 10)]


def listing(text: str | None) -> str:
    """Write a list that a mart keeps with semicolons with commas."""
    return ", ".join(part.strip() for part in text.split(";")) if text else ""


def in_words(identifier: str | None) -> str:
    """Write an identifier such as ``export_control`` in words, with a capital."""
    text = (identifier or "").replace("_", " ")
    return text[:1].upper() + text[1:]


def runs(pairs: list[tuple[int, str]]) -> str:
    """Write what holds in which years, ``2002–2016 value; 2017 tonnes``, from (year, text) in order of years."""
    spans: list[tuple[int, int, str]] = []
    for year, text in pairs:
        if spans and spans[-1][2] == text:
            spans[-1] = (spans[-1][0], year, text)
        else:
            spans.append((year, year, text))
    return "; ".join(f"{first if first == last else f'{first}–{last}'} {text}" for first, last, text in spans)


def basis_mark(basis: str | None) -> str:
    """Return the short mark of what a share is of: ``t`` tonnes contained, ``$`` value, ``p`` as printed."""
    if basis is None:
        return ""
    if basis.startswith("value"):
        return "$"
    return "t" if basis.startswith("tonnes") else "p"
