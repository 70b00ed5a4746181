"""US Census, imports by year: one edition is one calendar year of imports for consumption at ten digits.

What belongs here: editions and variables. What does not: asking and proving (``census_api.py``),
reading (``ingest/sources/census.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from ingest.calendar import calendar
from ingest.clients.census_api import FIRST_YEAR, CensusClient, not_due
from ingest.errors import BadInput
from ingest.sources.census import YEARLY, prove_year


class Census(CensusClient):
    """One year of imports by line and country: the year to date of December."""

    source = "census"
    directions = {"imports": YEARLY}  # noqa: RUF012

    def editions(self, years: Sequence[int], months: Sequence[str], today: date) -> list[str]:
        """Return the years meant, the newest whose December is out by default.

        Raises:
            BadInput: a month, or a year that is not due or before the interface's first.
        """
        if months:
            raise BadInput(f"{self.source} has yearly editions; months are those of census_monthly.")
        release = calendar()[self.source]
        out = today >= date(today.year, release.month or 1, release.day or 1)
        newest = today.year - (1 if out else 2)
        if outside := sorted(year for year in years if not FIRST_YEAR <= year <= newest):
            raise not_due(self.source, str(outside[0]), str(newest))
        return [str(year) for year in sorted(set(years))] or [str(newest)]

    def month_of(self, edition: str) -> str:
        """Return December of the year."""
        return f"{edition}-12"

    def tally(self, folder: Path, edition: str) -> tuple[int, str]:
        """Prove level, month, codes, keys and totals of the year.

        Raises:
            IncompletePull, SourceChanged: as ``prove_year``.
        """
        proof = prove_year(folder, edition)
        summed, total = proof["sum_of_countries"], proof["server_total"]
        return proof["rows"], f"{proof['lines']} lines, countries sum to {summed:,} USD of {total:,}"


CLIENT = Census()
