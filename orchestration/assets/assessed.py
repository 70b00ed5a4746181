"""Traced layer, continued: criticality of every economy, material and stage, one op.

What belongs here: giving the assessment its frames and keeping what it returns. What does not: the
formulas (``tracing``), the parameters (``ingest/reference/criticality_*.csv``).
"""

from collections.abc import Iterator

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
from tracing.assessment import KEYS
from tracing.chain_networks import ChainNetworks
from tracing.chains import SEED
from tracing.criticality_check import compare
from tracing.criticality_table import Facts, assess
from tracing.economies import Union

TABLES = {
    "criticality": "Supply risk on face-value and traced shares, economic importance and the scores drawn from them "
    "(methods, section 5).",
    "criticality_check": "Supply risk and importance of the EU study recomputed from its own tables, beside the "
    "printed ones.",
}
INPUTS = (
    *NETWORK,
    "supply_share",
    "governance",
    "restriction",
    "end_use",
    "us_salient",
    "criticality_score",
    "criticality_parameter",
)
STUDY_YEAR = 2023


class AssessConfig(dg.Config):
    """Settings of the assessment.

    Attributes:
        draws: Monte Carlo draws behind the bounds of the European Union as one market.
        seed: seed of the draws.
    """

    draws: int = 10
    seed: int = SEED


def assets() -> list[dg.AssetsDefinition]:
    """Return the op that assesses criticality."""
    deps = [dg.AssetKey(["traced", "exposure"]), *(dg.AssetKey(["canonical", name]) for name in INPUTS)]
    specs = [
        dg.AssetSpec(
            dg.AssetKey(["traced", table]),
            deps=deps,
            group_name="traced",
            kinds={"polars", "numpy", "parquet"},
            owners=OWNERS,
            metadata=code_references(assess),
            description=description,
        )
        for table, description in TABLES.items()
    ]

    @dg.multi_asset(name="assess", specs=specs)
    def assess_criticality(config: AssessConfig) -> Iterator[dg.MaterializeResult[None]]:
        home = Home.from_environment()
        tables = {name: read_input(home, name) for name in INPUTS if name not in NETWORK}
        exposure = pl.scan_parquet(traced_path(home, "exposure"))
        with threadpool_limits(1, user_api="blas"):
            parts = [
                assess(
                    facts(tables, networks(home, year), exposure.filter(pl.col("year") == year).collect()),
                    **config.model_dump(),
                )
                for year in traced_years(home)
            ]
        # Each year brings the study's cells too; they are the same.
        cells = pl.concat(parts).unique(KEYS, keep="first").sort(KEYS)
        scores = tables["criticality_score"].filter(assessment_year=STUDY_YEAR)
        check = compare(cells, scores, reference("criticality_groups.csv"), reference("criticality_causes.csv"))
        for name, frame in (("criticality", cells), ("criticality_check", check)):
            path = traced_path(home, name)
            write_table(frame, path)
            yield dg.MaterializeResult(asset_key=dg.AssetKey(["traced", name]), metadata=table_metadata(path))

    return [assess_criticality]


def facts(tables: dict[str, pl.DataFrame], parts: ChainNetworks, exposure: pl.DataFrame) -> Facts:
    """Put the assessment's input of a year together; of the EU study the newest edition."""
    members = countries().filter(pl.col("eu_member"))["iso3"].to_list()
    study = tables["supply_share"].filter(source="eu_crm")
    return Facts(
        supply_share=study.filter(pl.col("vintage") == pl.col("vintage").max()),
        governance=tables["governance"],
        restriction=tables["restriction"],
        end_use=tables["end_use"],
        import_reliance=printed_reliance(tables["us_salient"]),
        parameter=tables["criticality_parameter"],
        baskets=reference("criticality_baskets.csv"),
        networks=parts,
        exposure=exposure,
        union=Union("EUU", members),
    )


def printed_reliance(salient: pl.DataFrame) -> pl.DataFrame:
    """Net import reliance of the USA by material, stage and year as last printed, percent."""
    rows = salient.filter(
        (pl.col("statistic") == "net_import_reliance")
        & pl.col("material").is_not_null()
        & pl.col("stage").is_not_null()
    )
    return rows.filter(pl.col("vintage") == pl.col("vintage").max().over("material", "stage", "year"))
