"""Traced layer: the look-through of every chain, one op, one asset per table.

What belongs here: giving the tracing its frames and keeping what it returns. What does not: the
method (``tracing``).
"""

from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg
import polars as pl
from threadpoolctl import threadpool_limits

from ingest.chain_inputs import network_sources, stage_feed, traced_years
from ingest.home import Home
from ingest.tables import write_table, years_written
from orchestration.assets.canonical import scan_input
from orchestration.assets.metadata import OWNERS, code_references, table_metadata
from orchestration.assets.networks import TABLES as NETWORK
from orchestration.assets.networks import tables_near, traced_path
from tracing.chains import COVERAGE, EXPOSURE, SEED, VIA, trace_all

TABLES = {
    "exposure": "Face value, made in, processed in and mine origin of every market by country, with intervals "
    "(methods, section 3).",
    "via": "Processed-in shares by the first hop they arrive through (methods, section 3).",
    "coverage": "Which stages of which chain are closed, which are blind and why, and the year of each ingredient.",
}
BY_YEAR = {"exposure": EXPOSURE, "via": VIA}
INPUTS = (*NETWORK, "trade_flow")


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
        years = traced_years(scan_input(home, "trade_flow"), scan_input(home, "stage_production"))
        # Many small solves: threads of the linear algebra library would only wait for one another.
        with threadpool_limits(1, user_api="blas"):
            write_traced(home, years, draws=config.draws, seed=config.seed)
        for name in TABLES:
            yield dg.MaterializeResult(
                asset_key=dg.AssetKey(["traced", name]),
                metadata={
                    **table_metadata(traced_path(home, name)),
                    "draws": config.draws,
                    "seed": config.seed,
                    "years": ", ".join(map(str, years)),
                },
            )

    return [trace]


def write_traced(home: Home, years: list[int], *, draws: int, seed: int) -> None:
    """Trace every chain a year at a time, so that memory does not grow with the years."""
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(years_written(traced_path(home, name), pl.Schema(schema)))
            for name, schema in BY_YEAR.items()
        }
        coverage = [pl.DataFrame(schema=COVERAGE)]
        for year in years:
            production, flows, secondary = tables_near(home, year)
            traced = trace_all(
                production,
                flows,
                feed=stage_feed(),
                secondary=secondary,
                networks=network_sources(),
                years=(year,),
                draws=draws,
                seed=seed,
            )
            for name, writer in writers.items():
                writer.add(getattr(traced, name))
            coverage.append(traced.coverage)
    write_table(pl.concat(coverage).sort("material", "year", "stage"), traced_path(home, "coverage"))
