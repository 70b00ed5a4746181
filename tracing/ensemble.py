"""An ensemble in parts: the intervals of one material and year alone, and what more draws changed.

What belongs here: cutting the tracing into cells that can be computed anywhere in any order, and comparing
two sets of intervals. What does not: the tracing (``chains``), files, who computes which cell.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from tracing.chains import KEYS, SEED, trace_all

BOUNDS = {
    "face_value_share": ("face_value_share_low", "face_value_share_high"),
    "made_in_share": ("made_in_share_low", "made_in_share_high"),
    "processed_in_share": ("processed_in_share_low", "processed_in_share_high"),
    # The others hold the range over the export-mix rules too, which no draw changes.
    "processed_in_share, draws alone": ("processed_in_share_p05", "processed_in_share_p95"),
}
"""Lower and upper end of each interval that draws decide."""

_CENTRES = [*list(BOUNDS)[:3], "mine_origin_share"]
_SAME = 1e-9
_POINT = 0.01


class NotComparable(ValueError):
    """Two sets of intervals are not of the same figures."""


def cell_exposure(
    stage_production: pl.DataFrame,
    stage_flow: pl.DataFrame,
    *,
    feed: pl.DataFrame,
    secondary: pl.DataFrame,
    networks: Collection[str],
    material: str,
    year: int,
    draws: int,
    seed: int = SEED,
) -> pl.DataFrame:
    """Trace one material and year, with as many draws as wanted.

    The random numbers are those that ``trace_all`` takes for this material and year, whatever else it
    traces, so that all cells together are its exposure.

    Args:
        stage_production: as for ``trace_all``, like the next four.
        stage_flow: trade.
        feed: what feeds what.
        secondary: recycled supply and drawdown.
        networks: sources that cover all countries.
        material: slug.
        year: reference year.
        draws: Monte Carlo draws.
        seed: of the draws.

    Returns:
        ``Traced.exposure`` of the cell; no rows where no stage of it is closed.
    """
    production, flows, recycled, chain = (
        frame.filter(pl.col("material") == material) for frame in (stage_production, stage_flow, secondary, feed)
    )
    return trace_all(
        production,
        flows,
        feed=chain,
        secondary=recycled,
        networks=networks,
        years=(year,),
        draws=draws,
        seed=seed,
    ).exposure


def compare(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Say how far the ends of the intervals moved between two numbers of draws.

    Args:
        before: exposure, say of the published number of draws.
        after: exposure of the same figures with more draws.

    Returns:
        A row per interval: ``measure, rows, width_mean`` (of ``before``), ``moved_mean, moved_p95,
        moved_max`` (the end that moved more, absolute) and ``over_a_point`` (rows that moved by more
        than one percentage point). Shares, 0..1.

    Raises:
        NotComparable: rows or central figures differ, so that the difference is not one of draws.
    """
    both = before.join(after, on=KEYS, how="inner", suffix="_after", validate="1:1")
    if not both.height == before.height == after.height:
        raise NotComparable(
            f"{before.height:,} rows before, {after.height:,} after, {both.height:,} of them the same cells"
        )
    for name in _CENTRES:
        gap = (pl.col(name) - pl.col(f"{name}_after")).abs().max()
        one_sided = (pl.col(name).is_null() != pl.col(f"{name}_after").is_null()).sum()
        widest, lonely = both.select(gap, one_sided.alias("lonely")).row(0)
        if lonely or (widest or 0.0) > _SAME:
            raise NotComparable(f"{name}, which no draw changes, differs by up to {widest or 1:.2g}")
    return pl.concat([_moved(both, measure, *ends) for measure, ends in BOUNDS.items()])


def _moved(both: pl.DataFrame, measure: str, low: str, high: str) -> pl.DataFrame:
    ends = [(pl.col(f"{end}_after") - pl.col(end)).abs() for end in (low, high)]
    rows = both.select(moved=pl.max_horizontal(ends), width=pl.col(high) - pl.col(low)).drop_nulls()
    return rows.select(
        measure=pl.lit(measure),
        rows=pl.len(),
        width_mean=pl.col("width").mean(),
        moved_mean=pl.col("moved").mean(),
        moved_p95=pl.col("moved").quantile(0.95, "linear"),
        moved_max=pl.col("moved").max(),
        over_a_point=(pl.col("moved") > _POINT).sum(),
    )
