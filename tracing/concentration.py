"""Concentration of a list of shares with a weight per country, as an interval.

What belongs here: the weighted Herfindahl-Hirschman index of truncated lists (methods section 2, with the
weights of section 5). What does not: what the weights mean (``criticality``) and the unweighted index of
the marts, which dbt computes.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

_TINY = 1e-9


def weighted_hhi(
    shares: pl.DataFrame, keys: Sequence[str], *, ceiling: float, residual: str = "smaller"
) -> pl.DataFrame:
    """``sum of s^2 x weight`` of each list, with what is not listed.

    With ``r`` the share that is not listed and ``u = min(smallest listed share, r)``, countries no larger
    than the smallest listed add at most ``c = floor(r/u) u^2 + (r - floor(r/u) u)^2``. Low: they are
    infinitely many, or weigh nothing. High: ``c`` at the largest weight. Centre: ``c`` at the mean weight
    of the list, so that the residual does not vanish. A listed country without weight counts as zero,
    the mean and the largest weight.

    Args:
        shares: ``keys``, ``share`` (0..1), ``weight`` (null: unknown); optional ``share_low`` and
            ``share_high`` (null: exact). Countries only: the residual is what they leave of 1.
        keys: columns that make one list.
        ceiling: the largest weight a country can have, not below any given.
        residual: ``smaller``: nobody unlisted is larger than the smallest listed (a truncated list);
            ``any``: what the central shares leave of 1 may belong to anybody, the largest listed included.

    Returns:
        ``keys``, ``hhi``, ``hhi_low``, ``hhi_high`` (0 to ``ceiling``) and ``listed_share``.

    Raises:
        ValueError: a share or weight is negative, a weight is above the ceiling, or an unknown residual.
    """
    if residual not in ("smaller", "any"):
        raise ValueError(f"residual {residual!r} is neither 'smaller' nor 'any'.")
    rows = _checked(shares, keys, ceiling)
    known = pl.col("share").filter(pl.col("weight").is_not_null()).sum()
    lists = rows.group_by(keys, maintain_order=True).agg(
        listed_share=pl.col("share").sum(),
        listed_low=pl.col("low").sum(),
        smallest=pl.col("high").min(),
        largest=pl.col("high").max(),
        mean=pl.when(known > 0).then((pl.col("share") * pl.col("weight")).sum() / known).otherwise(ceiling),
        low=(pl.col("low") ** 2 * pl.col("weight").fill_null(0.0)).sum(),
        high=(pl.col("high") ** 2 * pl.col("weight").fill_null(ceiling)).sum(),
        known=(pl.col("share") ** 2 * pl.col("weight")).sum(),
        unknown=(pl.col("share") ** 2).filter(pl.col("weight").is_null()).sum(),
    )
    rest = (1 - pl.col("listed_share")).clip(lower_bound=0)
    most = (1 - pl.col("listed_low")).clip(lower_bound=0)
    centre = pl.col("known") + pl.col("mean") * (pl.col("unknown") + _concentrated(rest))
    unlisted = _concentrated(most) if residual == "smaller" else rest * (2 * pl.col("largest") + rest)
    return lists.select(
        *keys,
        hhi=centre,
        hhi_low=pl.min_horizontal("low", centre),
        hhi_high=pl.max_horizontal(pl.col("high") + ceiling * unlisted, centre).clip(upper_bound=ceiling),
        listed_share="listed_share",
    ).sort(keys)


def _checked(shares: pl.DataFrame, keys: Sequence[str], ceiling: float) -> pl.DataFrame:
    """Rows with a share, ``low`` and ``high`` filled with it where they are exact."""
    rows = shares.with_columns(
        low=pl.col("share_low").fill_null(pl.col("share")) if "share_low" in shares.columns else pl.col("share"),
        high=pl.col("share_high").fill_null(pl.col("share")) if "share_high" in shares.columns else pl.col("share"),
    )
    bad = rows.filter((pl.min_horizontal("share", "low") < 0) | ~pl.col("weight").is_between(0, ceiling + _TINY))
    if bad.height:
        raise ValueError(f"a share is negative or a weight is not in 0..{ceiling}: {bad.row(0, named=True)}.")
    # Sorted, so that sums are the same to the last bit in every run.
    return rows.filter(pl.col("high") != 0).sort([*keys, "share", "weight"])


def _concentrated(rest: pl.Expr) -> pl.Expr:
    """Sum of squares of ``rest`` held by as few as can be without passing the smallest listed."""
    unit = pl.min_horizontal(pl.col("smallest"), rest)
    # A residual of exactly n units must not count n - 1 because of a rounding error.
    whole = (rest / unit + _TINY).floor()
    return pl.when(rest > _TINY).then(whole * unit**2 + (rest - whole * unit) ** 2).otherwise(0.0)
