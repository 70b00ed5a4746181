"""Canonical ``stage_flow``: trade by material and stage in tonnes contained, with bounds.

What belongs here: choosing one source per flow and turning gross trade into contained tonnes with
the stage map and its overrides. What does not: missing weights (``unit_value.py``), the map itself
(``hs_stage.py``), looking through re-exports (``tracing``).
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from ingest.ahead import ahead
from ingest.errors import OretraceError
from ingest.schemas import EVIDENCE, conform
from ingest.tables import rows_by_year, years_together
from ingest.transforms.base import Built, Frames, Scans, Transform, count_dropped
from ingest.transforms.hs_stage import ANY, stage_map, stage_overrides
from ingest.transforms.unit_value import MAX_GAP, price_index, reported, value_span, with_weights

TABLE = "stage_flow"
# The two unit values that split a basket are averages of many goods: a quarter either way.
PRICE_SPREAD = 1.25
# Flows that are turned into stages together.
FLOWS_TOGETHER = 100_000
# A unit value of the reference tables serves years this near, with its weight divided and multiplied by the factor.
TABLE_GAP, TABLE_SPREAD = 3, 1.5
_FLOW = ["year", "exporter", "importer", "hs_code", "source", "vintage"]
_HELD = [
    "material",
    "stage",
    "basis",
    "content_factor",
    "factor_low",
    "factor_high",
    "basket_share",
    "basket_share_low",
    "basket_share_high",
    "unit_value_usd_kg",
    "rest_usd_kg",
    "price_year",
    "map_evidence",
]
_GRADE = {grade: position for position, grade in enumerate(EVIDENCE)}
_WORLD = pl.col("scope") == "world_total"
_LOST = ["source", "vintage", "reason"]


def _because(frame: pl.DataFrame, reason: str) -> pl.DataFrame:
    return frame.with_columns(reason=pl.lit(reason)).select(_LOST)


def _complete_headings(reconciled: pl.DataFrame, mapped: pl.DataFrame) -> pl.DataFrame:
    """Years and headings of which the reconciled trade holds every mapped code, with weights."""
    needed = (
        mapped.filter(pl.col("hs_code").str.len_chars() == 6)
        .select("hs_code")
        .unique()
        .with_columns(heading=pl.col("hs_code").str.slice(0, 4))
    )
    have = (
        reconciled.filter(pl.col("quantity_gross_t").is_not_null())
        .select("year", "hs_code")
        .unique()
        .join(needed, on="hs_code")
        .group_by("year", "heading")
        .agg(held=pl.len())
    )
    total = needed.group_by("heading").agg(needed=pl.len())
    return have.join(total, on="heading").filter(pl.col("held") == pl.col("needed")).select("year", "heading")


def _rank() -> pl.Expr:
    """Rank the sources of reconciled trade: a release's pairs, our own reconciliation, parts of a release."""
    pairs = pl.col("scope") == "all_pairs"
    ours = pl.col("source") == "comtrade"
    return pl.when(pairs & ~ours).then(0).when(pairs).then(1).otherwise(2)


def one_reconciled(trade: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep one source of reconciled trade for each year and code, so that nothing is counted twice.

    Every pair of BACI comes first, then UN Comtrade as reconciled here, then BACI's main flows or largest links.

    Args:
        trade: canonical ``trade_flow``.

    Returns:
        The rows kept (national reports and totals all among them), and the reconciled rows not used.
    """
    flow = (pl.col("flow") == "R") & ~pl.col("scope").str.ends_with("_total")
    ranked = trade.with_columns(rank=pl.when(flow).then(_rank()))
    second = pl.col("rank") > pl.col("rank").min().over("year", "hs_code")
    return (
        ranked.filter(~second.fill_null(False)).drop("rank"),
        ranked.filter(second).drop("rank"),
    )


def choose(flows: pl.DataFrame, mapped: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Choose one source per flow, so that nothing is counted twice.

    Reconciled trade (``flow`` R) comes first. Where it lacks a code of a heading that the map holds
    as a whole, or its weights, the heading as the USA report it takes the place of the reconciled
    rows of that pair. Ten-digit lines serve where the map names them (they open a basket).

    Returns:
        The chosen rows with ``heading``, and the dropped rows with ``source, vintage, reason``.
    """
    flows = flows.with_columns(heading=pl.col("hs_code").str.slice(0, 4))
    total = pl.col("scope").str.ends_with("_total")
    reconciled = flows.filter((pl.col("flow") == "R") & ~total)
    national = flows.filter(pl.col("flow") != "R")
    known = national.filter(pl.col("hs_code").is_in(mapped["hs_code"].to_list()))
    full = _complete_headings(reconciled, mapped)
    lines = known.filter(pl.col("hs_level") == 10)
    headings = known.filter(pl.col("hs_level") == 4)
    used = headings.join(full, on=["year", "heading"], how="anti")
    pairs = used.select("year", "exporter", "importer", "heading")
    # The heading covers the importer's other partners too, so its residual goes as well.
    rest = used.select("year", "importer", "heading", exporter=pl.lit("OTH")).select(pairs.columns)
    pairs = pl.concat([pairs, rest]).unique()
    kept = reconciled.join(pairs, on=pairs.columns, how="anti")
    dropped = [
        _because(flows.filter(total), "a total, not a flow"),
        _because(national.join(known, on=[*_FLOW, "flow"], how="anti"), "national code that the map does not use"),
        _because(headings.join(full, on=["year", "heading"], how="semi"), "reconciled trade holds the heading"),
        _because(reconciled.join(pairs, on=pairs.columns, how="semi"), "national heading holds the pair in full"),
    ]
    return pl.concat([kept, used, lines]), pl.concat(dropped)


def _overridden(flows: pl.DataFrame, overrides: pl.DataFrame) -> pl.DataFrame:
    """Rows of the overrides that apply to each flow; a named partner goes before any partner.

    Raises:
        OretraceError: two rows hold for one flow and material.
    """
    rules = overrides.rename({"evidence": "map_evidence"}).with_columns(rest_usd_kg=pl.lit(None, pl.Float64))
    rules = rules.drop("source")
    met = flows.select(*_FLOW).join(rules, on="hs_code", how="inner")
    sends = (pl.col("flow") == "X") & (pl.col("reporter") == pl.col("exporter"))
    sends &= (pl.col("partner") == ANY) | (pl.col("partner") == pl.col("importer"))
    takes = (pl.col("flow") == "M") & (pl.col("reporter") == pl.col("importer"))
    takes &= (pl.col("partner") == ANY) | (pl.col("partner") == pl.col("exporter"))
    met = met.filter((sends | takes) & pl.col("year").is_between(pl.col("first_year"), pl.col("last_year")))
    named = (pl.col("partner") != ANY).cast(pl.Int8)
    met = met.filter(named == named.max().over(_FLOW))
    if (twice := met.filter(pl.struct(*_FLOW, "material").is_duplicated())).height:
        raise OretraceError(
            f"ingest/reference/hs_stage_overrides.csv: two rows hold for one flow, first {twice.row(0, named=True)}."
        )
    return met.select(*_FLOW, *_HELD)


def _held(flows: pl.DataFrame, mapped: pl.DataFrame, overrides: pl.DataFrame) -> pl.DataFrame:
    """Join each flow with what its code holds, one row per material."""
    special = _overridden(flows, overrides)
    usual = flows.join(special, on=_FLOW, how="anti", maintain_order="left")
    held = mapped.with_columns(map_evidence="evidence").select("hs_code", *_HELD)
    rows = [flows.join(special, on=_FLOW, maintain_order="left"), usual.join(held, on="hs_code", maintain_order="left")]
    return pl.concat(rows, how="vertical_relaxed")


def _with_share(rows: pl.DataFrame, index: pl.DataFrame) -> pl.DataFrame:
    """Put the mass share of the code that is the material.

    Where the map gives the unit value of the material's goods (p) and of the rest (r), a flow of
    unit value u, brought to the year of those prices by the world's unit value, holds the share
    (u - r) / (p - r) within 0..1; bounds with p a quarter higher or lower.
    """
    now = index.rename({"index": "now"})
    then = index.rename({"index": "then", "year": "price_year"})
    rows = rows.join(now, on=["hs_code", "year"], how="left").join(then, on=["hs_code", "price_year"], how="left")
    change = pl.when(pl.col("year") == pl.col("price_year")).then(1.0).otherwise(pl.col("then") / pl.col("now"))
    unit = pl.when(pl.col("own_unit_value")).then(pl.col("unit_value") * change)
    price, rest = pl.col("unit_value_usd_kg"), pl.col("rest_usd_kg")

    def split(at: pl.Expr) -> pl.Expr:
        return ((unit - rest) / (at - rest)).clip(0, 1)

    return rows.with_columns(
        by_price=split(price).is_not_null(),
        share=pl.coalesce(split(price), "basket_share"),
        share_low=pl.coalesce(split(price * PRICE_SPREAD), "basket_share_low"),
        share_high=pl.coalesce(split(price / PRICE_SPREAD), "basket_share_high"),
    )


def _contained(rows: pl.DataFrame) -> pl.DataFrame:
    """Sum contained tonnes over the codes of a material and stage."""
    grade = pl.max_horizontal(
        pl.col("evidence").replace_strict(_GRADE, return_dtype=pl.Int8),
        pl.col("map_evidence").replace_strict(_GRADE, return_dtype=pl.Int8),
        pl.col("weight_evidence").replace_strict(_GRADE, default=0, return_dtype=pl.Int8),
        pl.when("by_price").then(_GRADE["derived"]).otherwise(0).cast(pl.Int8),
    )
    parts = rows.with_columns(
        grade=grade,
        centre=pl.col("weight_t") * pl.col("content_factor") * pl.col("share"),
        low=pl.col("weight_low_t") * pl.col("factor_low") * pl.col("share_low"),
        high=pl.col("weight_high_t") * pl.col("factor_high") * pl.col("share_high"),
    )
    known = pl.col("centre").is_not_null().any()

    def total(name: str) -> pl.Expr:
        return pl.when(known).then(pl.col(name).sum())

    summed = parts.group_by("year", "exporter", "importer", "material", "stage", "source", "vintage").agg(
        quantity_t=total("centre"),
        quantity_t_low=total("low"),
        quantity_t_high=total("high"),
        value_usd=pl.col("value_usd").sum(),
        basis=pl.col("basis").first(),
        hs_codes=pl.col("hs_code"),
        grade=pl.col("grade").max(),
    )
    return summed.with_columns(
        # Of lists all at once: joining texts group by group takes twice as long.
        hs_codes=pl.col("hs_codes").list.unique().list.sort().list.join(";"),
        evidence=pl.col("grade").replace_strict(list(_GRADE.values()), list(_GRADE), return_dtype=pl.String),
    ).drop("grade")


def stage_flows(
    trade: pl.DataFrame, mapped: pl.DataFrame, overrides: pl.DataFrame, beside: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Turn trade by code into trade by material and stage.

    Args:
        trade: canonical ``trade_flow``, all years or some.
        beside: rows of other years that unit values may be borrowed from: world totals of every year, and flows of
            near years of codes that no flow of a year weighs.
        mapped: as ``hs_stage.stage_map``.
        overrides: as ``hs_stage.stage_overrides``; an empty frame of that shape switches them off.

    Returns:
        Canonical ``stage_flow`` (tonnes contained; quantity null where neither a weight nor a unit
        value is known; ``value_usd`` is the value of the whole codes), and the dropped rows.
    """
    trade, unused = one_reconciled(trade)
    around = trade if beside is None else pl.concat([trade, one_reconciled(beside)[0]])
    flows, dropped = choose(trade, mapped)
    basis = dict(mapped.select("material", "basis").iter_rows())
    overrides = overrides.with_columns(basis=pl.col("material").replace_strict(basis, return_dtype=pl.String))
    index = price_index(around)
    weighed = with_weights(flows, around)
    made = [_of_few_years(part, mapped, overrides, index) for part in _few_years(weighed)]
    table = conform(pl.concat([rows for rows, _ in made]), TABLE)
    lost = [_because(unused, "another reconciliation serves this code and year"), *(left for _, left in made)]
    return table, count_dropped(pl.concat([dropped, *lost]), TABLE)


def _few_years(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Split rows, because a code with many materials multiplies them; at least one part, if without rows."""
    counted = dict(rows["year"].value_counts().sort("year").iter_rows())
    groups = years_together(counted, FLOWS_TOGETHER)
    return [rows.filter(pl.col("year").is_in(years)) for years in groups] or [rows]


def _of_few_years(
    weighed: pl.DataFrame, mapped: pl.DataFrame, overrides: pl.DataFrame, index: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Turn weighed flows into contained tonnes; return them and what was left out with its reason."""
    rows = _held(weighed, mapped, overrides)
    priced = pl.col("rest_usd_kg").is_not_null()
    by_table = pl.when(~priced & ((pl.col("year") - pl.col("price_year")).abs() <= TABLE_GAP)).then("unit_value_usd_kg")
    rows = _with_table_weight(_with_share(rows, index), by_table)
    nothing = (pl.col("share_high") == 0) & ~pl.col("by_price")
    unfactored, unshared = pl.col("content_factor").is_null(), pl.col("share").is_null()
    lost = [
        _because(weighed.join(rows, on=_FLOW, how="anti"), "no material mapped to the code"),
        _because(rows.filter(unfactored), "no defensible tonnage factor"),
        _because(rows.filter(~unfactored & unshared), "basket without a documented share"),
        _because(rows.filter(nothing), "the same cargo is counted under another code"),
    ]
    kept = rows.filter(~unfactored & ~unshared & ~nothing.fill_null(False))
    return _contained(kept), pl.concat(lost)


def _with_table_weight(rows: pl.DataFrame, unit_value: pl.Expr) -> pl.DataFrame:
    """Weigh what is still unweighed by a unit value of the reference tables (USD per kilogram)."""
    lacks = pl.col("weight_t").is_null()
    rows = rows.with_columns(table_t=pl.when(lacks).then(pl.col("value_usd") / unit_value / 1000))
    return rows.with_columns(
        weight_t=pl.coalesce("weight_t", "table_t"),
        weight_low_t=pl.coalesce("weight_low_t", pl.col("table_t") / TABLE_SPREAD * value_span("value_low_usd")),
        weight_high_t=pl.coalesce("weight_high_t", pl.col("table_t") * TABLE_SPREAD * value_span("value_high_usd")),
        weight_evidence=pl.when(pl.col("table_t").is_not_null()).then(pl.lit("assumed")).otherwise("weight_evidence"),
    )


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Build the table with the map and the overrides of ``reference``."""
    return stage_flows(frames["trade_flow"], stage_map(), stage_overrides())


def pieces(scans: Scans) -> Iterator[Built]:
    """Build the table a few years at a time, each with what it borrows from the years beside it."""
    trade = scans["trade_flow"]
    totals = trade.filter(_WORLD).collect()

    def of(years: list[int]) -> Built:
        here = trade.filter(pl.col("year").is_in(years)).collect()
        other = totals.filter(~pl.col("year").is_in(years))
        return stage_flows(here, stage_map(), stage_overrides(), pl.concat([other, _near(trade, here, years)]))

    return ahead(of, years_together(rows_by_year([trade])))


def _near(trade: pl.LazyFrame, here: pl.DataFrame, years: list[int]) -> pl.DataFrame:
    """Flows of near years that may decide a weight: see ``unit_value.with_weights``, whose rungs these serve."""
    cells = [here.select("hs_code", "year").unique(), reported(here).select("hs_code", "year").unique()]
    unweighed = cells[0].join(cells[1], on=["hs_code", "year"], how="anti")["hs_code"].unique()
    near = pl.col("year").is_between(min(years) - MAX_GAP, max(years) + MAX_GAP) & ~pl.col("year").is_in(years)
    return trade.filter(near & ~_WORLD & pl.col("hs_code").is_in(unweighed.implode())).collect()


TRANSFORM = Transform(
    table=TABLE,
    inputs=("trade_flow",),
    build=build,
    pieces=pieces,
    description=(
        "Trade by material and stage in tonnes contained with bounds, from codes by content factor and basket "
        "share, overrides by country pair applied (methods, section 4). Value is that of the whole codes."
    ),
)
