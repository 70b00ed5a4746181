"""World Bank, Worldwide Governance Indicators over the publisher's interface.

What belongs here: which series. What does not: pages and their proof (``paged``).
"""

from __future__ import annotations

from typing import ClassVar

from ingest.clients.paged import WorldBankSeries
from ingest.sources.wgi import INDICATORS, series


class GovernanceIndicators(WorldBankSeries):
    """Six estimates of database 3, and their standard errors.

    The names of the standard errors are formed like those of the estimates and could not be
    confirmed: where the publisher knows no such series, the edition stands without them.
    """

    source: ClassVar[str] = "wgi"
    database: ClassVar[int | None] = 3
    series: ClassVar[tuple[str, ...]] = tuple(series(name, "EST") for name in INDICATORS)
    optional: ClassVar[tuple[str, ...]] = tuple(series(name, "STD.ERR") for name in INDICATORS)


CLIENT = GovernanceIndicators()
