"""How finely a printed figure is known.

What belongs here: the half-width of a printed figure's rounding. What does not: reading the figure
(``ingest.tokens``).
"""

from __future__ import annotations

import re

_FEWEST_DIGITS = 2
_DIGITS = re.compile(r"\d[\d,]*(?:\.\d+)?")


def rounding_of(token: str | None) -> float:
    """Give the half-width of the rounding of a printed figure, in its own unit.

    The last digit that is not a trailing zero is taken as the last significant one, but at least
    two digits are: USGS rounds estimates and world totals to two or three significant digits, so
    that 300,000 is known to 10,000 (half-width 5,000), not to 100,000. A figure is never taken to
    be finer than its last printed digit. Zero and words have no rounding.

    Args:
        token: as printed, e.g. ``390,000``, ``e20,000``, ``>90,000,000``, ``1.4``, ``W``.
    """
    match = _DIGITS.search(token or "")
    if match is None:
        return 0.0
    whole, _, decimals = match[0].replace(",", "").partition(".")
    if not (whole + decimals).strip("0"):
        return 0.0
    if decimals:
        return 0.5 * 10.0 ** -len(decimals)
    significant = max(len(whole.rstrip("0")), _FEWEST_DIGITS)
    return 0.5 * 10.0 ** max(len(whole) - significant, 0)
