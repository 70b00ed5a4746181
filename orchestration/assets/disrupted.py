"""Traced layer, continued: what every importer loses under every scenario, one op.

What belongs here: giving the disruption its frames and keeping what it returns. What does not: the loss
(``tracing.disruption``), the list of scenarios (canonical ``scenario``).
"""

from __future__ import annotations

import dagster as dg
import polars as pl
from threadpoolctl import threadpool_limits

from ingest.countries import countries
from ingest.home import Home
from ingest.scenario_inputs import links, parameters
from ingest.tables import write_table
from ingest.user_stock import read_user_stock
from orchestration.assets.canonical import read_input
from orchestration.assets.metadata import OWNERS, code_references, table_metadata
from orchestration.assets.networks import TABLES as NETWORK
from orchestration.assets.networks import networks, traced_path
from tracing.disruption import disrupt
from tracing.economies import Union

TABLE = "disruption"
INPUTS = (*NETWORK, "scenario")


def assets() -> list[dg.AssetsDefinition]:
    """Return the op that runs the scenarios."""

    @dg.asset(
        key=["traced", TABLE],
        deps=[dg.AssetKey(["canonical", name]) for name in INPUTS],
        group_name="traced",
        kinds={"polars", "numpy", "parquet"},
        owners=OWNERS,
        metadata=code_references(disrupt),
        description="Loss interval of every importer and stage under every scenario: shared shortage to look-through, "
        "with days until it bites where a stock is known (methods, section 6).",
    )
    def run_scenarios() -> dg.MaterializeResult[None]:
        home = Home.from_environment()
        scenarios = read_input(home, "scenario")
        with threadpool_limits(1, user_api="blas"):
            parts = networks(home, int(parameters()["year"]))
            frame = disrupt(parts, scenarios, links(), union=european_union(), stock=in_store(home))
        path = traced_path(home, TABLE)
        write_table(frame, path)
        return dg.MaterializeResult(metadata=table_metadata(path))

    return [run_scenarios]


def european_union() -> Union:
    """Return the European Union as one importer."""
    return Union("EUU", countries().filter(pl.col("eu_member"))["iso3"].to_list())


def in_store(home: Home) -> pl.DataFrame:
    """Quantities in store by holder, material and stage: those of the user's file.

    The published stock rows are shipments and plans, not holdings.
    """
    return read_user_stock(home).select("holder", "material", "quantity_t", stage="form")
