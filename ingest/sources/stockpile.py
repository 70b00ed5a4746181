"""US government stock in the USGS Mineral Commodity Summaries: shipments and the materials plan.

What belongs here: reading the rows on government stock as printed. What does not: content factors
(``reference/stockpile_map.csv``) and the other tables of the summaries.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ingest.mapping import one_of, read_csv_text
from ingest.sources.base import Source, files

S = pl.String()
_SHIPMENTS = "raw_usgs_stockpile__shipments"
_PLAN = "raw_usgs_stockpile__plan"
_SHIPMENT_COLUMNS = ("MCS chapter", "Commodity", "Statistics", "Statistics_detail", "Unit", "Year", "Value", "Notes")
_PLAN_COLUMNS = (
    "chapter",
    "material",
    "fiscal_year",
    "potential_acquisitions",
    "potential_disposals",
    "unit",
    "source_text",
)


def _shipments(path: Path) -> pl.DataFrame:
    frame = read_csv_text(path, _SHIPMENT_COLUMNS)
    one_of("Statistics", ("Shipment",), frame, path.name)
    # The minus sign does not survive the publisher's encoding and arrives as a question mark.
    printed = pl.col("Value").str.replace(r"^\?(\d)", "-$1")
    return frame.select(
        commodity="Commodity",
        detail="Statistics_detail",
        unit="Unit",
        year=pl.col("Year").cast(pl.Int32),
        printed=printed,
    )


def _plan(path: Path) -> pl.DataFrame:
    frame = read_csv_text(path, _PLAN_COLUMNS)
    return frame.select(
        commodity="chapter",
        detail="material",
        unit=pl.col("unit").str.extract(r"^(\w+)"),
        fiscal_year=pl.col("fiscal_year").cast(pl.Int32),
        potential_acquisitions="potential_acquisitions",
        potential_disposals="potential_disposals",
    )


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read the rows on government stock.

    Args:
        folder: raw vintage with the shipments and the plan, one csv each.
        vintage: edition of the summaries.

    Returns:
        Both tables with figures as printed, units as printed; shipments are the fall of the inventory
        over the year, so a negative one is a rise.

    Raises:
        SourceChanged: a file is missing, or has other columns or statistics.
    """
    return {
        _SHIPMENTS: _shipments(files(folder, "mcs*_government_stockpile_rows.csv")[0]),
        _PLAN: _plan(files(folder, "nds_amp_from_mcs*_chapters.csv")[0]),
    }


SOURCE = Source(
    name="usgs_stockpile",
    publisher="US Geological Survey",
    title="Mineral Commodity Summaries, government stockpile",
    licence="US-PD",
    licence_url="https://www.usgs.gov/information-policies-and-instructions/copyrights-and-credits",
    homepage="https://doi.org/10.5066/P1WKQ63T",
    citation="US Geological Survey ({vintage}), Mineral Commodity Summaries {vintage}",
    tables={
        _SHIPMENTS: {
            "source": S,
            "vintage": S,
            "commodity": S,
            "detail": S,
            "unit": S,
            "year": pl.Int32(),
            "printed": S,
        },
        _PLAN: {
            "source": S,
            "vintage": S,
            "commodity": S,
            "detail": S,
            "unit": S,
            "fiscal_year": pl.Int32(),
            "potential_acquisitions": S,
            "potential_disposals": S,
        },
    },
    read=read,
)
