"""World Bank, World Development Indicators: gross domestic product.

What belongs here: reading GDP in current US dollars. What does not: which codes are countries.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ingest.mapping import read_csv_text
from ingest.sources.base import Source, files

S = pl.String()
TABLE = "raw_worldbank__gdp"


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read GDP by the publisher's country or group code.

    Args:
        folder: raw vintage with ``gdp.csv``.
        vintage: edition.

    Returns:
        ``raw_worldbank__gdp``: code, year, GDP in current US dollars.

    Raises:
        SourceChanged: the file is missing or has other columns.
    """
    path = files(folder, "gdp.csv")[0]
    frame = read_csv_text(path, ("Country Name", "Country Code", "Year", "Value"))
    return {
        TABLE: frame.select(
            code="Country Code", year=pl.col("Year").cast(pl.Int32), gdp_usd=pl.col("Value").cast(pl.Float64)
        )
    }


SOURCE = Source(
    name="worldbank",
    publisher="World Bank",
    title="World Development Indicators, GDP (current US$), NY.GDP.MKTP.CD",
    licence="CC-BY-4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    homepage="https://data.worldbank.org/indicator/NY.GDP.MKTP.CD",
    citation="World Bank ({vintage}), World Development Indicators, NY.GDP.MKTP.CD",
    tables={TABLE: {"source": S, "vintage": S, "code": S, "year": pl.Int32(), "gdp_usd": pl.Float64()}},
    read=read,
)
