"""USITC DataWeb: US trade by four-digit heading and partner, values and first-unit quantities.

What belongs here: the shape of a DataWeb workbook. What does not: which quantities are weights
(``transforms/trade_flow.py``).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ingest.errors import SourceChanged
from ingest.sources.base import Source, files

S, INT, F = pl.String(), pl.Int32(), pl.Float64()
TRADE: dict[str, pl.DataType] = {
    "flow": S,
    "country": S,
    "hts4": S,
    "unit": S,
    "year": INT,
    "period": S,
    "value_usd": F,
    "quantity": F,
    "suppressed": INT,
    "source": S,
    "vintage": S,
}
# File name pattern, flow and the sheet that holds values.
_BOOKS = (("us_imports_for_consumption*.xlsx", "M", "Customs Value"), ("us_domestic_exports*.xlsx", "X", "FAS Value"))
_KEY = ["country", "hts4", "unit", "year"]
_HEAD = ["Country", "HTS Number", "Quantity Description"]


def _sheet(path: Path, sheet: str) -> pl.DataFrame:
    frame = pl.read_excel(path, sheet_name=sheet, engine="calamine", read_options={"header_row": 2})
    missing = [name for name in _HEAD if name not in frame.columns]
    if missing:
        raise SourceChanged(f"{path}, sheet {sheet}: lacks columns {missing}.")
    frame = frame.filter(pl.col("Country").str.len_chars() > 0)
    return frame.rename({"Country": "country", "HTS Number": "hts4", "Quantity Description": "unit"}).with_columns(
        pl.col("hts4").cast(S), unit=pl.col("unit").str.strip_prefix("Value for: ")
    )


def _long(frame: pl.DataFrame, suffix: str, name: str) -> pl.DataFrame:
    years = [column for column in frame.columns if column.removesuffix(suffix).isdigit() and column.endswith(suffix)]
    return frame.unpivot(years, index=["country", "hts4", "unit"], variable_name="year", value_name=name).with_columns(
        pl.col("year").str.strip_suffix(suffix).cast(INT), pl.col(name).cast(F)
    )


def _book(path: Path, flow: str, value_sheet: str) -> pl.DataFrame:
    parts = []
    for ending, suffix, period in (("", "", "year"), (" YTD", "_Year_to_date", "year_to_date")):
        quantity = _sheet(path, f"First Unit of Quantity{ending}")
        joined = _long(_sheet(path, value_sheet + ending), suffix, "value_usd").join(
            _long(quantity, suffix, "quantity"), on=_KEY, how="left"
        )
        marks = _long(quantity, f"{suffix}_Suppressed", "suppressed") if period == "year" else None
        if marks is not None:
            joined = joined.join(marks, on=_KEY, how="left")
        parts.append(joined.with_columns(flow=pl.lit(flow), period=pl.lit(period)))
    book = pl.concat(parts, how="diagonal_relaxed").filter(pl.col("value_usd") > 0)
    # Only the current year needs its year-to-date figures: full years are annual rows.
    newest = book.filter(pl.col("period") == "year")["year"].max()
    return book.filter((pl.col("period") == "year") | (pl.col("year") > newest))


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read imports for consumption (M) and domestic exports (X); zero cells are no rows."""
    books = [_book(files(folder, pattern)[0], flow, sheet) for pattern, flow, sheet in _BOOKS]
    return {"raw_usitc__trade": pl.concat(books).sort("flow", "hts4", "country", "unit", "year")}


SOURCE = Source(
    name="usitc",
    publisher="United States International Trade Commission",
    title="DataWeb: US imports for consumption and domestic exports",
    licence="US-PD",
    licence_url="https://www.usitc.gov/",
    homepage="https://dataweb.usitc.gov/",
    citation="USITC DataWeb, retrieved {vintage}",
    tables={"raw_usitc__trade": TRADE},
    read=read,
)
