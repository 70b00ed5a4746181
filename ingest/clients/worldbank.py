"""World Bank, World Development Indicators: gross domestic product over the publisher's interface.

What belongs here: which series. What does not: pages and their proof (``paged``).
"""

from __future__ import annotations

from typing import ClassVar

from ingest.clients.paged import WorldBankSeries
from ingest.sources.worldbank import INDICATOR


class WorldBank(WorldBankSeries):
    """GDP in current US dollars, all countries, groups and years: some 17,000 rows, one page."""

    source: ClassVar[str] = "worldbank"
    series: ClassVar[tuple[str, ...]] = (INDICATOR,)


CLIENT = WorldBank()
