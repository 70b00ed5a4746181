"""Traced layer, continued: days of cover of every stock, one op.

What belongs here: giving the cover its frames and keeping what it returns. What does not: the formulas
(``tracing``), figures of stocks (``ingest/reference/stock_*.csv``, the user's file).
"""

from __future__ import annotations

import dagster as dg
import polars as pl
from threadpoolctl import threadpool_limits

from ingest.chain_inputs import stage_feed
from ingest.countries import countries
from ingest.home import Home
from ingest.mapping import reference
from ingest.tables import write_table
from ingest.user_stock import read_user_stock
from orchestration.assets.canonical import read_input
from orchestration.assets.metadata import OWNERS, code_references, table_metadata
from orchestration.assets.networks import networks, traced_path, traced_years
from tracing.chain_networks import ChainNetworks
from tracing.cover import ENDS, Holdings, cover, needs
from tracing.economies import Union, merged
from tracing.routes import blind_stages, markets, routes, ways

TABLE = "cover"
INPUTS = (
    "stage_production",
    "stage_flow",
    "secondary_supply",
    "stock",
    "us_salient",
    "stock_target",
    "announced_reserve",
)


def assets() -> list[dg.AssetsDefinition]:
    """Return the asset of days of cover."""

    @dg.asset(
        key=["traced", TABLE],
        deps=[dg.AssetKey(["canonical", name]) for name in INPUTS],
        group_name="traced",
        kinds={"polars", "numpy", "parquet"},
        owners=OWNERS,
        metadata=code_references(cover),
        description="Days of cover of every holder, material and form: nominal, and usable against a ban by the lead "
        "processor (methods, section 6). Holdings are those of the user's file where nothing is published.",
    )
    def build_cover() -> dg.MaterializeResult[None]:
        home = Home.from_environment()
        tables = {name: read_input(home, name) for name in INPUTS}
        own = read_user_stock(home)
        with threadpool_limits(1, user_api="blas"):
            frame = assemble(home, tables, own, traced_years(home))
        path = traced_path(home, TABLE)
        write_table(frame, path)
        return dg.MaterializeResult(metadata={**table_metadata(path), "rows_of_the_user": own.height})

    return [build_cover]


def assemble(home: Home, tables: dict[str, pl.DataFrame], own: pl.DataFrame, years: list[int]) -> pl.DataFrame:
    """Put the cover's input together from canonical tables and the user's figures, and ask for the table."""
    forms = reference("stock_forms.csv")
    known = Holdings(
        holders=reference("stock_holders.csv"),
        forms=forms,
        chains=stage_feed(),
        stock=tables["stock"],
        own=own,
        targets=tables["stock_target"],
        programmes=tables["announced_reserve"],
    )
    union = Union("EUU", countries().filter(pl.col("eu_member"))["iso3"].to_list())
    holders = sorted({*known.holders["holder"], *own["holder"]})
    seen = [each for year in years for each in _seen_of_year(networks(home, year), known, holders, union)]
    market, way, blind = (pl.concat(found) for found in zip(*seen, strict=True))
    need = needs(market, printed_consumption(tables["us_salient"], forms).filter(pl.col("year").is_in(years)))
    return cover(known, need, way, blind.unique(), years=years, horizon_days=parameter("horizon_days"))


def _seen_of_year(
    parts: ChainNetworks, known: Holdings, holders: list[str], union: Union
) -> list[tuple[pl.DataFrame, ...]]:
    """What countries, and the union as one, need and where it passes."""
    single = [holder for holder in holders if holder != union.name]
    return [_seen(parts, known, single), _seen(merged(parts, union), known, [union.name])]


def _seen(parts: ChainNetworks, known: Holdings, holders: list[str]) -> tuple[pl.DataFrame, ...]:
    needed = dict(known.forms.select("material", "needed_form").iter_rows())
    extra = pl.concat([known.stock.select("material", "form"), known.own.select("material", "form")])
    asked = ways(known.chains, needed, extra, holders)
    return markets(parts, asked), routes(parts, asked), blind_stages(asked, parts.coverage)


def parameter(name: str) -> float:
    """Return a number of ``stock_parameters.csv``."""
    return float(reference("stock_parameters.csv").filter(parameter=name)["value"].item())


def printed_consumption(salient: pl.DataFrame, forms: pl.DataFrame) -> pl.DataFrame:
    """Apparent consumption of the USA in the needed form as last printed, tonnes contained.

    Returns:
        ``holder, material, year, printed_t`` with bounds, ``printed_source`` (source and edition).
    """
    lines = forms.select("material", commodity="printed_commodity", detail="printed_detail").drop_nulls()
    key = ["material", "commodity", "detail"]
    rows = salient.filter(statistic="apparent_consumption", unit="t").join(lines, on=key, how="semi")
    rows = rows.filter(pl.col("vintage") == pl.col("vintage").max().over(*key, "year"))
    values = {"": "value", "_low": "value_low", "_high": "value_high"}
    return rows.filter(pl.col("value") > 0).select(
        "material",
        "year",
        *(pl.col(values[end]).alias(f"printed_t{end}") for end in ENDS),
        holder=pl.lit("USA"),
        printed_source=pl.concat_str("source", pl.lit(" "), "vintage"),
    )
