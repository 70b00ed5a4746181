"""US Census, trade by month: one edition is one month of imports and exports at ten digits.

What belongs here: editions and variables. What does not: asking and proving (``census_api.py``),
reading (``ingest/sources/census_monthly.py``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from ingest.calendar import calendar
from ingest.clients.census_api import FIRST_YEAR, CensusClient, newest_month, not_due
from ingest.errors import BadInput
from ingest.sources.census_monthly import EXPORTS, IMPORTS, prove_month

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


class CensusMonthly(CensusClient):
    """One month of imports and exports by line and country."""

    source = "census_monthly"
    directions = {"imports": IMPORTS, "exports": EXPORTS}  # noqa: RUF012

    def editions(self, years: Sequence[int], months: Sequence[str], today: date) -> list[str]:
        """Return the months meant; those of a year up to the newest that is due.

        Raises:
            BadInput: no month, or one that is not due or before the interface's first.
        """
        newest = newest_month(today, calendar()[self.source].day or 1)
        if odd := [month for month in months if not _MONTH.fullmatch(month)]:
            raise BadInput(f"--month {odd[0]}: expected YYYY-MM, e.g. {newest}.")
        found = set(months)
        for year in years:
            if not (own := {f"{year:04}-{month:02}" for month in range(1, 13) if f"{year:04}-{month:02}" <= newest}):
                raise not_due(self.source, str(year), newest)
            found |= own
        if outside := sorted(month for month in found if not f"{FIRST_YEAR}-01" <= month <= newest):
            raise not_due(self.source, outside[0], newest)
        return sorted(found) or [newest]

    def month_of(self, edition: str) -> str:
        """Return the edition itself."""
        return edition

    def tally(self, folder: Path, edition: str) -> tuple[int, str]:
        """Prove level, month, codes, keys and totals of the month.

        Raises:
            IncompletePull, SourceChanged: as ``prove_month``.
        """
        proof = prove_month(folder, edition)
        parts = [
            f"{flow}: {own['lines']} lines, countries sum to {own['sum_of_countries']:,} USD of {own['server_total']:,}"
            for flow, own in proof["flows"].items()
        ]
        return proof["rows"], "; ".join(parts)


CLIENT = CensusMonthly()
