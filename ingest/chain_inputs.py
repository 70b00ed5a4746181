"""What the tracing of chains needs besides canonical tables: which stages feed which, whose trade is whole, and when.

What belongs here: reading ``stage_feed.csv`` and ``flow_networks.csv`` and holding them to their
rules. What does not: the tracing (``tracing.chains``), which knows no publisher and reads no file.
"""

from __future__ import annotations

from functools import cache

import polars as pl

from ingest.errors import OretraceError
from ingest.mapping import reference

MOST = 0.5
"""A year's trade is known by weight when at least this part of its flows has one."""


@cache
def stage_feed() -> pl.DataFrame:
    """Return every stage of every chain and what feeds it.

    Columns: ``material, stage, from_stage`` (null: the chain starts here), ``rank`` (1: stages that
    feed side by side, by recorded tonnes; 2: used where no stage of rank 1 has data).

    Raises:
        OretraceError: an unknown material or stage, or a stage fed by a later one.
    """
    table = reference("stage_feed.csv").drop("source").with_columns(pl.col("rank").cast(pl.Int32))
    place = dict(reference("stages.csv").select("stage", pl.col("position").cast(pl.Int32)).iter_rows())
    materials = reference("materials.csv")["material"].to_list()
    known = pl.col("stage").is_in(list(place)) & pl.col("material").is_in(materials)
    known &= pl.col("from_stage").is_null() | pl.col("from_stage").is_in(list(place))
    later = pl.col("from_stage").replace_strict(place, default=0) >= pl.col("stage").replace_strict(place, default=99)
    if (odd := table.filter(~known | later)).height:
        raise OretraceError(f"ingest/reference/stage_feed.csv: not a stage that feeds another, first {odd.row(0)}.")
    return table


def traced_years(trade_flow: pl.LazyFrame, stage_production: pl.LazyFrame) -> list[int]:
    """Return the years that can be traced, from what the tables hold.

    A year is traced when the trade of all countries with one another is known, most flows with weights, in that year
    or in the one beside it, when it has such trade of its own, and when somebody published output of it: a chain of
    which net exports are all that is known would rest on trade alone. Sources that are no network do not count.

    Args:
        trade_flow: canonical table.
        stage_production: canonical table.
    """
    of_a_network = pl.col("source").is_in(network_sources()) & (pl.col("flow") == "R")
    flows = trade_flow.filter(of_a_network & ~pl.col("scope").str.ends_with("_total"))
    weighed = pl.col("quantity_gross_t").is_not_null().mean() >= MOST
    trade = flows.group_by("year").agg(whole=weighed & (pl.col("scope") == "all_pairs").any())
    traded = dict(trade.collect(engine="streaming").iter_rows())
    output = stage_production.filter(pl.col("method") != "derived_balance").select(pl.col("year").unique()).collect()
    near = {year + gap for year, whole in traded.items() if whole for gap in (-1, 0, 1)}
    return sorted(near & traded.keys() & set(output["year"]))


@cache
def network_sources() -> tuple[str, ...]:
    """Return the sources of ``stage_flow`` that cover the trade of all countries with one another."""
    return tuple(reference("flow_networks.csv").filter(network="true")["source"])
