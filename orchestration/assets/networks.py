"""The supply networks of a year, from the canonical tables of a run, and the years that are traced.

What belongs here: reading no more than the year and its neighbours, so that memory does not grow with the years.
What does not: what a network is made of (``tracing.chain_networks``), which years hold enough
(``ingest.chain_inputs``).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ingest.chain_inputs import network_sources, stage_feed
from ingest.home import Home
from orchestration.assets.canonical import read_input
from tracing.chain_networks import ChainNetworks, prepare

TABLES = ("stage_production", "stage_flow", "secondary_supply")
"""Output, trade and recycled supply of a network."""


def tables_near(home: Home, year: int) -> tuple[pl.DataFrame, ...]:
    """Return ``TABLES`` of a year and the two beside it, which may serve a stage without figures of its own year."""
    return tuple(read_input(home, name, (year - 1, year, year + 1)) for name in TABLES)


def networks(home: Home, year: int, material: str | None = None) -> ChainNetworks:
    """Return the chains of a year, of one material or of all, from the canonical tables."""
    tables = tables_near(home, year)
    if material is not None:
        tables = tuple(table.filter(material=material) for table in tables)
    production, flows, secondary = tables
    feed = stage_feed() if material is None else stage_feed().filter(material=material)
    return prepare(production, flows, feed, secondary, network_sources(), (year,))


def traced_path(home: Home, table: str) -> Path:
    """Return where a traced table is kept for dbt, beside the canonical ones."""
    return home.canonical / f"traced_{table}.parquet"


def traced_years(home: Home) -> list[int]:
    """Return the years that this run traced."""
    coverage = pl.scan_parquet(traced_path(home, "coverage"))
    return coverage.select(pl.col("year").unique().sort()).collect()["year"].to_list()
