"""Traced layer, continued: diversification of every traced market, one op.

What belongs here: giving the measures their frames and keeping what they return. What does not: the measures
(``tracing.diversification``), who is an ally and where a limit lies (``ingest/reference``).
"""

import dagster as dg
import polars as pl
from threadpoolctl import threadpool_limits

from ingest.countries import countries
from ingest.home import Home
from ingest.mapping import reference
from ingest.tables import write_table
from orchestration.assets.canonical import read_input
from orchestration.assets.metadata import OWNERS, code_references, table_metadata
from orchestration.assets.networks import TABLES as NETWORK
from orchestration.assets.networks import networks, traced_path, traced_years
from tracing.chain_networks import ChainNetworks
from tracing.chains import SEED
from tracing.diversification import Facts, changed, diversify, measures
from tracing.economies import Union

TABLE = "diversification"
INPUTS = (*NETWORK, "ally", "criticality_parameter")
BENCHMARKS = "crma_benchmarks.csv"


class DiversifyConfig(dg.Config):
    """Settings of the measures.

    Attributes:
        draws: Monte Carlo draws behind the bounds of the European Union as one market.
        seed: seed of the draws.
    """

    draws: int = 20
    seed: int = SEED


def assets() -> list[dg.AssetsDefinition]:
    """Return the op that measures diversification."""

    @dg.asset(
        key=["traced", TABLE],
        deps=[dg.AssetKey(["traced", "exposure"]), *(dg.AssetKey(["canonical", name]) for name in INPUTS)],
        group_name="traced",
        kinds={"polars", "numpy", "parquet"},
        owners=OWNERS,
        metadata=code_references(diversify),
        description="One-country test, effective suppliers, allied share, alternatives and benchmarks of every traced "
        "market, at face value and traced (methods, sections 2 and 6).",
    )
    def diversify_markets(config: DiversifyConfig) -> dg.MaterializeResult[None]:
        home = Home.from_environment()
        tables = {name: read_input(home, name) for name in INPUTS if name not in NETWORK}
        exposure = pl.scan_parquet(traced_path(home, "exposure"))
        with threadpool_limits(1, user_api="blas"):
            years = [
                measures(
                    facts(tables, networks(home, year), exposure.filter(pl.col("year") == year).collect()),
                    **config.model_dump(),
                )
                for year in traced_years(home)
            ]
        frame = changed(pl.concat(years)).sort("importer", "material", "year", "stage")
        path = traced_path(home, TABLE)
        write_table(frame, path)
        return dg.MaterializeResult(metadata=table_metadata(path))

    return [diversify_markets]


def european_union() -> Union:
    """Return the European Union with its members of ``countries.csv``."""
    return Union("EUU", countries().filter(pl.col("eu_member"))["iso3"].to_list())


def facts(tables: dict[str, pl.DataFrame], parts: ChainNetworks, exposure: pl.DataFrame) -> Facts:
    """Put the input of the measures of a year together."""
    rates = tables["criticality_parameter"].filter(economy="EUU", parameter="eol_recycling_input_rate")
    return Facts(
        exposure=exposure,
        networks=parts,
        union=european_union(),
        allies=tables["ally"],
        # A table without rows is the user's: the project's has some.
        allies_origin=next(iter(tables["ally"]["origin"]), "user"),
        benchmarks=reference(BENCHMARKS).with_columns(pl.col("value").cast(pl.Float64)),
        recycling=rates.select("material", "value"),
    )
