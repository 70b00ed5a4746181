"""What an offtake contract with a partner would change in one importer's dependence, stage by stage.

What belongs here: putting x tonnes a year of one stage into a traced network in place of other supply, and
tracing it again (methods section 6). What does not: reading what the user asked for, or any file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from tracing.chain_networks import OTHER, TONNES, UNRECORDED, ChainNetworks
from tracing.exposure import look_through
from tracing.network import SECONDARY, STAGES, UNEXPLAINED

RULES = ("lead", "pro_rata")
"""What the contract replaces: the largest other supplier first, or all other suppliers alike."""

_SHARES = ("face_value", "processed_in")


class ImpossibleOfftake(ValueError):
    """A contract that the importer's recorded supply cannot take; the message says what it can."""


@dataclass(frozen=True)
class Offtake:
    """A contract.

    Attributes:
        importer: who buys.
        partner: who sells.
        stage: what.
        tonnes: contained, a year; not negative.
    """

    importer: str
    partner: str
    stage: str
    tonnes: float


def before_and_after(parts: ChainNetworks, offtake: Offtake, chain: pl.DataFrame) -> pl.DataFrame:
    """Trace the network as it is, and with the contract under each rule.

    Args:
        parts: networks of one material and year, as ``prepare`` gives them.
        offtake: the contract.
        chain: ``stage, from_stage, rank`` of the material, for the feed of a plant that is new.

    Returns:
        One row per stage and role: ``stage``; ``role`` (``lead supplier``: the largest other seller of the stage
        before; ``lead processor``: the country most of it passed through, where that is another one;
        ``partner``); ``country``; ``face_value_before, _after_low, _after_high`` and ``processed_in_before,
        _after_low, _after_high``: 0..1 of the importer's supply, the two ends being the two rules.

    Raises:
        ImpossibleOfftake: no supply of the stage to replace, or less than the contract.
    """
    before = _traced(parts, offtake.importer)
    after = [_traced(with_offtake(parts, offtake, rule, chain), offtake.importer) for rule in RULES]
    roles = _roles(before, offtake)
    stages = before.select("stage").unique().join(roles, how="cross")
    on = ["stage", "country"]
    rows = stages.join(before, on=on, how="left", validate="m:1")
    rows = rows.rename({f"{name}_share": f"{name}_before" for name in _SHARES})
    for rule, frame in zip(RULES, after, strict=True):
        named = frame.rename({f"{name}_share": f"{name}_{rule}" for name in _SHARES})
        rows = rows.join(named, on=on, how="left", validate="m:1")
    numbers = [f"{name}_{column}" for name in _SHARES for column in ("before", *RULES)]
    rows = rows.with_columns(pl.col(numbers).fill_null(0.0))
    bounds = {"low": pl.min_horizontal, "high": pl.max_horizontal}
    place = pl.col("stage").replace_strict({stage: number for number, stage in enumerate(STAGES)})
    order = pl.col("role").replace_strict({"lead supplier": 0, "lead processor": 1, "partner": 2})
    return rows.sort(place, order).select(
        "stage",
        "role",
        "country",
        *(
            column
            for name in _SHARES
            for column in (
                pl.col(f"{name}_before"),
                *(
                    pick(f"{name}_{rule}" for rule in RULES).alias(f"{name}_after_{end}")
                    for end, pick in bounds.items()
                ),
            )
        ),
    )


def with_offtake(parts: ChainNetworks, offtake: Offtake, rule: str, chain: pl.DataFrame) -> ChainNetworks:
    """The networks with the contract in place; the importer's supply of the stage keeps its tonnes.

    The partner's deliveries to the importer grow by the contract. Others deliver that much less: under
    ``lead`` the largest first and then the next, under ``pro_rata`` all imports alike; what exceeds all
    imports from others replaces own output and recycled supply alike. Where the partner's exports then exceed
    its supply its other exports shrink alike, and what is still missing is new output of its plants, which
    feed as they do now; a first plant takes from the partner's own markets of the stages that feed it.

    Args:
        parts: networks of one material and year.
        offtake: the contract.
        rule: one of ``RULES``.
        chain: as for ``before_and_after``.

    Raises:
        ImpossibleOfftake: as there.
    """
    here = pl.col("stage") == offtake.stage
    inward = here & (pl.col("importer") == offtake.importer)
    flows = parts.flows.sort("stage", "exporter", "importer")
    others = flows.filter(inward & (pl.col("exporter") != offtake.partner)).select("exporter", "quantity_t")
    own = _tonnes(parts.production, here & (pl.col("country") == offtake.importer))
    own += _tonnes(parts.secondary, here & (pl.col("country") == offtake.importer))
    bought = float(others["quantity_t"].sum())
    if offtake.tonnes > own + bought:
        raise ImpossibleOfftake(
            f"{offtake.importer} gets {own + bought:,.0f} t of {offtake.stage} from others than {offtake.partner}; "
            f"{offtake.tonnes:,.0f} t cannot replace that."
        )
    left = _left(others, min(offtake.tonnes, bought), rule)
    flows = _scaled(flows, left, inward, "exporter")
    flows = _delivered(flows, offtake)
    kept = 1 - (offtake.tonnes - min(offtake.tonnes, bought)) / own if own > 0 else 1.0
    home = pl.DataFrame({"country": [offtake.importer], "kept": [kept]})
    production, secondary = (_scaled(frame, home, here, "country") for frame in (parts.production, parts.secondary))
    return _supplied(replace(parts, flows=flows, production=production, secondary=secondary), offtake, chain)


def _left(others: pl.DataFrame, cut: float, rule: str) -> pl.DataFrame:
    """``exporter, kept``: the part of its deliveries that each other supplier keeps."""
    tonnes = pl.col("quantity_t")
    if rule == "pro_rata":
        total = float(others["quantity_t"].sum())
        return others.select("exporter", kept=pl.lit(1 - cut / total if total > 0 else 1.0))
    ranked = others.filter(tonnes > 0).sort("quantity_t", "exporter", descending=[True, False])
    taken = (cut - (tonnes.cum_sum() - tonnes)).clip(0, tonnes)
    return ranked.select("exporter", kept=1 - taken / tonnes)


def _scaled(frame: pl.DataFrame, left: pl.DataFrame, where: pl.Expr, key: str) -> pl.DataFrame:
    """The frame with the tonnes of some rows scaled by ``kept``."""
    rows = frame.join(left.rename({left.columns[0]: key}), on=key, how="left", validate="m:1", maintain_order="left")
    factor = pl.when(where).then(pl.col("kept").fill_null(1.0)).otherwise(1.0)
    return rows.with_columns(pl.col(TONNES) * factor).drop("kept")


def _delivered(flows: pl.DataFrame, offtake: Offtake) -> pl.DataFrame:
    """The flows with the contract's tonnes on the way from the partner to the importer."""
    key = ["stage", "exporter", "importer"]
    way = {"stage": offtake.stage, "exporter": offtake.partner, "importer": offtake.importer}
    batch = flows.select("material", "year").head(1)
    new = batch.with_columns(
        *(pl.lit(value).alias(name) for name, value in way.items()), *(pl.lit(offtake.tonnes).alias(t) for t in TONNES)
    )
    return (
        pl.concat([flows, new.select(flows.columns)])
        .group_by("material", "year", *key, maintain_order=True)
        .agg(pl.col(TONNES).sum())
    )


def _supplied(parts: ChainNetworks, offtake: Offtake, chain: pl.DataFrame) -> ChainNetworks:
    """The networks with the partner able to deliver: other exports shrink, then its output grows."""
    here, seller = pl.col("stage") == offtake.stage, pl.col("country") == offtake.partner
    supply = sum(_tonnes(frame, here & seller) for frame in (parts.production, parts.secondary))
    supply += _tonnes(parts.flows, here & (pl.col("importer") == offtake.partner))
    elsewhere = here & (pl.col("exporter") == offtake.partner) & (pl.col("importer") != offtake.importer)
    others = _tonnes(parts.flows, elsewhere)
    shipped = _tonnes(parts.flows, here & (pl.col("exporter") == offtake.partner))
    # Exports that exceeded the recorded supply before stay as recorded: the contract answers for its own tonnes.
    lacking = max(0.0, shipped - supply) - max(0.0, shipped - offtake.tonnes - supply)
    cut = min(lacking, others)
    if cut > 0:
        tonnes = pl.when(elsewhere).then(pl.col(TONNES) * (1 - cut / others)).otherwise(pl.col(TONNES))
        parts = replace(parts, flows=parts.flows.with_columns(tonnes))
    missing = lacking - cut
    if missing <= 0:
        return parts
    plant = pl.DataFrame({"country": [offtake.partner]}).join(
        parts.flows.select("material", "year").head(1), how="cross"
    )
    plant = plant.with_columns(stage=pl.lit(offtake.stage))
    added = plant.with_columns(pl.lit(missing).alias(name) for name in TONNES).select(parts.production.columns)
    keys = [name for name in parts.production.columns if name not in TONNES]
    made = pl.concat([parts.production, added]).group_by(keys, maintain_order=True).agg(pl.col(TONNES).sum())
    fed = parts.feed
    if fed.filter(here & seller).is_empty():
        new = plant.join(_first_feed(parts, offtake, chain), how="cross")
        fed = pl.concat([fed, new.select(fed.columns)])
    return replace(parts, production=made, feed=fed)


def _first_feed(parts: ChainNetworks, offtake: Offtake, chain: pl.DataFrame) -> pl.DataFrame:
    """``from_stage, weight`` of the partner's first plant: by what it has of the stages that feed side by side.

    Empty at the stage where the chain begins; where the partner has none of them the feed is unrecorded.
    """
    schema = {"from_stage": pl.String, "weight": pl.Float64}
    present = parts.production["stage"].unique().to_list()
    if offtake.stage == min(present, key=STAGES.index):
        return pl.DataFrame(schema=schema)
    links = chain.filter((pl.col("stage") == offtake.stage) & pl.col("from_stage").is_in(present))
    links = links.filter(pl.col("rank") == pl.col("rank").min()).sort("from_stage")
    stock = [(stage, _has(parts, offtake.partner, stage)) for stage in links["from_stage"]]
    rows = [(stage, tonnes) for stage, tonnes in stock if tonnes > 0] or [(UNRECORDED, 1.0)]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _has(parts: ChainNetworks, country: str, stage: str) -> float:
    """What a country has of a stage for its own plants: output, scrap and imports less exports."""
    here = pl.col("stage") == stage
    inward = sum(_tonnes(frame, here & (pl.col("country") == country)) for frame in (parts.production, parts.secondary))
    inward += _tonnes(parts.flows, here & (pl.col("importer") == country))
    return max(0.0, inward - _tonnes(parts.flows, here & (pl.col("exporter") == country)))


def _tonnes(frame: pl.DataFrame, where: pl.Expr) -> float:
    return float(frame.filter(where)["quantity_t"].sum())


def _traced(parts: ChainNetworks, importer: str) -> pl.DataFrame:
    """``stage, country`` and the two shares of the importer, central figures under well mixed exports."""
    traced = look_through(
        parts.production,
        parts.flows,
        stages=(UNRECORDED, *STAGES),
        secondary=parts.secondary,
        feed=parts.feed if parts.feed.height else None,
    )
    rows = traced.filter((pl.col("importer") == importer) & ~pl.col("country").is_in([SECONDARY, UNEXPLAINED]))
    return rows.select("stage", "country", *(f"{name}_share" for name in _SHARES))


def _roles(before: pl.DataFrame, offtake: Offtake) -> pl.DataFrame:
    """``role, country``: whose shares to show."""
    rows = before.filter(
        (pl.col("stage") == offtake.stage) & ~pl.col("country").is_in([offtake.importer, offtake.partner, OTHER])
    )
    leads: dict[str, str] = {}
    for role, share in (("lead supplier", "face_value_share"), ("lead processor", "processed_in_share")):
        first = rows.filter(pl.col(share) > 0).sort(share, "country", descending=[True, False]).head(1)
        if first.height and first["country"][0] not in leads.values():
            leads[role] = first["country"][0]
    roles = leads | {"partner": offtake.partner}
    return pl.DataFrame({"role": list(roles), "country": list(roles.values())})
