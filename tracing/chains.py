"""Whole chains traced from tables of output and trade: exposure, first hops, and what stayed blind.

What belongs here: putting one network per material and year together, running the engine on all of
them with intervals, and saying of each stage whether it could be closed. What does not: the engine
(``look_through``, ``monte_carlo``, ``via``), what feeds what and whose trade is whole (given), files.

A stage takes part when its trade between all countries is known with tonnes, in the year or the year
beside it, and some output is known. A stage that is left out is never stood in for: what it would
have explained is unexplained.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import polars as pl

from tracing.chain_networks import UNRECORDED, ChainNetworks, prepare
from tracing.exposure import via as first_hops
from tracing.montecarlo import monte_carlo
from tracing.network import SECONDARY, STAGES, UNEXPLAINED

YEARS = (2023, 2024)
"""Years traced where none are asked for: those whose trade the embedded figures hold with weights."""

SMALLEST = 1e-6
"""Rows whose every share is below this are left out."""

SMALLEST_TAKEN_APART = 0.01
"""Exposures from this processed-in share on are taken apart by first hop."""

SEED = 20_240_607
KEYS = ["material", "year", "stage", "importer", "country"]
_MARKET = KEYS[:-1]
_MEASURES = ("face_value", "made_in", "processed_in", "import_made_in")
_ROUNDING = 1e-12
_KEY_TYPES: dict[str, pl.DataType] = {name: pl.Int32() if name == "year" else pl.String() for name in KEYS}
EXPOSURE: dict[str, pl.DataType] = {
    **_KEY_TYPES,
    **{f"{name}_share{end}": pl.Float64() for name in _MEASURES for end in ("", "_low", "_high")},
    **dict.fromkeys(("mine_origin_share", "hidden_share"), pl.Float64()),
    **{f"processed_in_share_{quantile}": pl.Float64() for quantile in ("p05", "p50", "p95")},
    "draws": pl.Int32(),
    "seed": pl.Int64(),
    "evidence": pl.String(),
}
VIA: dict[str, pl.DataType] = {**_KEY_TYPES, "via": pl.String(), "share": pl.Float64()}
COVERAGE: dict[str, pl.DataType] = {
    name: pl.Int32() if name == "year" else pl.String()
    for name in ("material", "year", "stage", "status", "reason", "ingredient_years", "sources")
}


@dataclass(frozen=True)
class Traced:
    """What tracing gives.

    Attributes:
        exposure: ``material, year, stage, importer, country``; ``face_value_share, made_in_share,
            processed_in_share`` (0..1 of the importer's supply) and ``import_made_in_share`` (of its
            imports), each with ``_low`` and ``_high`` (the three export-mix rules and p05..p95 of the
            draws, the centre inside); ``mine_origin_share``;
            ``hidden_share`` (processed minus face value, signed); ``processed_in_share_p05 _p50 _p95``;
            ``draws, seed, evidence``. Country is also SECONDARY and UNEXPLAINED, with mine origin
            alone, so that mine origin adds to one; shares below ``SMALLEST`` are unexplained there.
        via: ``material, year, stage, importer, country, via, share``: processed-in share by first hop.
        coverage: ``material, year, stage, status`` (closed | blind), ``reason, ingredient_years,
            sources``.
    """

    exposure: pl.DataFrame
    via: pl.DataFrame
    coverage: pl.DataFrame


def trace_all(
    stage_production: pl.DataFrame,
    stage_flow: pl.DataFrame,
    *,
    feed: pl.DataFrame | None = None,
    secondary: pl.DataFrame | None = None,
    networks: Collection[str] | None = None,
    years: Sequence[int] | None = None,
    draws: int = 200,
    seed: int = SEED,
) -> Traced:
    """Trace every chain of every reference year.

    Args:
        stage_production: ``material, stage, iso3, year, quantity_t, quantity_t_low, quantity_t_high,
            source, evidence, method``; one row per cell.
        stage_flow: ``year, exporter, importer, material, stage, quantity_t`` with bounds, ``hs_codes,
            source, evidence``; null quantities are unknown and left out, totals (WLD) too.
        feed: ``material, stage, from_stage, rank``: the stages of each chain and what feeds them,
            null where the chain begins; where not given, each stage feeds on the one before it.
        secondary: ``material, stage, iso3, year, quantity_t`` with bounds.
        networks: sources of ``stage_flow`` that cover all countries; others only complete them. All
            where not given.
        years: reference years, ``YEARS`` where not given.
        draws: Monte Carlo draws.
        seed: of the draws.

    Returns:
        Exposure, first hops and coverage, sorted by key.

    Raises:
        InvalidNetwork: a figure is negative, not finite or outside its bounds.
        ValueError: draws or seed are out of range.
    """
    parts = prepare(stage_production, stage_flow, feed, secondary, networks, tuple(years or YEARS))
    stages = (UNRECORDED, *STAGES)
    if parts.production.is_empty():
        return Traced(pl.DataFrame(schema=EXPOSURE), pl.DataFrame(schema=VIA), parts.coverage)
    made, moved, recycled, fed = parts.production, parts.flows, parts.secondary, parts.feed
    traced = monte_carlo(made, moved, stages=stages, secondary=recycled, feed=fed, draws=draws, seed=seed)
    exposure = _exposure(traced, parts).with_columns(draws=pl.lit(draws), seed=pl.lit(seed))
    hops = _hops(first_hops(made, moved, stages=stages, secondary=recycled, feed=fed), exposure)
    return Traced(_held(exposure, EXPOSURE, KEYS), _held(hops, VIA, [*KEYS, "via"]), parts.coverage)


def _exposure(traced: pl.DataFrame, parts: ChainNetworks) -> pl.DataFrame:
    """Columns of the answer; what the rows kept leave of mine origin is unexplained.

    Where a chain does not reach the mine, the origins of its first stage are none.
    """
    traced = traced.filter(pl.col("importer") != "OTH")
    traced = traced.join(parts.starts, on=["material", "year"], how="left", validate="m:1")
    known = (pl.col("start") == STAGES[0]) | (pl.col("country") == SECONDARY)
    rows = traced.with_columns(mine_origin_share=pl.when(known).then("mine_origin_share"))
    shares = [f"{name}_share" for name in _MEASURES[:3]]
    seen = pl.max_horizontal(*shares, "mine_origin_share").fill_null(0.0) > SMALLEST
    rows = rows.filter(seen & (pl.col("country") != UNEXPLAINED))
    explained = rows.sort(KEYS).group_by(_MARKET).agg(pl.col("mine_origin_share").sum())
    rest = traced.select(_MARKET).unique().join(explained, on=_MARKET, how="left")
    rest = rest.select(
        *_MARKET,
        country=pl.lit(UNEXPLAINED),
        mine_origin_share=1 - pl.col("mine_origin_share").fill_null(0.0),
    ).filter(pl.col("mine_origin_share") > _ROUNDING)
    rows = pl.concat([rows, rest], how="diagonal_relaxed").with_columns(
        hidden_share=pl.col("processed_in_share") - pl.col("face_value_share")
    )
    return rows.join(parts.evidence, on=["material", "year", "stage"], how="left", validate="m:1")


def _hops(hops: pl.DataFrame, exposure: pl.DataFrame) -> pl.DataFrame:
    """First hops of exposures that are worth taking apart."""
    large = exposure.filter(pl.col("processed_in_share") >= SMALLEST_TAKEN_APART).select(KEYS)
    hops = hops.rename({"processed_in_share": "share"}).filter(pl.col("share") > SMALLEST)
    return hops.join(large, on=KEYS, how="semi")


def _held(frame: pl.DataFrame, schema: dict[str, pl.DataType], keys: list[str]) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.items()).sort(keys)
