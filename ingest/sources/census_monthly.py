"""US Census Bureau international trade by month: imports and exports by ten-digit line and country.

What belongs here: the two shapes a vintage comes in (one month as the interface replied, or a series
of selected partners in Parquet) and the proof that a month is complete. What does not: the requests
(the client), what a country code or a line stands for (``ingest/reference``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from ingest.errors import SourceChanged
from ingest.sources.base import Source, files
from ingest.sources.census import used_codes
from ingest.sources.census_replies import COUNTRY, LEVEL, TOTAL, Reply, echoed, keyed, whole, whole_set

S, INT, COUNT = pl.String(), pl.Int32(), pl.Int64()
TABLE = "raw_census_monthly__trade"
# A series of many months is no edition of its newest month, which may be pulled as well.
SERIES = "-series"
_SERIES = ("CTY_NAME", "ALL_VAL_MO", "E_COMMODITY", "E_COMMODITY_SDESC", "COMM_LVL", "time", "CTY_CODE")

_PLACE = {"CTY_CODE": "country_code", "CTY_NAME": "country"}
IMPORTS = Reply(
    "M",
    "imports-*.json",
    {
        **_PLACE,
        "I_COMMODITY": "hs10",
        "GEN_VAL_MO": "value_usd",
        "CON_VAL_MO": "consumption_usd",
        "GEN_QY1_MO": "quantity",
        "UNIT_QY1": "unit",
    },
    ("value_usd", "consumption_usd"),
)
EXPORTS = Reply(
    "X",
    "exports-*.json",
    {**_PLACE, "E_COMMODITY": "hs10", "ALL_VAL_MO": "value_usd", "QTY_1_MO": "quantity", "UNIT_QY1": "unit"},
    ("value_usd",),
)
_SCHEMA: dict[str, pl.DataType] = {
    "flow": S,
    "hs10": S,
    "country_code": S,
    "country": S,
    "year": INT,
    "month": INT,
    "value_usd": COUNT,
    "consumption_usd": COUNT,
    "quantity": COUNT,
    "unit": S,
    "scope": S,
    "source": S,
    "vintage": S,
}


def _month(folder: Path, edition: str) -> pl.DataFrame:
    directions = [whole_set(folder, edition, asked, blank=("quantity",)) for asked in (IMPORTS, EXPORTS)]
    return pl.concat(directions, how="diagonal")


def prove_month(folder: Path, edition: str) -> dict[str, Any]:
    """Prove that a folder holds one whole month of imports and exports.

    Args:
        folder: ``imports-<n>.json`` and ``exports-<n>.json``, each a reply as received.
        edition: the month, ``2025-01``.

    Returns:
        ``edition``; ``rows`` kept; ``server_total`` and ``sum_of_countries`` (USD, general imports
        plus exports, of the publisher's total rows and of the single countries); ``flows``: the same
        by M and X with the number of ``lines``.

    Raises:
        SourceChanged: a column, level, month, code or value of another form, or a key twice.
        IncompletePull: no rows, a line without its total, or countries that do not sum to it
            within one dollar each.
    """
    frame = _month(folder, edition)
    by_flow = frame.group_by("flow").agg(
        rows=pl.len(),
        lines=pl.col("hs10").n_unique(),
        server_total=pl.col("value_usd").filter(pl.col("country_code") == TOTAL).sum(),
        sum_of_countries=pl.col("value_usd").filter(pl.col("country_code").str.contains(COUNTRY)).sum(),
    )
    flows = {row.pop("flow"): row for row in by_flow.sort("flow").iter_rows(named=True)}
    summed = ("rows", "server_total", "sum_of_countries")
    return {"edition": edition, **{name: sum(row[name] for row in flows.values()) for name in summed}, "flows": flows}


def _series(path: Path) -> pl.DataFrame:
    """Read a series of monthly exports to one partner, which has no quantities and no total."""
    frame = pl.read_parquet(path)
    missing, unknown = [c for c in _SERIES if c not in frame.columns], [c for c in frame.columns if c not in _SERIES]
    if missing or unknown:
        raise SourceChanged(f"{path}: lacks columns {missing} and has unknown columns {unknown}.")
    named = {source: ours for source, ours in EXPORTS.columns.items() if source in frame.columns}
    months = keyed(echoed(frame, LEVEL, set(frame["time"]), str(path)).rename(named), str(path))
    return whole(months, EXPORTS.sums, str(path)).with_columns(flow=pl.lit(EXPORTS.flow))


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read a vintage: one proven month of all countries, or series of selected partners.

    Args:
        folder: JSON replies of one month, or ``*data-combined.parquet``.
        vintage: the month, ``2025-01``; of a series its newest month and ``-series``.

    Returns:
        ``raw_census_monthly__trade``, the lines of mapped codes only. ``value_usd`` is general imports
        or exports, ``consumption_usd`` imports for consumption; ``quantity`` in ``unit`` as printed.

    Raises:
        SourceChanged: as ``prove_month``; a series that ends with another month than its name says.
        IncompletePull: as ``prove_month``.
    """
    if any(folder.rglob("*.parquet")):
        frame = pl.concat([_series(path) for path in files(folder, "*data-combined.parquet")])
        scope = "selected_partners"
        if (name := max(frame["time"].to_list()) + SERIES) != vintage:
            raise SourceChanged(f"{folder}: this series is the vintage {name}, not {vintage}.")
    else:
        frame, scope = _month(folder, vintage), "all_countries"
    when = pl.col("time").str.split("-")
    rows = frame.filter(pl.col("hs10").str.slice(0, 6).is_in(sorted(used_codes()))).with_columns(
        year=when.list.get(0).cast(INT), month=when.list.get(1).cast(INT), scope=pl.lit(scope)
    )
    absent = [pl.lit(None, kind).alias(name) for name, kind in _SCHEMA.items() if name not in rows.columns]
    kept = rows.with_columns(absent).select(list(_SCHEMA))
    return {TABLE: kept.sort("flow", "year", "month", "hs10", "country_code")}


SOURCE = Source(
    name="census_monthly",
    publisher="United States Census Bureau",
    title="International trade by month: imports and exports by ten-digit line",
    licence="US-PD",
    licence_url="https://www.census.gov/data/developers/about/terms-of-service.html",
    homepage="https://www.census.gov/foreign-trade/",
    citation="US Census Bureau, international trade time series by month, {vintage}",
    tables={TABLE: _SCHEMA},
    read=read,
)
