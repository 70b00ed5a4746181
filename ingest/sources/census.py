"""US Census Bureau international trade: imports by ten-digit line and country, year to date December.

What belongs here: the two shapes a vintage comes in (one year as the interface replied, or files of
selected countries in Parquet) and the proof that a year is complete. What does not: the requests
(``ingest/clients``), what a line holds (``reference/hs_stage.csv``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from ingest.errors import SourceChanged
from ingest.home import REFERENCE
from ingest.sources.base import Source, files
from ingest.sources.census_replies import COUNTRY, TOTAL, Reply, whole_set

S, INT, F = pl.String(), pl.Int32(), pl.Float64()
IMPORTS: dict[str, pl.DataType] = {
    "hs10": S,
    "country_code": S,
    "country": S,
    "year": INT,
    "month": INT,
    "value_usd": F,
    "source": S,
    "vintage": S,
}
YEARLY = Reply(
    "M",
    "imports-*.json",
    {"CTY_CODE": "country_code", "CTY_NAME": "country", "I_COMMODITY": "hs10", "CON_VAL_YR": "value_usd"},
    ("value_usd",),
)
_WANTED = ["CTY_NAME", "CTY_CODE", "I_COMMODITY", "CON_VAL_YR", "time", "COMM_LVL"]


def used_codes() -> set[str]:
    """Return the six-digit codes of the stage map: only their lines are kept."""
    table = pl.read_csv(REFERENCE / "hs_stage.csv", schema_overrides={"hs_code": S}, columns=["hs_code"])
    return set(table["hs_code"].str.slice(0, 6))


def imports(path: Path) -> pl.DataFrame:
    """Read one country's imports for consumption (USD, year to date of the month in ``time``).

    Raises:
        SourceChanged: a column is missing, the level is not ten digits, or a value is no number.
    """
    frame = pl.read_parquet(path)
    if missing := [name for name in _WANTED if name not in frame.columns]:
        raise SourceChanged(f"{path}: lacks columns {missing}, has {frame.columns}.")
    if levels := set(frame["COMM_LVL"]) - {"HS10"}:
        raise SourceChanged(f"{path}: commodity level {sorted(levels)}, expected HS10.")
    kept = frame.filter(pl.col("I_COMMODITY").str.slice(0, 6).is_in(sorted(used_codes())))
    return kept.select(
        hs10="I_COMMODITY",
        country_code="CTY_CODE",
        country="CTY_NAME",
        year=pl.col("time").dt.year(),
        month=pl.col("time").dt.month().cast(INT),
        value_usd=pl.col("CON_VAL_YR").cast(F),
    )


def prove_year(folder: Path, edition: str) -> dict[str, Any]:
    """Prove that a folder holds one whole year of imports for consumption.

    Args:
        folder: ``imports-<n>.json``, each a reply as received, for December's year to date.
        edition: the year, ``2024``.

    Returns:
        ``edition``; ``rows`` and ``lines`` kept; ``server_total`` and ``sum_of_countries`` (USD).

    Raises:
        SourceChanged: a column, level, month, code or value of another form, or a key twice.
        IncompletePull: no rows, a line without its total, or countries that do not sum to it
            within one dollar each.
    """
    frame = whole_set(folder, f"{edition}-12", YEARLY)
    return {
        "edition": edition,
        "rows": frame.height,
        "lines": frame["hs10"].n_unique(),
        "server_total": frame.filter(country_code=TOTAL)["value_usd"].sum(),
        "sum_of_countries": frame.filter(pl.col("country_code").str.contains(COUNTRY))["value_usd"].sum(),
    }


def _replies(folder: Path, vintage: str) -> pl.DataFrame:
    """Read the single countries of a proven year; total and groups are sums of them."""
    frame = whole_set(folder, f"{vintage}-12", YEARLY)
    mapped = pl.col("hs10").str.slice(0, 6).is_in(sorted(used_codes()))
    return frame.filter(mapped & pl.col("country_code").str.contains(COUNTRY)).select(
        "hs10",
        "country_code",
        "country",
        year=pl.lit(int(vintage), INT),
        month=pl.lit(12, INT),
        value_usd=pl.col("value_usd").cast(F),
    )


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read a vintage: one proven year of all countries, or files of selected countries and groups.

    Args:
        folder: JSON replies of one year, or ``<vintage>-hs10-imports*.parquet``.
        vintage: the year.

    Returns:
        ``raw_census__imports_hs10``, the lines of mapped codes only: imports for consumption, USD.

    Raises:
        SourceChanged: as ``prove_year`` and ``imports``.
        IncompletePull: as ``prove_year``.
    """
    if any(folder.rglob("*.parquet")):
        found = pl.concat([imports(path) for path in files(folder, f"{vintage}-hs10-imports*.parquet")])
    else:
        found = _replies(folder, vintage)
    return {"raw_census__imports_hs10": found.sort("hs10", "country_code")}


SOURCE = Source(
    name="census",
    publisher="United States Census Bureau",
    title="International trade: imports by ten-digit line",
    licence="US-PD",
    licence_url="https://www.census.gov/data/developers/about/terms-of-service.html",
    homepage="https://www.census.gov/foreign-trade/",
    citation="US Census Bureau, international trade time series, imports {vintage}",
    tables={"raw_census__imports_hs10": IMPORTS},
    read=read,
)
