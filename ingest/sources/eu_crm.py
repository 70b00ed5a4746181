"""European Commission, study on the critical raw materials for the EU: shares, uses and scores.

What belongs here: reading the study's four tables as printed. What does not: materials, stages and
what a token means (``transforms``).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ingest.mapping import one_of, read_csv_text
from ingest.sources.base import Source, files

S = pl.String()
_ENCODING = "cp1252"
_SUPPLY: dict[str, pl.DataType] = {
    "source": S,
    "vintage": S,
    "name": S,
    "step": S,
    "country": S,
    "share": S,
    "trade_factor": pl.Float64(),
}


def _supply(path: Path) -> pl.DataFrame:
    frame = read_csv_text(path, ("Material", "Stage", "Country", "Share", "t"), encoding=_ENCODING)
    one_of("Stage", ("E", "P"), frame, path.name)
    return frame.select(
        name="Material", step="Stage", country="Country", share="Share", trade_factor=pl.col("t").cast(pl.Float64)
    )


def _uses(path: Path) -> pl.DataFrame:
    columns = ("Material", "Application", "Share", "NACE sector", "VA in million €")
    frame = read_csv_text(path, columns, encoding=_ENCODING)
    return frame.select(
        name="Material",
        application="Application",
        share="Share",
        sector=pl.col("NACE sector").str.extract(r"^([A-Z]\d{2}) - "),
        sector_name=pl.col("NACE sector").str.extract(r"^[A-Z]\d{2} - (.*)$"),
        value_added_meur=pl.col("VA in million €").cast(pl.Float64),
    )


def _scores(path: Path) -> pl.DataFrame:
    frame = read_csv_text(path, ("Material", "Year", "SR", "EI"))
    return frame.select(name="Material", year=pl.col("Year").cast(pl.Int32), supply_risk="SR", economic_importance="EI")


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read the four tables of one edition.

    Args:
        folder: raw vintage with the study's ``fact_*`` and ``dimension_*`` csv files.
        vintage: year of the study.

    Returns:
        Shares, trade factors and scores as printed (shares keep their token, e.g. ``<0.1%``); ``step``
        is E extraction or P processing; ``value_added_meur`` in million euro, null without a sector.

    Raises:
        SourceChanged: a file is missing or has other columns, steps or encoding.
    """
    return {
        "raw_eu_crm__global_supply": _supply(files(folder, "fact_GlobalSupplyShares*.csv")[0]),
        "raw_eu_crm__eu_supply": _supply(files(folder, "fact_EUSupplyShares*.csv")[0]),
        "raw_eu_crm__end_uses": _uses(files(folder, "fact_MaterialUseShares.csv")[0]),
        "raw_eu_crm__scores": _scores(files(folder, "dimension_CRMsOverTime.csv")[0]),
    }


SOURCE = Source(
    name="eu_crm",
    publisher="European Commission",
    title="Study on the critical raw materials for the EU, tables",
    licence="CC-BY-4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    homepage="https://rmis.jrc.ec.europa.eu/",
    citation="European Commission ({vintage}), Study on the critical raw materials for the EU {vintage}, "
    "doi:10.2873/725585",
    tables={
        "raw_eu_crm__global_supply": _SUPPLY,
        "raw_eu_crm__eu_supply": _SUPPLY,
        "raw_eu_crm__end_uses": {
            "source": S,
            "vintage": S,
            "name": S,
            "application": S,
            "share": S,
            "sector": S,
            "sector_name": S,
            "value_added_meur": pl.Float64(),
        },
        "raw_eu_crm__scores": {
            "source": S,
            "vintage": S,
            "name": S,
            "year": pl.Int32(),
            "supply_risk": S,
            "economic_importance": S,
        },
    },
    read=read,
)
