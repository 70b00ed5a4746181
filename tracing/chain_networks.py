"""From tables of output and trade to the networks that the engine takes, one per material and year.

What belongs here: which stage takes part, which year's figures serve it, what its plants take in,
and the account of all that. What does not: tracing (``chains``), arrays (``network``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from tracing.network import STAGES

UNRECORDED = "unrecorded"
"""A stage without any data, before all others: the feed that the recorded tonnes cannot cover."""

EVIDENCE = ("reported", "estimated", "derived", "assumed")
WORLD, OTHER = "WLD", "OTH"
TONNES = ["quantity_t", "quantity_t_low", "quantity_t_high"]
STAGE = ["material", "year", "stage"]
# A grade counts for a stage when rows of it, or of worse ones, hold this share of its tonnes.
_WEIGHT = 0.05
_PRODUCTION = [*STAGE, "country", *TONNES]
_FLOW = [*STAGE, "exporter", "importer", *TONNES]


@dataclass(frozen=True)
class ChainNetworks:
    """Input of the engine and the account of it.

    Attributes:
        production: ``material, year, stage, country, quantity_t`` with bounds.
        flows: ``material, year, stage, exporter, importer, quantity_t`` with bounds.
        secondary: like production.
        feed: ``material, year, stage, country, from_stage, weight``.
        starts: ``material, year, start``: the first stage that takes part.
        evidence: ``material, year, stage, evidence``: the worst grade that matters up to that stage.
        coverage: see ``chains.Traced``.
    """

    production: pl.DataFrame
    flows: pl.DataFrame
    secondary: pl.DataFrame
    feed: pl.DataFrame
    starts: pl.DataFrame
    evidence: pl.DataFrame
    coverage: pl.DataFrame


def prepare(
    stage_production: pl.DataFrame,
    stage_flow: pl.DataFrame,
    feed: pl.DataFrame | None,
    secondary: pl.DataFrame | None,
    networks: Collection[str] | None,
    years: tuple[int, ...],
) -> ChainNetworks:
    """Put the networks of all chains and reference years together; arguments as for ``trace_all``."""
    made = _typed(stage_production).filter(pl.col("iso3") != WORLD).rename({"iso3": "country"})
    moved = _typed(stage_flow).filter((pl.col("exporter") != WORLD) & (pl.col("importer") != WORLD))
    chains = _chains(made, moved) if feed is None else feed
    cells = _cells(chains, years)
    flows = _in_reference_years(_pairs(moved, networks), moved, cells)
    # Sorted, here and below, so that sums are the same to the last bit in every run.
    made = _nearest(made, cells, (pl.col("quantity_t") > 0).any()).sort([*STAGE, "country"])
    account = _account(cells, flows, made, moved)
    closed = account.filter(status="closed").select(STAGE)
    flows, made = (frame.join(closed, on=STAGE, how="semi") for frame in (flows, made))
    recycled = _recycled(None if secondary is None else _typed(secondary), closed)
    return ChainNetworks(
        production=made.select(_PRODUCTION),
        flows=flows.select(_FLOW),
        secondary=recycled,
        feed=_feed(chains, made, flows, recycled),
        starts=_ordered(closed).sort("place").group_by("material", "year").agg(start=pl.col("stage").first()),
        evidence=_evidence(made, flows),
        coverage=account.select(*STAGE, "status", "reason", "ingredient_years", "sources").sort(STAGE),
    )


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("year").cast(pl.Int32), pl.col(TONNES).cast(pl.Float64))


def _chains(made: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
    """Every stage with data feeds on the one before it."""
    both = pl.concat([frame.select("material", "stage").unique() for frame in (made, moved)]).unique()
    rows = _ordered(both.filter(pl.col("stage").is_in(STAGES))).sort("material", "place")
    before = pl.col("stage").shift().over("material")
    return rows.select("material", "stage", from_stage=before, rank=pl.lit(1, pl.Int32))


def _ordered(frame: pl.DataFrame) -> pl.DataFrame:
    place = {stage: number for number, stage in enumerate(STAGES)}
    return frame.with_columns(place=pl.col("stage").replace_strict(place, return_dtype=pl.Int32))


def _cells(chains: pl.DataFrame, years: tuple[int, ...]) -> pl.DataFrame:
    stages = chains.select("material", "stage").unique()
    return stages.join(pl.DataFrame({"year": years}, schema={"year": pl.Int32}), how="cross").select(STAGE)


def _pairs(moved: pl.DataFrame, networks: Collection[str] | None) -> pl.DataFrame:
    """Flows with tonnes of the stages and years of which some source covers all countries."""
    known = moved.filter(pl.col("quantity_t").is_not_null() & (pl.col("exporter") != pl.col("importer")))
    wide = known if networks is None else known.filter(pl.col("source").is_in(list(networks)))
    known = known.join(wide.select(STAGE).unique(), on=STAGE, how="semi").sort([*_FLOW[:5], "source"])
    summed = known.group_by(_FLOW[:5]).agg(
        *(pl.col(name).sum() for name in TONNES),
        evidence=_worst(pl.col("evidence")),
        source=pl.col("source").first(),
        codes=pl.col("hs_codes").first(),
    )
    return summed.sort(_FLOW[:5])


def _worst(grade: pl.Expr) -> pl.Expr:
    number = grade.replace_strict({name: place for place, name in enumerate(EVIDENCE)}, return_dtype=pl.Int8)
    return number.max().replace_strict(dict(enumerate(EVIDENCE)), return_dtype=pl.String)


def _nearest(frame: pl.DataFrame, cells: pl.DataFrame, holds: pl.Expr) -> pl.DataFrame:
    """Rows of each cell, from its own year or else from the one beside it (``from_year``)."""
    have = frame.group_by(STAGE).agg(holds.alias("holds")).filter("holds").rename({"year": "from_year"}).drop("holds")
    near = cells.join(have, on=["material", "stage"]).with_columns(gap=(pl.col("from_year") - pl.col("year")).abs())
    near = near.filter(pl.col("gap") <= 1).sort([*STAGE, "gap", "from_year"]).unique(STAGE, keep="first")
    rows = frame.rename({"year": "from_year"}).join(near.drop("gap"), on=["material", "stage", "from_year"])
    lent = pl.col("from_year") != pl.col("year")
    return rows.with_columns(evidence=pl.when(lent).then(pl.lit("assumed")).otherwise("evidence"))


def _in_reference_years(pairs: pl.DataFrame, moved: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
    """Flows of each cell; a chain without any stage of its own year is not traced in that year.

    Where a stage's network comes from the year beside it, a country that reports its own trade of
    the year itself (it is on one end of every such row) replaces its pairs.
    """
    own = pairs.select("material", "year").unique()
    rows = _nearest(pairs, cells.join(own, on=["material", "year"], how="semi"), pl.len() > 0)
    lent = rows.filter(pl.col("from_year") != pl.col("year")).select(STAGE).unique()
    fresh = moved.filter(pl.col("quantity_t").is_not_null()).join(lent, on=STAGE, how="semi")
    ends = pl.concat([fresh.select(*STAGE, country=end) for end in ("exporter", "importer")])
    reporters = ends.group_by([*STAGE, "country"]).len().join(fresh.group_by(STAGE).agg(rows=pl.len()), on=STAGE)
    reporters = reporters.filter(pl.col("len") == pl.col("rows")).select(*STAGE, "country")
    both_ways = fresh.join(reporters, on=STAGE).filter(pl.col("exporter") == pl.col("country")).select(STAGE)
    reporters = reporters.join(both_ways.unique(), on=STAGE, how="semi")
    fresh = fresh.join(reporters.select(STAGE).unique(), on=STAGE, how="semi")
    for end in ("exporter", "importer"):
        rows = rows.join(reporters.rename({"country": end}), on=[*STAGE, end], how="anti")
    fresh = fresh.select(*_FLOW, "evidence", "source", codes="hs_codes", from_year="year")
    return pl.concat([rows.select(fresh.columns), fresh]).sort(_FLOW[:5])


def _account(cells: pl.DataFrame, flows: pl.DataFrame, made: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
    """Say of each cell whether it takes part, and why not, and from which years and sources."""
    trade = flows.group_by(STAGE).agg(
        flow_years=pl.col("from_year").unique().sort().cast(pl.String).str.join(" and "),
        flow_sources=pl.col("source").unique().sort().str.join(", "),
        codes=pl.col("codes").str.split(";").explode().drop_nulls().unique().sort().str.join(" "),
    )
    output = made.group_by(STAGE).agg(
        made_years=pl.col("from_year").unique().sort().cast(pl.String).str.join(" and "),
        made_sources=pl.col("source").unique().sort().str.join(", "),
        only_net=(pl.col("method") == "derived_balance").all(),
    )
    seen = moved.group_by(STAGE).agg(
        weighed=pl.col("quantity_t").is_not_null().any(),
        partial=pl.col("source").filter(pl.col("quantity_t").is_not_null()).unique().sort().str.join(", "),
    )
    rows = cells.join(trade, on=STAGE, how="left").join(output, on=STAGE, how="left").join(seen, on=STAGE, how="left")
    trades, makes = pl.col("flow_years").is_not_null(), pl.col("made_years").is_not_null()
    closed = trades & makes
    return rows.with_columns(
        status=pl.when(closed).then(pl.lit("closed")).otherwise(pl.lit("blind")),
        reason=_reason(trades, makes),
        ingredient_years=_listed("output", "made_years", "trade", "flow_years"),
        sources=pl.concat_str(
            _listed("output", "made_sources", "trade", "flow_sources"),
            pl.when(trades).then(pl.concat_str(pl.lit(" (codes "), "codes", pl.lit(")"))).otherwise(pl.lit("")),
        ),
    )


def _reason(trades: pl.Expr, makes: pl.Expr) -> pl.Expr:
    """Why a stage takes part or not."""
    return (
        pl.when(trades & makes & pl.col("only_net"))
        .then(pl.lit("output known only from net exports"))
        .when(trades & makes)
        .then(pl.lit("output and trade of all countries"))
        .when(pl.col("weighed") & ~trades)
        .then(pl.concat_str(pl.lit("trade of single countries only: "), "partial"))
        .when(pl.col("weighed").is_not_null() & ~trades)
        .then(pl.lit("trade in value only, no tonnes"))
        .when(~trades)
        .then(pl.lit("no trade figures"))
        .otherwise(pl.lit("no output figures"))
    )


def _listed(first: str, one: str, second: str, other: str) -> pl.Expr:
    return pl.concat_str(
        pl.lit(f"{first} "), pl.col(one).fill_null("none"), pl.lit(f"; {second} "), pl.col(other).fill_null("none")
    )


def _recycled(secondary: pl.DataFrame | None, closed: pl.DataFrame) -> pl.DataFrame:
    columns: dict[str, pl.DataType] = {"material": pl.String(), "year": pl.Int32(), "stage": pl.String()}
    columns |= {"country": pl.String(), **dict.fromkeys(TONNES, pl.Float64())}
    if secondary is None:
        return pl.DataFrame(schema=columns)
    rows = secondary.filter(pl.col("quantity_t") > 0).rename({"iso3": "country"}).join(closed, on=STAGE, how="semi")
    cells = rows.sort([*STAGE, "country", "quantity_t"]).group_by([*STAGE, "country"])
    return cells.agg(pl.col(name).sum() for name in TONNES).select(_PRODUCTION)


def _available(made: pl.DataFrame, flows: pl.DataFrame, recycled: pl.DataFrame) -> pl.DataFrame:
    """What each country has of each stage for its own plants: output, imports and scrap less exports.

    ``most_t`` takes the upper ends of what comes in and the lower end of what leaves.
    """
    comes = [
        frame.select(*STAGE, "country", inward="quantity_t", upper="quantity_t_high") for frame in (made, recycled)
    ]
    comes.append(flows.select(*STAGE, country="importer", inward="quantity_t", upper="quantity_t_high"))
    goes = (
        flows.sort(_FLOW[:5])
        .group_by(*STAGE, country=pl.col("exporter"))
        .agg(outward=pl.col("quantity_t").sum(), lower=pl.col("quantity_t_low").sum())
    )
    stock = (
        pl.concat(comes)
        .sort([*STAGE, "country", "inward"])
        .group_by([*STAGE, "country"])
        .agg(pl.col("inward", "upper").sum())
    )
    stock = stock.join(goes, on=[*STAGE, "country"], how="left").with_columns(pl.col("outward", "lower").fill_null(0.0))
    return stock.select(
        *STAGE,
        "country",
        has_t=(pl.col("inward") - pl.col("outward")).clip(lower_bound=0),
        most_t=(pl.col("upper") - pl.col("lower")).clip(lower_bound=0),
    )


def _feed(chains: pl.DataFrame, made: pl.DataFrame, flows: pl.DataFrame, recycled: pl.DataFrame) -> pl.DataFrame:
    """Feed of each country's plants, by recorded tonnes of the stages that feed side by side.

    The output cannot hold more than the feed: what even the upper end of the recorded feed does not
    cover of the lower end of the output is fed from ``UNRECORDED``, which nothing explains.
    """
    plants = made.filter(pl.col("quantity_t") > 0).select(*STAGE, "country", least="quantity_t_low")
    present = plants.select(STAGE).unique()
    links = chains.drop_nulls("from_stage").join(present, on=["material", "stage"])
    fed = links.join(present.rename({"stage": "from_stage"}), on=["material", "year", "from_stage"], how="semi")
    fed = fed.filter(pl.col("rank") == pl.col("rank").min().over(STAGE))
    first = _ordered(present).filter(pl.col("place") > pl.col("place").min().over("material", "year")).select(STAGE)
    stock = _available(made, flows, recycled).rename({"stage": "from_stage"})
    rows = plants.join(first, on=STAGE, how="semi").join(fed.drop("rank"), on=STAGE, how="left")
    rows = rows.join(stock, on=["material", "year", "from_stage", "country"], how="left")
    rows = rows.with_columns(pl.col("has_t", "most_t").fill_null(0.0)).sort([*STAGE, "country", "from_stage"])
    plant = [*STAGE, "country"]
    usual = pl.col("has_t").sum().over(plant) > 0
    weight = pl.when(usual).then("has_t").otherwise("most_t")
    total, most = weight.sum().over(plant), pl.col("most_t").sum().over(plant)
    covered = pl.when(most >= pl.col("least")).then(1.0).otherwise(most / pl.col("least"))
    rows = rows.with_columns(
        weight=pl.when(total > 0).then(weight / total * covered).otherwise(0.0),
        covered=pl.when(total > 0).then(covered).otherwise(0.0),
    )
    gap = rows.select(*plant, from_stage=pl.lit(UNRECORDED), weight=1 - pl.col("covered")).unique(plant)
    columns = [*plant, "from_stage", "weight"]
    return pl.concat([rows.drop_nulls("from_stage").select(columns), gap.select(columns)]).filter(pl.col("weight") > 0)


def _evidence(made: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """The worst grade of each stage and those before it, among rows that hold enough of the tonnes."""
    grades = {name: place for place, name in enumerate(EVIDENCE)}
    parts = []
    for frame in (made, flows):
        rows = frame.select(*STAGE, "quantity_t", grade=pl.col("evidence").replace_strict(grades, return_dtype=pl.Int8))
        rows = rows.group_by([*STAGE, "grade"]).agg(pl.col("quantity_t").sum())
        worse = pl.col("quantity_t").cum_sum(reverse=True).over(STAGE, order_by="grade")
        rows = rows.filter(worse >= _WEIGHT * pl.col("quantity_t").sum().over(STAGE))
        parts.append(rows.select(*STAGE, "grade"))
    stages = _ordered(pl.concat(parts).group_by(STAGE).agg(pl.col("grade").max())).sort("material", "year", "place")
    worst = pl.col("grade").cum_max().over("material", "year", order_by="place")
    return stages.select(*STAGE, evidence=worst.replace_strict(dict(enumerate(EVIDENCE)), return_dtype=pl.String))
