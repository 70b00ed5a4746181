"""World Bank, Worldwide Governance Indicators: six estimates per country and year.

What belongs here: reading the estimates and standard errors, of the workbook or of the pages of the
World Bank's interface. What does not: ranks, and the rescaling that supply risk uses (methods section 5).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ingest.errors import SourceChanged
from ingest.mapping import one_of
from ingest.sources.base import Source, files
from ingest.sources.worldbank import read_pages

S = pl.String()
TABLE = "raw_wgi__estimates"
INDICATORS = ("cc", "ge", "pv", "rl", "rq", "va")
_NEEDED = ("code", "year", "indicator", "estimate", "stddev")
_MISSING = ".."
_KEY = ["code", "year", "indicator"]


def series(indicator: str, measure: str) -> str:
    """Return the interface's name of an indicator; ``measure`` is EST (estimate) or STD.ERR (standard error)."""
    return f"GOV_WGI_{indicator.upper()}.{measure}"


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read the estimates.

    Args:
        folder: raw vintage with ``wgidataset.xlsx``, or with the pages of the interface.
        vintage: edition.

    Returns:
        ``raw_wgi__estimates``: the publisher's country code, year, indicator, estimate (about -2.5 to
        2.5, 2.5 = best) and its standard error, both null where ``..`` is printed; standard errors
        are all null where the interface gave none.

    Raises:
        SourceChanged: columns, indicators or tokens differ, or a country-year repeats.
    """
    figures = _of_pages(folder) if files(folder, "GOV_WGI_*/page-*.json", at_least=0) else _of_workbook(folder, vintage)
    if figures.select(_KEY).is_duplicated().any():
        raise SourceChanged(f"WGI {vintage}: a country, year and indicator occur twice in {folder}.")
    return {TABLE: figures}


def _of_pages(folder: Path) -> pl.DataFrame:
    def measure(name: str, indicator: str, at_least: int) -> pl.DataFrame:
        paths = files(folder, f"{series(indicator, name)}/page-*.json", at_least=at_least)
        return read_pages(paths, series(indicator, name)).with_columns(indicator=pl.lit(indicator))

    estimates = pl.concat([measure("EST", name, 1) for name in INDICATORS])
    errors = pl.concat([measure("STD.ERR", name, 0) for name in INDICATORS])
    both = estimates.rename({"value": "estimate"}).join(
        errors.rename({"value": "std_error"}), on=_KEY, how="left", validate="m:1", maintain_order="left"
    )
    return both.select(*_KEY, "estimate", "std_error")


def _of_workbook(folder: Path, vintage: str) -> pl.DataFrame:
    path = files(folder, "wgidataset*.xlsx")[0]
    sheet = pl.read_excel(path, engine="calamine", infer_schema_length=0)
    if lost := [name for name in _NEEDED if name not in sheet.columns]:
        raise SourceChanged(f"WGI {vintage}: {path.name} lacks the columns {lost}; it has {sheet.columns}.")
    frame = sheet.select(pl.col(name).cast(pl.String) for name in _NEEDED)
    one_of("indicator", INDICATORS, frame, path.name)
    shown = frame.with_columns(pl.col("estimate", "stddev").replace(_MISSING, None))
    try:
        return shown.select(
            "code",
            pl.col("year").cast(pl.Float64).cast(pl.Int32),
            "indicator",
            pl.col("estimate").cast(pl.Float64),
            std_error=pl.col("stddev").cast(pl.Float64),
        )
    except pl.exceptions.InvalidOperationError as error:
        raise SourceChanged(f"WGI {vintage}: a figure is neither a number nor {_MISSING!r} ({error}).") from None


SOURCE = Source(
    name="wgi",
    publisher="World Bank",
    title="Worldwide Governance Indicators",
    licence="CC-BY-4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    homepage="https://www.worldbank.org/en/publication/worldwide-governance-indicators",
    citation="World Bank ({vintage}), Worldwide Governance Indicators, {vintage} update",
    tables={
        TABLE: {
            "source": S,
            "vintage": S,
            "code": S,
            "year": pl.Int32(),
            "indicator": S,
            "estimate": pl.Float64(),
            "std_error": pl.Float64(),
        }
    },
    read=read,
    keeps="newest",
)
