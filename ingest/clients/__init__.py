"""One client per publisher that answers over HTTP: what an edition is, how it is pulled, when it is complete."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from ingest.clients.base import Client

MODULES: tuple[str, ...] = (
    "usgs_mcs",
    "comtrade",
    "census",
    "census_monthly",
    "baci",
    "worldbank",
    "wgi",
    "bgs",
)


@cache
def clients() -> dict[str, Client]:
    """Return every client by the name of its source."""
    found = [import_module(f"ingest.clients.{module}").CLIENT for module in MODULES]
    return {client.source: client for client in found}
