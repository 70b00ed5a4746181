"""US Census Bureau international trade: imports by ten-digit line and country, year to date December.

What belongs here: the shape of the interface's replies as kept in Parquet. What does not: what a
line holds (``reference/hs_stage.csv``).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ingest.errors import SourceChanged
from ingest.home import REFERENCE
from ingest.sources.base import Source, files

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


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read every country file of the vintage's imports."""
    parts = [imports(path) for path in files(folder, f"{vintage}-hs10-imports*.parquet")]
    return {"raw_census__imports_hs10": pl.concat(parts).sort("hs10", "country_code")}


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
