"""What an importer loses when a country stops: bans, lost output, closed hubs (methods section 6).

What belongs here: the loss interval of every importer and stage under every scenario, as a frame. What does
not: which scenarios there are (``ingest/reference/scenario_*.csv``), the shared shortage (``cascade``), the
walk (``engine``, ``hubs``), files.

The loss is the interval ``[reallocation, look-through]``. Low: everybody else shares the shortage. High: trade
keeps its routes and the importer loses all that passed through the country's plants at a stopped stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from tracing import feeds as feeding
from tracing import network
from tracing.cascade import Pool, Shortage, shortages
from tracing.chain_networks import STAGE, UNRECORDED, ChainNetworks
from tracing.economies import Union, merged
from tracing.engine import StageTrace, trace
from tracing.hubs import shipped_on
from tracing.mixing import RULES
from tracing.network import STAGES, Batch, Floats, Grid, StageNetwork

BAN, LOSS, CLOSURE = "ban", "output_lost", "closure"
MECHANISMS = (BAN, LOSS, CLOSURE)
SMALLEST = 0.001
"""Losses below this share of supply are left out, but for the importers that are always kept."""

ALWAYS = ("USA", "EUU", "JPN", "KOR", "DEU", "GBR", "IND")
KEYS = ["scenario", "importer", "material", "stage", "year"]
DAYS = 365.0
_COLUMNS: dict[str, pl.DataType] = {
    **{name: pl.Int32() if name == "year" else pl.String() for name in KEYS},
    "actor": pl.String(),
    "mechanism": pl.String(),
    "stopped_stages": pl.String(),
    "stopped_share": pl.Float64(),
    "face_value_share": pl.Float64(),
    "loss_low": pl.Float64(),
    "loss_high": pl.Float64(),
    "shortage_share": pl.Float64(),
    "shortage_stage": pl.String(),
    "binds": pl.String(),
    "supply_t": pl.Float64(),
    "loss_t_low": pl.Float64(),
    "loss_t_high": pl.Float64(),
    "stock_t": pl.Float64(),
    "days_until_bite": pl.Float64(),
    "days_until_bite_latest": pl.Float64(),
    "days_reason": pl.String(),
    "evidence": pl.String(),
}
# What a stop gives; stock, days and evidence are joined to it.
_MADE = [
    name
    for name in _COLUMNS
    if name not in ("stock_t", "days_until_bite", "days_until_bite_latest", "days_reason", "evidence")
]


@dataclass(frozen=True)
class Stop:
    """One country stops, for one material.

    Attributes:
        scenario: its name.
        mechanism: ``ban`` (it ships nothing abroad), ``output_lost`` (its plants stand still, for itself
            too) or ``closure`` (it ships on nothing that it imported).
        actor: the country.
        stages: stages that stop; all where none is named.
        share: part that stops, 0..1.
        target: the only importer that is hit; every one where none is named.
    """

    scenario: str
    mechanism: str
    actor: str
    stages: frozenset[str]
    share: float
    target: str | None


@dataclass
class _Chain:
    """One batch with its feeds and what was traced of it, by the set of stages that count."""

    grid: Grid
    batch: Batch
    feeds: feeding.Feeds
    names: list[str]
    links: Mapping[str, Mapping[str, float]]
    traced: dict[frozenset[str], list[StageTrace]] = field(default_factory=dict)

    def traces(self, stages: frozenset[str]) -> list[StageTrace]:
        if stages not in self.traced:
            self.traced[stages] = trace(self.grid, self.batch, self.feeds, RULES[0], stages)
        return self.traced[stages]


def disrupt(
    parts: ChainNetworks,
    scenarios: pl.DataFrame,
    links: pl.DataFrame,
    *,
    union: Union | None = None,
    stock: pl.DataFrame | None = None,
    always: Sequence[str] = ALWAYS,
    smallest: float = SMALLEST,
) -> pl.DataFrame:
    """Loss of every importer under every scenario.

    Args:
        parts: networks, as ``prepare`` makes them.
        scenarios: ``scenario, mechanism, actor, material`` (null: all), ``stage`` (null: all),
            ``stopped_share`` (0..1), ``target`` (null: every importer); several rows make one scenario.
        links: ``material, stage, from_stage, rank, recipe`` (tonnes in per tonne out).
        union: countries that are one importer besides themselves; not hit by its own members.
        stock: ``holder, material, stage, quantity_t``; none is known where not given.
        always: importers whose rows are kept at any loss.
        smallest: ``loss_high`` below which other rows are left out.

    Returns:
        ``KEYS``; ``actor, mechanism, stopped_stages, stopped_share``; ``face_value_share`` of the actor,
        ``loss_low`` and ``loss_high`` (0..1 of the importer's supply, low not above high);
        ``shortage_share`` and ``shortage_stage``: the shared shortage and where it began; ``binds``;
        ``supply_t, loss_t_low, loss_t_high, stock_t`` (tonnes contained; supply of the year);
        ``days_until_bite`` (at the high loss) and ``_latest`` (at the low one), ``days_reason``; ``evidence``.

    Raises:
        ValueError: a share outside 0..1, an unknown mechanism, or rows of a scenario that contradict.
        InvalidNetwork: a network is refused.
    """
    stops = _stops(scenarios)
    rows = _of_networks(parts, stops, links)
    if union is not None:
        rows = pl.concat([rows, _of_networks(merged(parts, union), stops, links).filter(importer=union.name)])
    kept = rows.filter((pl.col("loss_high") >= smallest) | pl.col("importer").is_in(list(always)))
    kept = kept.filter(pl.col("importer") != "OTH")
    kept = kept.join(parts.evidence, on=STAGE, how="left", validate="m:1")
    return _with_days(kept, stock).select(pl.col(name).cast(kind) for name, kind in _COLUMNS.items()).sort(KEYS)


def _stops(scenarios: pl.DataFrame) -> dict[str | None, list[Stop]]:
    """Stops by material (none: every material)."""
    bad = ~pl.col("stopped_share").is_between(0, 1) | ~pl.col("mechanism").is_in(MECHANISMS)
    if (odd := scenarios.filter(bad.fill_null(value=True))).height:
        raise ValueError(
            f"scenarios: expected a share in 0..1 and one of {MECHANISMS}, found {odd.row(0, named=True)}."
        )
    fixed = ["scenario", "material", "mechanism", "actor", "stopped_share", "target"]
    groups = scenarios.group_by(fixed, maintain_order=True).agg("stage")
    if groups.select(pl.struct("scenario", "material").is_duplicated().any()).item():
        raise ValueError("scenarios: the rows of one scenario and material name two actors, shares or targets.")
    found: dict[str | None, list[Stop]] = {}
    for name, material, mechanism, actor, share, target, stages in groups.iter_rows():
        named = frozenset(STAGES if None in stages else stages)
        found.setdefault(material, []).append(Stop(name, mechanism, actor, named, share, target))
    return found


def _of_networks(parts: ChainNetworks, stops: dict[str | None, list[Stop]], links: pl.DataFrame) -> pl.DataFrame:
    grid = network.read(parts.production, parts.flows, (UNRECORDED, *STAGES), parts.secondary)
    feeds = feeding.read(parts.feed, grid)
    frames = [pl.DataFrame(schema={name: kind for name, kind in _COLUMNS.items() if name in _MADE})]
    for batch in grid.batches() if grid.keys.height else ():
        material, year = grid.keys.select("material", "year").row(batch.key)
        fed = feeding_stages(links, material, [stage.stage for stage in batch.stages])
        chain = _Chain(grid, batch, feeds, grid.countries.gather(batch.countries).to_list(), fed)
        for stop in (*stops.get(material, ()), *stops.get(None, ())):
            for rows in _of_stop(chain, stop):
                frames.append(rows.with_columns(material=pl.lit(material), year=pl.lit(year, pl.Int32)).select(_MADE))
    return pl.concat(frames)


def feeding_stages(links: pl.DataFrame, material: str, present: Sequence[str]) -> dict[str, dict[str, float]]:
    """Stages that feed each stage of a chain, with their recipes: those of the lowest rank that are present."""
    rows = links.filter(pl.col("from_stage").is_in(list(present)), material=material)
    rows = rows.filter(pl.col("rank") == pl.col("rank").min().over("stage")).sort("stage", "from_stage")
    found: dict[str, dict[str, float]] = {}
    for stage, source, recipe in rows.select("stage", "from_stage", "recipe").iter_rows():
        found.setdefault(stage, {})[source] = recipe
    return found


def _of_stop(chain: _Chain, stop: Stop) -> Iterator[pl.DataFrame]:
    """Rows of one stop in one chain, stage by stage."""
    present = [stage.stage for stage in chain.batch.stages]
    stopped = stop.stages.intersection(present)
    if stop.actor not in chain.names or not stopped:
        return
    actor = chain.names.index(stop.actor)
    traces = chain.traces(stopped)
    if stop.mechanism == CLOSURE:
        through = shipped_on(chain.grid, chain.batch, chain.feeds, traces, actor)
        shared = dict.fromkeys(present, Shortage(0.0, None))
    else:
        through = {one.stage: one.processed[:, actor] for one in traces}
        shared = shortages(_pools(chain, stop, actor, stopped), chain.links)
    for one, tonnes in zip(traces, chain.batch.stages, strict=True):
        hit = one.blend.supplied.copy()
        hit[actor] &= stop.mechanism == LOSS
        if stop.target is not None:
            hit &= np.array([name == stop.target for name in chain.names])
        where = np.flatnonzero(hit)
        high = np.minimum(through[one.stage][where], 1.0) * stop.share
        before = not stopped.intersection(present[: present.index(one.stage) + 1])
        yield (
            _rows(chain, stop, shared[one.stage], high, where, before=before)
            .with_columns(
                stage=pl.lit(one.stage),
                stopped_stages=pl.lit(";".join(stage for stage in present if stage in stopped)),
                face_value_share=pl.Series(one.face_value[where, actor]),
                supply_t=pl.Series(_supply(tonnes, chain.batch.size)[where]),
            )
            .with_columns(
                loss_t_low=pl.col("loss_low") * pl.col("supply_t"), loss_t_high=pl.col("loss_high") * pl.col("supply_t")
            )
        )


def _rows(
    chain: _Chain, stop: Stop, shared: Shortage, high: Floats, where: network.Codes, *, before: bool
) -> pl.DataFrame:
    low = np.minimum(high, shared.share)
    frame = pl.DataFrame({"importer": [chain.names[code] for code in where], "loss_low": low, "loss_high": high})
    began = "no shared shortage" if shared.began is None else f"shared shortage from stage {shared.began}"
    rerouted = pl.lit("re-exports; goods can take another way" if stop.mechanism == CLOSURE else began)
    return frame.with_columns(
        scenario=pl.lit(stop.scenario),
        actor=pl.lit(stop.actor),
        mechanism=pl.lit(stop.mechanism),
        stopped_share=pl.lit(stop.share),
        shortage_share=pl.lit(shared.share),
        shortage_stage=pl.lit(shared.began, pl.String),
        binds=pl.when(pl.col("loss_high") <= 0)
        .then(pl.lit("nothing: before the stopped stage" if before else "nothing: no supply through the country"))
        .when(pl.col("loss_low") >= pl.col("loss_high"))
        .then(pl.lit("own exposure, below the shared shortage"))
        .otherwise(rerouted),
    )


def _pools(chain: _Chain, stop: Stop, actor: int, stopped: frozenset[str]) -> dict[str, Pool]:
    """Tonnes of those who share the shortage: all but the actor under a ban, everybody where plants are lost."""
    target = chain.names.index(stop.target) if stop.target in chain.names else None
    pools = {}
    for stage in chain.batch.stages:
        made, recycled, flows = stage.production, stage.secondary, stage.flows
        total, scrap = float(made.quantity.sum()), float(recycled.quantity.sum())
        own = float(made.quantity[made.country == actor].sum())
        hit = stage.stage in stopped
        if stop.mechanism == LOSS:
            pools[stage.stage] = Pool(total, scrap, 0.0, 0.0, stop.share * own, hit)
            continue
        old = float(recycled.quantity[recycled.country == actor].sum())
        inward = float(flows.quantity[flows.partner == actor].sum())
        leaving = flows.country == actor
        outward = float(flows.quantity[leaving].sum())
        to_target = outward if target is None else float(flows.quantity[leaving & (flows.partner == target)].sum())
        supply = own + old + inward
        # Re-exports are seen through, as in the look-through: only what its own plants made counts.
        shipped = min(outward, supply) * own / supply if supply > 0 else 0.0
        stops = stop.share * (shipped * to_target / outward if outward > 0 else 0.0)
        pools[stage.stage] = Pool(total - own, scrap - old, shipped, inward, stops, hit)
    return pools


def _supply(stage: StageNetwork, size: int) -> Floats:
    """Output, imports and recycled supply by country, tonnes."""
    total: Floats = np.zeros(size)
    for codes, rows in (
        (stage.production.country, stage.production),
        (stage.secondary.country, stage.secondary),
        (stage.flows.partner, stage.flows),
    ):
        total += np.bincount(codes, rows.quantity, size)
    return total


def days_until_bite(stock_t: pl.Expr, supply_t: pl.Expr, loss: pl.Expr) -> pl.Expr:
    """Days that a stock makes up for a loss: ``stock / (supply / 365 x loss)``; null without a loss."""
    return pl.when((loss > 0) & (supply_t > 0)).then(stock_t / (supply_t / DAYS * loss))


def _with_days(rows: pl.DataFrame, stock: pl.DataFrame | None) -> pl.DataFrame:
    keys = ["importer", "material", "stage"]
    if stock is None or stock.is_empty():
        rows = rows.with_columns(stock_t=pl.lit(None, pl.Float64))
    else:
        held = stock.drop_nulls("quantity_t").rename({"holder": "importer"}).sort([*keys, "quantity_t"])
        rows = rows.join(held.group_by(keys).agg(stock_t=pl.col("quantity_t").sum()), on=keys, how="left")
    held_t, supply = pl.col("stock_t"), pl.col("supply_t")
    return rows.with_columns(
        days_until_bite=days_until_bite(held_t, supply, pl.col("loss_high")),
        days_until_bite_latest=days_until_bite(held_t, supply, pl.col("loss_low")),
        days_reason=pl.when(pl.col("loss_high") <= 0)
        .then(pl.lit("no loss"))
        .when(held_t.is_null())
        .then(pl.lit("no stock known in this form"))
        .when(pl.col("loss_low") <= 0)
        .then(pl.lit("no latest day: perfect reallocation leaves no loss")),
    )
