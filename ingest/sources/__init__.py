"""One module per publisher: what a raw vintage looks like and how it is read into source tables."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from ingest.sources.base import Source

MODULES = (
    "usgs_mcs",
    "usgs_myb",
    "usitc",
    "census",
    "census_monthly",
    "baci",
    "comtrade",
    "eu_crm",
    "iea",
    "wgi",
    "worldbank",
    "policy",
    "stockpile",
    "bgs",
)


@cache
def sources() -> dict[str, Source]:
    """Return every publisher's ``Source`` by name, in the order of ``MODULES``."""
    found = [import_module(f"ingest.sources.{module}").SOURCE for module in MODULES]
    return {source.name: source for source in found}


@cache
def table_owner() -> dict[str, str]:
    """Return source table name to the name of its source."""
    return {table: source.name for source in sources().values() for table in source.tables}
