"""Traced layer: the look-through of every chain, one op, one asset per table.

What belongs here: giving the tracing its frames and keeping what it returns. What does not: the
method (``tracing``).
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
from threadpoolctl import threadpool_limits

from ingest.chain_inputs import network_sources, stage_feed
from ingest.home import Home
from orchestration.assets.canonical import read_input
from orchestration.assets.metadata import OWNERS, code_references, table_metadata
from orchestration.assets.raw import write_table
from tracing.chains import SEED, trace_all

TABLES = {
    "exposure": "Face value, made in, processed in and mine origin of every market by country, with intervals "
    "(methods, section 3).",
    "via": "Processed-in shares by the first hop they arrive through (methods, section 3).",
    "coverage": "Which stages of which chain are closed, which are blind and why, and the year of each ingredient.",
}
INPUTS = ("stage_production", "stage_flow", "secondary_supply")


class TraceConfig(dg.Config):
    """Settings of the tracing.

    Attributes:
        draws: Monte Carlo draws behind the intervals.
        seed: seed of the draws; equal seeds give equal intervals.
    """

    draws: int = 100
    seed: int = SEED


def assets() -> list[dg.AssetsDefinition]:
    """Return the op that traces every chain."""
    specs = [
        dg.AssetSpec(
            dg.AssetKey(["traced", table]),
            deps=[dg.AssetKey(["canonical", name]) for name in INPUTS],
            group_name="traced",
            kinds={"polars", "numpy", "parquet"},
            owners=OWNERS,
            metadata=code_references(trace_all),
            description=description,
        )
        for table, description in TABLES.items()
    ]

    @dg.multi_asset(name="trace", specs=specs)
    def trace(config: TraceConfig) -> Iterator[dg.MaterializeResult[None]]:
        home = Home.from_environment()
        production, flows, secondary = (read_input(home, name) for name in INPUTS)
        # Many small solves: threads of the linear algebra library would only wait for one another.
        with threadpool_limits(1, user_api="blas"):
            traced = trace_all(
                production,
                flows,
                feed=stage_feed(),
                secondary=secondary,
                networks=network_sources(),
                draws=config.draws,
                seed=config.seed,
            )
        frames: dict[str, pl.DataFrame] = {name: getattr(traced, name) for name in TABLES}
        for name, frame in frames.items():
            path = traced_path(home, name)
            write_table(frame, path)
            yield dg.MaterializeResult(
                asset_key=dg.AssetKey(["traced", name]),
                metadata={**table_metadata(frame, path), "draws": config.draws, "seed": config.seed},
            )

    return [trace]


def traced_path(home: Home, table: str) -> Path:
    """Return where a traced table is kept for dbt, beside the canonical ones."""
    return home.canonical / f"traced_{table}.parquet"
