"""Diversification of every market: the one-country test, effective suppliers, allies, alternatives.

What belongs here: the measures of methods sections 2 (Critical Raw Materials Act) and 6 on shares that are
already traced. What does not: tracing, benchmarks on own capacity (``benchmarks``), offtake (``offtake``), who
is an ally and where a limit lies (given as tables).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tracing.benchmarks import KEYS, TOLERANCE, benchmarked, consumption
from tracing.chain_networks import OTHER, STAGE, UNRECORDED, ChainNetworks
from tracing.economies import Union, merged
from tracing.montecarlo import monte_carlo
from tracing.network import SECONDARY, STAGES, UNEXPLAINED

VIEWS = {"face_value": "face_value_share", "traced": "processed_in_share"}
"""The two readings of the one-country test: who sells it, and through whose plants it passed."""

WORTH_COUNTING = 0.05
"""Share of world output from which a country is an alternative."""

_NOBODY = (SECONDARY, UNEXPLAINED, OTHER)
_SHARES = [f"{view}_share{end}" for view in ("face_value", "made_in", "processed_in") for end in ("", "_low", "_high")]


@dataclass(frozen=True)
class Facts:
    """What diversification is measured on.

    Attributes:
        exposure: single importers, as ``chains.trace_all`` gives it.
        networks: of single countries, as ``chain_networks.prepare`` makes them.
        union: the European Union.
        allies: ``importer, ally, since``; the union's name stands for every member.
        allies_origin: whose table that is: ``reference`` | ``user``.
        benchmarks: ``benchmark, stage, value`` (0..1).
        recycling: ``material, value``: end-of-life recycling input rate of the union.
    """

    exposure: pl.DataFrame
    networks: ChainNetworks
    union: Union
    allies: pl.DataFrame
    allies_origin: str
    benchmarks: pl.DataFrame
    recycling: pl.DataFrame


def diversify(facts: Facts, *, draws: int, seed: int) -> pl.DataFrame:
    """Measure the diversification as ``measures`` does, and what changed since the year before."""
    return changed(measures(facts, draws=draws, seed=seed)).sort(KEYS)


def measures(facts: Facts, *, draws: int, seed: int) -> pl.DataFrame:
    """Measure the diversification of every traced importer, and of the union as one market.

    Args:
        facts: see there.
        draws: Monte Carlo draws behind the bounds of the union.
        seed: of the draws.

    Returns:
        One row per importer, material, year and stage, sorted; columns as in ``mart_diversification`` but the changes.
    """
    markets = suppliers(facts.exposure, union_exposure(facts.networks, facts.union, draws=draws, seed=seed))
    limit = facts.benchmarks.filter(benchmark="one_country")["value"].item()
    rows = markets.group_by(KEYS, maintain_order=True).agg(pl.col("evidence").first())
    rows = rows.with_columns(one_country_limit=pl.lit(limit))
    for frame in (
        one_country(markets, facts.union, limit),
        mix(markets, facts.union),
        allied(markets, facts.allies, facts.union),
    ):
        rows = rows.join(frame, on=KEYS, how="left", validate="1:1")
    rows = rows.with_columns(allies_origin=pl.when(pl.col("allies").is_not_null()).then(pl.lit(facts.allies_origin)))
    for view in VIEWS:
        rows = rows.join(
            alternatives(rows.select(*KEYS, lead=f"{view}_lead"), facts.networks.production, facts.union).rename(
                {"alternatives": f"{view}_alternatives"}
            ),
            on=KEYS,
            how="left",
            validate="1:1",
        )
    rows = rows.join(consumption(facts.networks, facts.union), on=KEYS, how="left", validate="1:1")
    return benchmarked(rows, facts.benchmarks, facts.recycling, facts.union).sort(KEYS)


def union_exposure(parts: ChainNetworks, union: Union, *, draws: int, seed: int) -> pl.DataFrame:
    """Exposure of the union as one market: trade among members is none, their plants feed as one."""
    whole = merged(parts, union)
    traced = monte_carlo(
        whole.production,
        whole.flows,
        stages=(UNRECORDED, *STAGES),
        secondary=whole.secondary,
        feed=whole.feed,
        draws=draws,
        seed=seed,
    )
    rows = traced.filter(importer=union.name)
    return rows.join(parts.evidence, on=STAGE, how="left", validate="m:1")


def suppliers(*exposures: pl.DataFrame) -> pl.DataFrame:
    """The rows of all markets that name a country, with their shares."""
    columns = [*KEYS, "country", *_SHARES, "evidence"]
    named = [rows.filter(~pl.col("country").is_in([SECONDARY, UNEXPLAINED])).select(columns) for rows in exposures]
    # Largest first, ties by name: the lead is the same in every run.
    return pl.concat(named).sort([*KEYS, "face_value_share", "country"], descending=[*[False] * 4, True, False])


def is_third(union: Union) -> pl.Expr:
    """Whether ``country`` is a third country to ``importer``: inside the union nobody is."""
    inside = [union.name, *union.members]
    both = pl.col("importer").is_in(inside) & pl.col("country").is_in(inside)
    return _is_foreign(union) & ~both & ~pl.col("country").is_in(_NOBODY)


def _is_foreign(union: Union) -> pl.Expr:
    """Whether ``country`` is another market than ``importer``; to a member the other members are."""
    member = (pl.col("importer") == union.name) & pl.col("country").is_in(list(union.members))
    return (pl.col("country") != pl.col("importer")) & ~member


def one_country(markets: pl.DataFrame, union: Union, limit: float) -> pl.DataFrame:
    """The one-country test: no third country holds more than ``limit`` of the supply.

    Exactly the limit passes. ``fail``: even the lower bound of some country is above it; ``pass``: no upper
    bound is; ``uncertain`` between. A processed-in share counts recorded plants only.

    Returns:
        ``KEYS``; for ``face_value`` and ``traced``: ``_lead`` (largest third country), ``_share _share_low
        _share_high`` (0..1 of supply), ``_over_limit`` (of the central share), ``_verdict``;
        ``only_traced_over_limit``. A market without third countries has no lead, a share of 0, and passes.
    """
    rows = markets.select(KEYS).unique(maintain_order=True)
    for view, share in VIEWS.items():
        third = markets.filter(is_third(union)).sort([*KEYS, share, "country"], descending=[*[False] * 4, True, False])
        found = third.group_by(KEYS, maintain_order=True).agg(
            pl.col("country").filter(pl.col(share) > 0).first().alias(f"{view}_lead"),
            *(pl.col(f"{share}{end}").first().alias(f"{view}_share{end}") for end in ("", "_low", "_high")),
            least=pl.col(f"{share}_low").max(),
            most=pl.col(f"{share}_high").max(),
        )
        rows = rows.join(found, on=KEYS, how="left", validate="1:1").with_columns(
            pl.col("least", "most", f"{view}_share", f"{view}_share_low", f"{view}_share_high").fill_null(0.0)
        )
        rows = rows.with_columns(
            (pl.col(f"{view}_share") > limit + TOLERANCE).alias(f"{view}_over_limit"),
            pl.when(pl.col("least") > limit + TOLERANCE)
            .then(pl.lit("fail"))
            .when(pl.col("most") <= limit + TOLERANCE)
            .then(pl.lit("pass"))
            .otherwise(pl.lit("uncertain"))
            .alias(f"{view}_verdict"),
        ).drop("least", "most")
    return rows.with_columns(
        only_traced_over_limit=pl.col("traced_over_limit") & ~pl.col("face_value_over_limit"),
    )


def mix(markets: pl.DataFrame, union: Union) -> pl.DataFrame:
    """How many equal suppliers the imports amount to: ``10000 / HHI`` of shares in percent.

    At face value the shares are those of the sellers, made in those of the makers (which add up, unlike
    processed-in shares); both scaled to what comes from other markets. To a member of the union the other
    members are suppliers. Countries not named (``OTH``) count as one.

    Returns:
        ``KEYS``, ``own_share`` and ``made_at_home_share`` of supply (0..1), ``largest_supplier`` and
        ``largest_supplier_share`` of supply, ``face_value_effective_suppliers`` and
        ``made_in_effective_suppliers`` (at least 1; null where nothing comes from elsewhere).
    """
    foreign = _is_foreign(union)
    named = foreign & ~pl.col("country").is_in(_NOBODY) & (pl.col("face_value_share") > 0)
    effective = {}
    for view in ("face_value", "made_in"):
        part = pl.col(f"{view}_share").filter(foreign)
        total = part.sum()
        effective[f"{view}_effective_suppliers"] = pl.when(total > 0).then(total**2 / (part**2).sum())
    return markets.group_by(KEYS, maintain_order=True).agg(
        own_share=pl.col("face_value_share").filter(~foreign).sum(),
        made_at_home_share=pl.col("made_in_share").filter(~foreign).sum(),
        largest_supplier=pl.col("country").filter(named).first(),
        largest_supplier_share=pl.col("face_value_share").filter(named).first().fill_null(0.0),
        **effective,
    )


def allied(markets: pl.DataFrame, allies: pl.DataFrame, union: Union) -> pl.DataFrame:
    """Share of supply that comes from allies: who sells it, and where it was made at this stage.

    Own output is no ally's. To a member of the union the other members are allies. With every country an
    ally the share is 1 less own output, recycled supply and what is unexplained or not named.

    Args:
        markets: as ``suppliers`` gives them.
        allies: ``importer, ally, since`` (first year that counts); the union's name stands for its members.
        union: the union.

    Returns:
        ``KEYS``, ``allies`` (how many countries count), ``face_value_allied_share``, ``made_in_allied_share``
        (0..1; null for an importer that the table does not name).
    """
    pairs = _expanded(allies, union)
    rows = markets.join(pairs, on=["importer", "country"], how="left", validate="m:1")
    friend = (pl.col("since") <= pl.col("year")).fill_null(False) & ~pl.col("country").is_in(_NOBODY)
    sums = rows.group_by(KEYS, maintain_order=True).agg(
        pl.col(f"{view}_share").filter(friend).sum().clip(0, 1).alias(f"{view}_allied_share")
        for view in ("face_value", "made_in")
    )
    years = sums.select("importer", "year").unique()
    count = (
        years.join(pairs, on="importer")
        .group_by("importer", "year")
        .agg(allies=(pl.col("since") <= pl.col("year")).sum().cast(pl.Int32))
    )
    sums = sums.join(count, on=["importer", "year"], how="left", validate="m:1")
    known = pl.col("allies").is_not_null()
    return sums.with_columns(
        pl.when(known).then(f"{view}_allied_share").alias(f"{view}_allied_share") for view in ("face_value", "made_in")
    )


def _expanded(allies: pl.DataFrame, union: Union) -> pl.DataFrame:
    """Pairs of single countries; the union as an importer keeps a row of its own beside its members'."""
    members = list(union.members)
    inside = {"importer": [union.name, *members], "ally": members}
    rows = allies.select("importer", "ally", "since")
    for column, names in inside.items():
        each = rows.filter(pl.col(column) == union.name).drop(column)
        each = each.join(pl.DataFrame({column: names}, schema={column: pl.String}), how="cross")
        rows = pl.concat([rows.filter(pl.col(column) != union.name), each.select(rows.columns)])
    others = pl.DataFrame({"importer": members}).join(pl.DataFrame({"ally": members}), how="cross")
    rows = pl.concat([rows, others.with_columns(since=pl.lit(0, rows.schema["since"]))])
    rows = rows.filter(pl.col("importer") != pl.col("ally")).rename({"ally": "country"})
    outside = ~((pl.col("importer") == union.name) & pl.col("country").is_in(members))
    return rows.filter(outside).group_by("importer", "country").agg(pl.col("since").min()).sort("importer", "country")


def alternatives(markets: pl.DataFrame, production: pl.DataFrame, union: Union) -> pl.DataFrame:
    """How many other countries could sell instead of the lead: those with enough of world output.

    Args:
        markets: ``KEYS`` and ``lead`` (null: nobody is left out).
        production: ``STAGE, country, quantity_t`` (tonnes contained).
        union: the union, whose members are no alternative to itself.

    Returns:
        ``KEYS``, ``alternatives``: countries other than the importer and the lead with at least
        ``WORTH_COUNTING`` of the output recorded at the stage.
    """
    part = pl.col("quantity_t") / pl.col("quantity_t").sum().over(STAGE)
    large = production.with_columns(part=part).filter(
        (pl.col("part") >= WORTH_COUNTING - TOLERANCE) & (pl.col("country") != OTHER)
    )
    rows = markets.join(large.select(*STAGE, "country"), on=STAGE, how="left")
    counts = _is_foreign(union) & pl.col("country").ne_missing(pl.col("lead"))
    return rows.group_by(KEYS, maintain_order=True).agg(alternatives=counts.fill_null(False).sum().cast(pl.Int32))


def changed(rows: pl.DataFrame) -> pl.DataFrame:
    """Add what changed since the year before: leads and their shares; null where that year is not traced."""
    kept = [f"{view}_{what}" for view in VIEWS for what in ("lead", "share")]
    before = rows.select(
        *(pl.col("year") + 1 if name == "year" else pl.col(name) for name in KEYS),
        *(pl.col(name).alias(f"{name}_before") for name in kept),
    )
    rows = rows.join(before, on=KEYS, how="left", validate="1:1")
    return rows.with_columns(
        (pl.col(f"{view}_share") - pl.col(f"{view}_share_before")).alias(f"{view}_share_change") for view in VIEWS
    )
