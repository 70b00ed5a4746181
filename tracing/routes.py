"""Ways from a form of a material to the form needed, and what a market needs of that form.

What belongs here: the share of conversion that passes through one country (methods section 6, ``F``), the
tonnes that other ways carry, the balance of a market; from the networks of whole chains. What does not: days
of cover (``cover``), which form is needed (given).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from tracing import feeds as feeding
from tracing import network
from tracing.chain_networks import OTHER, STAGE, TONNES, UNRECORDED, ChainNetworks
from tracing.engine import StageTrace, trace
from tracing.feeds import Feeds
from tracing.mixing import RULES, Rule
from tracing.network import STAGES, Batch, Grid

MARKET = ["holder", "material", "year"]
CLOSED = "closed"
CENTRE: Rule = RULES[0]
ONLY_NET = "output known only from net exports"
"""Reason of a stage in ``ChainNetworks.coverage`` whose output is a balance itself."""


@dataclass(frozen=True)
class Need:
    """What is asked of the networks.

    Attributes:
        holders: codes of the markets.
        needed: material to the stage whose product is needed.
        forms: material to the stages before it that a stock may be in.
        later: (material, form) to the stages that turn it into the needed form, in order.
        processing: material to the stages whose plants count for the lead processor: all after the mine, or
            the mine where nothing comes after it.
    """

    holders: Collection[str]
    needed: dict[str, str]
    forms: dict[str, list[str]]
    later: dict[tuple[str, str], list[str]]
    processing: dict[str, list[str]]


def ways(chains: pl.DataFrame, needed: dict[str, str], extra: pl.DataFrame, holders: Collection[str]) -> Need:
    """Put together which conversions each form still has before it.

    Args:
        chains: ``material, stage``: the stages of each chain.
        needed: material to its needed form.
        extra: ``material, form``: further forms that stocks are in, besides the stages of the chain.
        holders: codes of the markets.
    """
    place = {stage: number for number, stage in enumerate(STAGES)}
    stages: dict[str, set[str]] = {}
    for material, stage in chains.select("material", "stage").unique().iter_rows():
        stages.setdefault(material, set()).add(stage)
    forms: dict[str, list[str]] = {}
    later: dict[tuple[str, str], list[str]] = {}
    processing: dict[str, list[str]] = {}
    extras = set(extra.select("material", "form").iter_rows())
    for material in needed.keys() & stages.keys():
        end = place[needed[material]]
        chain = sorted((stage for stage in stages[material] if place[stage] <= end), key=place.__getitem__)
        found = set(chain) | {form for name, form in extras if name == material and form in place}
        forms[material] = sorted((form for form in found if place[form] < end), key=place.__getitem__)
        for form in forms[material]:
            later[material, form] = [stage for stage in chain if place[stage] > place[form]]
        processing[material] = [stage for stage in chain if place[stage] > 0] or chain
    return Need(holders, needed, forms, later, processing)


def blind_stages(need: Need, coverage: pl.DataFrame) -> pl.DataFrame:
    """Which conversions cannot be followed: ``material, year, form, blind`` (stages, by comma)."""
    closed = set(coverage.filter(status=CLOSED).select(STAGE).iter_rows())
    years = coverage["year"].unique().sort().to_list()
    rows = [
        (material, year, form, ", ".join(stage for stage in later if (material, year, stage) not in closed))
        for (material, form), later in need.later.items()
        for year in years
    ]
    schema = {"material": pl.String, "year": pl.Int32, "form": pl.String, "blind": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").filter(pl.col("blind") != "")


def routes(parts: ChainNetworks, need: Need) -> pl.DataFrame:
    """Conversion of every form, seen from each holder's market of the needed form.

    A stock is taken to be converted on the ways on which the plant-made part of the needed form reaches the
    holder today. Plants of the holder are not those of another country and so are safe.

    Args:
        parts: networks of the reference years.
        need: what is asked.

    Returns:
        ``holder, material, year, form, lead_processor`` (the other country through whose plants after the
        mine the largest share of the holder's supply of the needed form passed), ``lead_share`` (0..1 of the
        plant-made supply), ``route_share`` (F: passed through its plants at any stage after the form) with
        ``_low`` and ``_high`` (the three export-mix rules), ``plant_share`` (0..1 of supply that is made in
        known plants). Where no other country has a part, there is no lead and the share is 0. Forms with a
        blind stage after them have no row.

    Raises:
        InvalidNetwork: a frame is refused.
    """
    wanted = pl.col("material").is_in(list(need.forms))
    production, flows = parts.production.filter(wanted), parts.flows.filter(wanted)
    grid = network.read(production, flows, (UNRECORDED, *STAGES), parts.secondary.filter(wanted))
    feeds = feeding.read(parts.feed.filter(wanted), grid)
    rows = [row for batch in grid.batches() for row in _batch(grid, batch, feeds, need)]
    schema: dict[str, pl.DataType] = {"holder": pl.String(), "material": pl.String(), "year": pl.Int32()}
    schema |= {"form": pl.String(), "lead_processor": pl.String(), "lead_share": pl.Float64()}
    schema |= {f"route_share{end}": pl.Float64() for end in ("", "_low", "_high")} | {"plant_share": pl.Float64()}
    found = pl.DataFrame(rows, schema=schema, orient="row")
    return found.join(blind_stages(need, parts.coverage), on=["material", "year", "form"], how="anti")


def _batch(grid: Grid, batch: Batch, feeds: Feeds, need: Need) -> Iterator[tuple[object, ...]]:
    key = grid.keys.row(batch.key, named=True)
    material, year = key["material"], key["year"]
    end = need.needed[material]
    if end not in {part.stage for part in batch.stages}:
        return
    names = grid.countries.gather(batch.countries).to_list()
    markets = [(holder, names.index(holder)) for holder in need.holders if holder in names]

    def passed(rule: Rule, later: list[str]) -> StageTrace:
        found = trace(grid, batch, feeds, rule, set(later))
        return next(stage for stage in found if stage.stage == end)

    whole = passed(CENTRE, need.processing[material])
    by_form = {form: [passed(rule, need.later[material, form]) for rule in RULES] for form in need.forms[material]}
    others = np.array([name != OTHER for name in names])
    for holder, row in markets:
        made = whole.made[row].sum()
        if not whole.blend.supplied[row] or made <= 0:
            continue
        shares = np.where(others, whole.processed[row], 0.0)
        shares[row] = 0.0
        lead = int(shares.argmax())
        head = (names[lead], shares[lead] / made) if shares[lead] > 0 else (None, None)
        yield holder, material, year, end, *head, 0.0, 0.0, 0.0, made
        for form, traced in by_form.items():
            # Made, and so the first share, is that of the centre above; another rule may leave nothing made.
            found = [_share(stage, row, lead) for stage in traced if stage.made[row].any()]
            bounds = (found[0], min(found), max(found)) if head[0] else (0.0, 0.0, 0.0)
            yield holder, material, year, form, *head, *bounds, made


def _share(stage: StageTrace, row: int, lead: int) -> float:
    """Share of a market's plant-made supply that passed through the counted plants of one country."""
    return min(1.0, float(stage.processed[row, lead] / stage.made[row].sum()))


def markets(parts: ChainNetworks, need: Need) -> pl.DataFrame:
    """What each holder's market takes in and keeps of the needed form, tonnes contained.

    Returns:
        ``holder, material, year``; ``supply_t`` (output, imports and recycled supply), ``balance_t`` (supply
        minus exports) with ``_low`` and ``_high``, ``evidence`` (the weakest that matters up to the stage),
        ``only_net`` (output is known only as net exports, so that the balance is empty).
    """
    wanted = pl.DataFrame(list(need.needed.items()), schema={"material": pl.String, "stage": pl.String}, orient="row")
    signs = [
        (parts.production, "country", 1),
        (parts.secondary, "country", 1),
        (parts.flows, "importer", 1),
        (parts.flows, "exporter", -1),
    ]
    sides = []
    for frame, country, sign in signs:
        low, high = TONNES[1:] if sign > 0 else TONNES[:0:-1]
        sides.append(
            frame.filter(pl.col(country).is_in(list(need.holders)))
            .join(wanted, on=["material", "stage"], how="semi")
            .select(
                pl.col(country).alias("holder"),
                *STAGE,
                supply_t=pl.col(TONNES[0]) if sign > 0 else pl.lit(0.0),
                balance_t=sign * pl.col(TONNES[0]),
                balance_t_low=sign * pl.col(low),
                balance_t_high=sign * pl.col(high),
            )
        )
    columns = ["supply_t", "balance_t", "balance_t_low", "balance_t_high"]
    rows = pl.concat(sides).sort([*MARKET, *columns])
    sums = rows.group_by(*MARKET, "stage", maintain_order=True).agg(pl.col(columns).sum())
    net = parts.coverage.select(*STAGE, only_net=pl.col("reason") == ONLY_NET)
    sums = sums.join(parts.evidence, on=STAGE, how="left").join(net, on=STAGE, how="left")
    return sums.with_columns(pl.col("only_net").fill_null(False)).drop("stage")
