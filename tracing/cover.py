"""Days of cover: how long a stock lasts, and how much of it is of use when the lead processor bans.

What belongs here: the formulas of methods section 6 as expressions, and the table of every holder, material
and form with the reason for each empty cell. What does not: the ways of conversion (``routes``), any figure of
a stock, target or programme (given).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from tracing.chain_networks import EVIDENCE
from tracing.network import STAGES

YEAR_DAYS = 365.0
ENDS = ("", "_low", "_high")
ENTRY = ["holder", "material", "form"]
KEYS = [*ENTRY, "year"]
STOCK, PROGRAMME, ANY = "stock", "programme", "all"
AMOUNTS = ("holding", "target", "plan")
COLUMNS = (
    *KEYS,
    "entry",
    "status",
    "status_reason",
    *(f"holding_t{end}" for end in ENDS),
    "holding_evidence",
    "needed_form",
    "is_needed_form",
    *(f"need_t{end}" for end in ENDS),
    "need_method",
    "need_source",
    "need_evidence",
    "need_reason",
    *(f"nominal_days{end}" for end in ENDS),
    "lead_processor",
    "lead_share",
    *(f"route_share{end}" for end in ENDS),
    *(f"safe_capacity_t{end}" for end in ENDS),
    "route_reason",
    "horizon_days",
    *(f"usable_days{end}" for end in ENDS),
    "target_days",
    "target_confidence",
    "announced_target_days",
    *(f"target_t{end}" for end in ENDS),
    *(f"target_usable_days{end}" for end in ENDS),
    "drawdown_first_year",
    "drawdown_last_year",
    *(f"drawdown_t{end}" for end in ENDS),
    "plan_year",
    "plan_printed",
    *(f"plan_t{end}" for end in ENDS),
    "plan_disposals_t",
    *(f"plan_nominal_days{end}" for end in ENDS),
    *(f"plan_usable_days{end}" for end in ENDS),
    "programme",
    "programme_usd",
    "source",
    "vintage",
    "reference",
    "evidence",
)
_GRADES = {name: place for place, name in enumerate(EVIDENCE)}
_OTHER_END = {"": "", "_low": "_high", "_high": "_low"}


@dataclass(frozen=True)
class Holdings:
    """What is known of stocks; all tonnes contained.

    Attributes:
        holders: ``holder, status, reason, as_of, source``: what each holder publishes.
        forms: ``material, needed_form``.
        chains: ``material, stage``: the stages of each traced chain.
        stock: ``holder, material, form, measure, year, quantity_t`` with bounds, ``token, source, vintage,
            evidence``;
            measures ``shipments`` (fall of the inventory), ``potential_acquisitions``, ``potential_disposals``.
        own: the user's ``holder, material, form, quantity_t, reference, source, vintage, evidence``.
        targets: ``holder, material, status`` (in_force | announced), ``days, confidence``.
        programmes: ``holder, material, programme, year, value_usd, quantity_t, note, reference, evidence``.
    """

    holders: pl.DataFrame
    forms: pl.DataFrame
    chains: pl.DataFrame
    stock: pl.DataFrame
    own: pl.DataFrame
    targets: pl.DataFrame
    programmes: pl.DataFrame


def nominal_days(stock: pl.Expr, need: pl.Expr) -> pl.Expr:
    """``stock / (need / 365)`` (methods section 6).

    Args:
        stock: tonnes contained, not negative.
        need: tonnes contained per year; null or not above 0 gives null.
    """
    return pl.when(need > 0).then(stock * YEAR_DAYS / need)


def usable_tonnes(
    stock: pl.Expr, route_share: pl.Expr, capacity: pl.Expr, is_needed_form: pl.Expr, horizon_days: float
) -> pl.Expr:
    """Tonnes that can be used against the ban: ``stock (1 - F)``, no more than safe conversion takes.

    Args:
        stock: tonnes contained.
        route_share: F, 0..1: conversion that passes through the banning country.
        capacity: tonnes per year that safe ways convert.
        is_needed_form: the stock needs no conversion and is usable whole.
        horizon_days: time there is for conversion.

    Returns:
        0 to ``stock``; null where conversion is needed and its share or its capacity is unknown.
    """
    safe = stock * (1 - route_share)
    converted = capacity * (horizon_days / YEAR_DAYS)
    capped = pl.when(safe <= converted).then(safe).when(safe > converted).then(converted)
    return pl.when(is_needed_form).then(stock).otherwise(capped)


def cover(
    known: Holdings,
    need: pl.DataFrame,
    ways: pl.DataFrame,
    blind: pl.DataFrame,
    *,
    years: Sequence[int],
    horizon_days: float,
) -> pl.DataFrame:
    """Cover of every holder, material, form and year of need, and the programmes announced.

    Args:
        known: stocks, targets, programmes.
        need: see ``needs``.
        ways: see ``routes.routes``.
        blind: see ``routes.blind_stages``.
        years: years of need.
        horizon_days: time there is for conversion.

    Returns:
        ``COLUMNS``, one row per holder, material, form, year and ``entry`` (stock | programme), sorted.
    """
    rows = entries(known).join(pl.DataFrame({"year": years}, schema={"year": pl.Int32}), how="cross")
    rows = rows.join(known.forms.select("material", "needed_form"), on="material", how="left", validate="m:1")
    rows = rows.join(need, on=["holder", "material", "year"], how="left", validate="m:1")
    rows = rows.join(ways, on=KEYS, how="left", validate="m:1")
    rows = rows.join(blind, on=["material", "year", "form"], how="left", validate="m:1")
    rows = _with_holdings(rows, known)
    rows = rows.join(_moves(known.stock), on=ENTRY, how="left", validate="m:1")
    rows = _with_targets(rows, known.targets)
    rows = _with_reasons(_with_days(rows, horizon_days))
    rows = rows.with_columns(entry=pl.lit(STOCK), horizon_days=pl.lit(horizon_days))
    rows = rows.rename(
        {f"holding_{kind}_days{end}": f"{kind}_days{end}" for kind in ("nominal", "usable") for end in ENDS}
    )
    whole = pl.concat([rows, _programmes(known.programmes)], how="diagonal")
    return whole.select(COLUMNS).sort(*KEYS, "entry")


def entries(known: Holdings) -> pl.DataFrame:
    """Every holder, material and form there is anything to say of.

    All forms of a chain up to the needed one for every holder, what the publishers print, what the user has.
    """
    chain = known.chains.select("material", form="stage").unique().join(known.forms, on="material", how="inner")
    chain = chain.filter(_place("form") <= _place("needed_form")).select("material", "form")
    everywhere = known.holders.select("holder").join(chain, how="cross")
    return pl.concat([everywhere, known.stock.select(ENTRY), known.own.select(ENTRY)]).unique().sort(ENTRY)


def needs(markets: pl.DataFrame, printed: pl.DataFrame) -> pl.DataFrame:
    """What each holder needs in a year: the printed consumption, else the balance of its market.

    Args:
        markets: see ``routes.markets``.
        printed: ``holder, material, year, printed_t`` with bounds, ``printed_source``: apparent consumption.

    Returns:
        ``holder, material, year, need_t`` with bounds (tonnes contained per year, null: not known),
        ``need_method`` (printed | balance), ``need_evidence, need_reason, supply_t, route_evidence``.
    """
    rows = markets.join(printed, on=["holder", "material", "year"], how="full", coalesce=True)
    is_printed = pl.col("printed_t").is_not_null()
    balanced = (pl.col("balance_t") > 0) & ~pl.col("only_net")
    chosen = [
        pl.when(is_printed).then(f"printed_t{end}").when(balanced).then(f"balance_t{end}").alias(f"need_t{end}")
        for end in ENDS
    ]
    known = pl.when(is_printed)
    return rows.select(
        "holder",
        "material",
        "year",
        *chosen,
        "supply_t",
        need_method=known.then(pl.lit("printed")).when(balanced).then(pl.lit("balance")),
        need_source=known.then("printed_source").when(balanced).then(pl.lit("traced network")),
        # A balance is derived at best, however well its parts are known.
        need_evidence=known.then(pl.lit("reported"))
        .when(balanced & (pl.col("evidence") == "assumed"))
        .then(pl.lit("assumed"))
        .when(balanced)
        .then(pl.lit("derived")),
        need_reason=pl.when(is_printed | balanced)
        .then(None)
        .when(pl.col("only_net"))
        .then(pl.lit("output of the needed form is known only from net exports, so its balance says nothing"))
        .when(pl.col("balance_t") <= 0)
        .then(pl.lit("recorded exports of the needed form exceed its output and imports")),
        route_evidence="evidence",
    ).sort("holder", "material", "year")


def _place(column: str) -> pl.Expr:
    """Place of a stage in the chain; null where the text is none."""
    return pl.col(column).replace_strict(list(STAGES), list(range(len(STAGES))), default=None, return_dtype=pl.Int32)


def _with_holdings(rows: pl.DataFrame, known: Holdings) -> pl.DataFrame:
    """The user's figure where there is one, else what the holder publishes."""
    own = known.own.select(
        *ENTRY,
        *(pl.col("quantity_t").alias(f"holding_t{end}") for end in ENDS),
        holding_evidence="evidence",
        own_source="source",
        own_vintage="vintage",
        own_reference="reference",
    )
    says = known.holders.select("holder", "status", "reason", says_source="source", says_as_of="as_of")
    worst = pl.col("evidence").replace_strict(_GRADES, return_dtype=pl.Int8).max()
    printed = known.stock.group_by(ENTRY).agg(
        printed_source=pl.col("source").max(),
        printed_vintage=pl.col("vintage").max(),
        printed_evidence=worst.replace_strict(dict(enumerate(EVIDENCE)), return_dtype=pl.String),
    )
    rows = rows.join(own, on=ENTRY, how="left", validate="m:1").join(says, on="holder", how="left", validate="m:1")
    rows = rows.join(printed, on=ENTRY, how="left", validate="m:1")
    own_row = pl.col("own_source").is_not_null()
    return rows.with_columns(
        status=pl.when(own_row).then(pl.lit("user")).otherwise("status"),
        status_reason=pl.when(own_row).then(pl.lit("figure of the user's file")).otherwise("reason"),
        source=pl.coalesce("own_source", "printed_source", pl.lit("reference")),
        vintage=pl.coalesce("own_vintage", "printed_vintage", "says_as_of"),
        reference=pl.coalesce("own_reference", "says_source"),
    )


def _moves(stock: pl.DataFrame) -> pl.DataFrame:
    """Fall of the inventory over the years printed, and the newest plan that gives a figure."""
    tonnes = {end: f"quantity_t{end}" for end in ENDS}
    fall = stock.filter(measure="shipments").sort([*ENTRY, "year"])
    fall = fall.group_by(ENTRY).agg(
        *(_whole_sum(name).alias(f"drawdown_t{end}") for end, name in tonnes.items()),
        drawdown_first_year=pl.col("year").min(),
        drawdown_last_year=pl.col("year").max(),
    )
    bought = stock.filter(measure="potential_acquisitions").with_columns(given=pl.col("quantity_t").is_not_null())
    bought = (
        bought.sort([*ENTRY, "given", "year"])
        .unique(ENTRY, keep="last")
        .select(
            *ENTRY,
            *(pl.col(name).alias(f"plan_t{end}") for end, name in tonnes.items()),
            plan_year="year",
            plan_printed="token",
        )
    )
    sold = stock.filter(measure="potential_disposals").select(*ENTRY, plan_year="year", plan_disposals_t="quantity_t")
    bought = bought.join(sold, on=[*ENTRY, "plan_year"], how="left", validate="1:1")
    return fall.join(bought, on=ENTRY, how="full", coalesce=True)


def _whole_sum(name: str) -> pl.Expr:
    """Sum of a column; a year that is withheld leaves it unknown."""
    return pl.when(pl.col(name).null_count() == 0).then(pl.col(name).sum())


def _with_targets(rows: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """Days that the holder means to keep, as tonnes; in which form is not said, so in each."""
    force = targets.filter(status="in_force").select(
        "holder", "material", target_days="days", target_confidence="confidence"
    )
    coming = targets.filter(status="announced").select("holder", "material", announced_target_days="days")
    for part in (force, coming):
        rows = rows.join(part, on=["holder", "material"], how="left", validate="m:1")
    tonnes = [(pl.col("target_days") * pl.col(f"need_t{end}") / YEAR_DAYS).alias(f"target_t{end}") for end in ENDS]
    return rows.with_columns(tonnes)


def _with_days(rows: pl.DataFrame, horizon_days: float) -> pl.DataFrame:
    """Nominal and usable days of what is held, meant to be held and planned to be bought."""
    made = pl.col("supply_t") * pl.col("plant_share")
    rows = rows.with_columns(
        is_needed_form=(_place("form") >= _place("needed_form")).fill_null(False),
        **{f"safe_capacity_t{end}": made * (1 - pl.col(f"route_share{_OTHER_END[end]}")) for end in ENDS},
    )
    days = []
    for amount in AMOUNTS:
        for end, other in _OTHER_END.items():
            # A target grows with need: the end of the interval with the larger need has the larger target too.
            stock, need = pl.col(f"{amount}_t{other if amount == 'target' else end}"), pl.col(f"need_t{other}")
            capacity, needed = pl.col(f"safe_capacity_t{end}"), pl.col("is_needed_form")
            usable = usable_tonnes(stock, pl.col(f"route_share{other}"), capacity, needed, horizon_days)
            days.append(nominal_days(stock, need).alias(f"{amount}_nominal_days{end}"))
            days.append(nominal_days(usable, need).alias(f"{amount}_usable_days{end}"))
    return rows.with_columns(days)


def _with_reasons(rows: pl.DataFrame) -> pl.DataFrame:
    """Why a cell is empty, and the weakest grade of the figures in the row (of a mere statement: reported)."""
    unneeded = ~pl.col("is_needed_form")
    route = (
        pl.when(unneeded & pl.col("needed_form").is_null())
        .then(pl.lit("no needed form is set for this material"))
        .when(unneeded & _place("form").is_null())
        .then(pl.lit("the form is no stage of the chain"))
        .when(unneeded & pl.col("blind").is_not_null())
        .then(pl.concat_str(pl.lit("conversion cannot be followed, blind stages: "), "blind"))
        .when(unneeded & pl.col("route_share").is_null())
        .then(pl.lit("no traced supply of the needed form"))
    )
    needs = (
        pl.when(pl.col("need_t").is_not_null())
        .then(None)
        .when(pl.col("needed_form").is_null())
        .then(pl.lit("no needed form is set for this material"))
        .otherwise(pl.coalesce("need_reason", pl.lit("no trade of all countries and no printed consumption")))
    )
    grade = [
        pl.col(name).replace_strict(_GRADES, default=None, return_dtype=pl.Int8)
        for name in ("holding_evidence", "need_evidence", "printed_evidence", "used_route_evidence")
    ]
    weakest = pl.max_horizontal(*grade).fill_null(0)
    routed = unneeded & pl.col("route_share").is_not_null()
    rows = rows.with_columns(used_route_evidence=pl.when(routed).then("route_evidence"))
    return rows.with_columns(
        route_reason=route,
        need_reason=needs,
        evidence=weakest.replace_strict(dict(enumerate(EVIDENCE)), return_dtype=pl.String),
    )


def _programmes(programmes: pl.DataFrame) -> pl.DataFrame:
    """One row per programme; it holds money, and tonnes only where they were announced."""
    return programmes.select(
        "holder",
        "material",
        "year",
        "programme",
        "evidence",
        "reference",
        form=pl.lit(ANY),
        entry=pl.lit(PROGRAMME),
        status=pl.lit("announced"),
        status_reason="note",
        programme_usd="value_usd",
        plan_t="quantity_t",
        source=pl.lit("reference"),
        vintage="announced",
    )
