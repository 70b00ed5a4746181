"""Weights of trade rows that report a value only, from unit values (methods, section 4).

What belongs here: the ladder of unit values and its bounds. What does not: content and stage.
"""

from __future__ import annotations

import polars as pl

# A unit value may be borrowed from a year this near, moved by the world's unit value.
MAX_GAP = 3
# Bounds of an imputed weight: it is divided and multiplied by the rung's factor.
_PAIR, _EXPORTER, _WORLD = 1.25, 1.5, 2.0

_MADE = ("weight_t", "weight_low_t", "weight_high_t", "unit_value", "own_unit_value", "weight_evidence")


def price_index(trade: pl.DataFrame) -> pl.DataFrame:
    """Return the world's unit value by code and year (USD per tonne): ``hs_code, year, index``."""
    world = trade.filter((pl.col("scope") == "world_total") & (pl.col("quantity_gross_t") > 0))
    return world.select("hs_code", "year", index=pl.col("value_usd") / pl.col("quantity_gross_t"))


def reported(trade: pl.DataFrame) -> pl.DataFrame:
    """Return the reconciled flows with value and weight, and their unit value (``unit``, USD per tonne)."""
    flow = (pl.col("flow") == "R") & ~pl.col("scope").str.ends_with("_total")
    weighed = (pl.col("quantity_gross_t") > 0) & (pl.col("value_usd") > 0)
    return trade.filter(flow & weighed).with_columns(unit=pl.col("value_usd") / pl.col("quantity_gross_t"))


def _borrowed(flows: pl.DataFrame, known: pl.DataFrame, on: list[str], index: pl.DataFrame, name: str) -> pl.DataFrame:
    """Join ``name``: the unit value of the nearest year on the key ``on``, moved by the world's unit value.

    Only flows without a median of their code and year ask for it, which are few: any other rung goes before.
    """
    asking = flows.filter(pl.col("year_median").is_null())
    if asking.is_empty():
        return flows.with_columns(pl.lit(None, pl.Float64).alias(name))
    wanted = (
        asking.select(*on, "year")
        .unique()
        .join(known.select(*on, "unit", then_year="year"), on=on, how="inner")
        .with_columns(gap=(pl.col("year") - pl.col("then_year")).abs())
        .filter(pl.col("gap").is_between(1, MAX_GAP))
    )
    now = index.rename({"index": "now"})
    then = index.rename({"index": "then", "year": "then_year"})
    moved = wanted.join(now, on=["hs_code", "year"]).join(then, on=["hs_code", "then_year"])
    best = (
        moved.sort(*on, "year", "gap", "then_year")
        .group_by(*on, "year", maintain_order=True)
        .agg((pl.col("unit") * pl.col("now") / pl.col("then")).first().alias(name))
    )
    return flows.join(best, on=[*on, "year"], how="left")


def value_span(bound: str) -> pl.Expr:
    """Bound of the value as a multiple of it, 1 where none is given: tonnes are as unsure as dollars."""
    return pl.when(pl.col("value_usd") > 0).then(pl.col(bound) / pl.col("value_usd")).fill_null(1.0)


def with_weights(flows: pl.DataFrame, trade: pl.DataFrame) -> pl.DataFrame:
    """Put a weight with bounds to every flow that a unit value can weigh.

    Rungs, the first that is known: the reported weight; the median unit value of the code, exporter
    and year; of the code and year; the pair's, then the exporter's, unit value of a near year moved
    by the world's unit value; the world's unit value of the year.

    Args:
        flows: rows of ``trade_flow`` to weigh.
        trade: all of ``trade_flow``: where unit values come from (reconciled trade only).

    Returns:
        ``flows`` with ``weight_t, weight_low_t, weight_high_t`` (gross tonnes, null if no rung
        holds), ``unit_value`` (USD per kilogram), ``own_unit_value`` (whether it belongs to the pair
        or exporter, not to the world) and ``weight_evidence`` (``reported`` or ``estimated``).
    """
    known, index = reported(trade), price_index(trade)
    pair = known.select("hs_code", "exporter", "importer", "year", "unit")
    exporter = known.group_by("hs_code", "exporter", "year").agg(
        unit=pl.col("value_usd").sum() / pl.col("quantity_gross_t").sum()
    )
    median = known.group_by("hs_code", "exporter", "year").agg(exporter_median=pl.col("unit").median())
    year = known.group_by("hs_code", "year").agg(year_median=pl.col("unit").median())
    rows = flows.join(median, on=["hs_code", "exporter", "year"], how="left").join(
        year, on=["hs_code", "year"], how="left"
    )
    rows = _borrowed(rows, pair, ["hs_code", "exporter", "importer"], index, "pair_near")
    rows = _borrowed(rows, exporter, ["hs_code", "exporter"], index, "exporter_near")
    rows = rows.join(index.rename({"index": "world"}), on=["hs_code", "year"], how="left")
    own = pl.when(pl.col("quantity_gross_t") > 0).then(pl.col("value_usd") / pl.col("quantity_gross_t"))
    rungs = [
        (own, 1.0),
        (pl.col("exporter_median"), _EXPORTER),
        (pl.col("year_median"), _WORLD),
        (pl.col("pair_near"), _PAIR),
        (pl.col("exporter_near"), _EXPORTER),
        (pl.col("world"), _WORLD),
    ]
    spread = pl.coalesce(*[pl.when(unit.is_not_null()).then(pl.lit(factor)) for unit, factor in rungs])
    rows = rows.with_columns(unit=pl.coalesce(*[unit for unit, _ in rungs]), spread=spread, own=own)
    is_own = pl.col("own").is_not_null()
    weight = pl.when(is_own).then("quantity_gross_t").otherwise(pl.col("value_usd") / pl.col("unit"))
    return rows.with_columns(
        weight_t=weight,
        weight_low_t=weight / pl.col("spread") * value_span("value_low_usd"),
        weight_high_t=weight * pl.col("spread") * value_span("value_high_usd"),
        unit_value=pl.col("unit") / 1000,
        own_unit_value=pl.col("spread") < _WORLD,
        weight_evidence=pl.when(is_own).then(pl.lit("reported")).otherwise(pl.lit("estimated")),
    ).select(*flows.columns, *_MADE)
