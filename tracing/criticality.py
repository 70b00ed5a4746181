"""Criticality: supply risk in the EU form, economic importance, the NRC and USGS-style readings.

What belongs here: the formulas of methods section 5 as expressions and pure functions of frames. What does
not: parameters (``ingest/reference/criticality_*.csv``), putting the table together (``assessment``).

The governance estimates run from -2.5 to 2.5 with 2.5 best; the risk used here runs from 0 to 10 with
10 **worst**.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

RISK_CEILING = 10.0
INDICATORS = 6


def governance_risk(governance: pl.DataFrame, first_year: int, last_year: int, best: float = 2.5) -> pl.DataFrame:
    """Governance risk of each country, 0 (best) to 10 (worst): ``2 (best - estimate)``, mean of six indicators.

    Args:
        governance: ``iso3, year, indicator, estimate``.
        first_year: of the window whose estimates are averaged.
        last_year: of the window.
        best: the estimate that stands for no risk.

    Returns:
        ``country, risk``; only countries with all six indicators in the window.
    """
    window = governance.filter(pl.col("year").is_between(first_year, last_year))
    means = window.sort("iso3", "indicator", "year").group_by("iso3", "indicator").agg(pl.col("estimate").mean())
    countries = means.sort("iso3", "indicator").group_by("iso3").agg(pl.col("estimate").mean(), found=pl.len())
    risk = (2 * (best - pl.col("estimate"))).clip(0, RISK_CEILING)
    return countries.filter(found=INDICATORS).select(country="iso3", risk=risk).sort("country")


def supply_risk(world: pl.Expr, sourcing: pl.Expr, reliance: pl.Expr) -> pl.Expr:
    """Supply risk before recycling and substitution: ``HHI_GS IR/2 + HHI_EU (1 - IR/2)`` (methods section 5).

    Where no sourcing is recorded the world's concentration stands alone, as JRC 2017 does.

    Args:
        world: weighted concentration of world output.
        sourcing: weighted concentration of the economy's own supply; null: not recorded.
        reliance: import reliance, 0..1; null where needed gives null.
    """
    mixed = world * reliance / 2 + sourcing * (1 - reliance / 2)
    return pl.when(sourcing.is_null()).then(world).otherwise(mixed)


def economic_importance(
    end_use: pl.DataFrame, baskets: pl.DataFrame, *, scale: float = 10.0, least: float = 0.5
) -> pl.DataFrame:
    """Economic importance before substitution: ``sum A_s Q_s x scale / max Q`` (methods section 5).

    A use without a sector adds nothing. A basket has the mean of its members that have end uses.

    Args:
        end_use: ``economy, material, share`` (A, 0..1) and ``value_added_eur`` (Q).
        baskets: ``material, member``.
        scale: what the sector with the largest value added counts.
        least: below this share of use with a known sector the figure is null.

    Returns:
        ``economy, material, importance`` (0..``scale``), ``assessed_share`` of use (0..1), ``importance_reason``.
    """
    known = pl.col("share").is_not_null() & pl.col("value_added_eur").is_not_null()
    sector = pl.col("value_added_eur") / pl.col("value_added_eur").max().over("economy")
    parts = end_use.with_columns(part=pl.when(known).then(pl.col("share") * sector * scale))
    singles = (
        parts.sort("economy", "material", "part")
        .group_by("economy", "material", maintain_order=True)
        .agg(importance=pl.col("part").sum(), assessed_share=pl.col("share").filter(known).sum())
    )
    short = pl.col("assessed_share") < least
    singles = singles.with_columns(
        importance=pl.when(~short).then("importance"),
        importance_reason=pl.when(short).then(pl.lit("less than half of its use is in a known sector")),
    )
    members = baskets.join(singles.drop_nulls("importance"), left_on="member", right_on="material")
    sizes = baskets.group_by("material").agg(size=pl.len())
    means = members.group_by("economy", "material").agg(pl.col("importance", "assessed_share").mean(), found=pl.len())
    reason = pl.format("mean of {} of {} elements with end uses", "found", "size")
    means = means.join(sizes, on="material").select(
        "economy", "material", "importance", "assessed_share", importance_reason=reason
    )
    new = means.join(singles, on=["economy", "material"], how="anti")
    return pl.concat([singles, new]).sort("economy", "material")


def score(value: pl.Expr, cuts: tuple[float, float, float]) -> pl.Expr:
    """NRC score 1 to 4: one more for each cut point reached; null stays null."""
    return pl.when(value.is_not_null()).then(1 + sum(((value >= cut).cast(pl.Int32) for cut in cuts), pl.lit(0)))


def quadrant(risk: pl.Expr, importance: pl.Expr, parameter: Mapping[str, float]) -> pl.Expr:
    """``critical`` | ``supply_risk_only`` | ``importance_only`` | ``neither``; null where either is."""
    risky = risk >= parameter["threshold_supply_risk"]
    important = importance >= parameter["threshold_economic_importance"]
    named = (
        pl.when(risky & important)
        .then(pl.lit("critical"))
        .when(risky)
        .then(pl.lit("supply_risk_only"))
        .when(important)
        .then(pl.lit("importance_only"))
        .otherwise(pl.lit("neither"))
    )
    return pl.when(risk.is_not_null() & importance.is_not_null()).then(named)


def usgs_style(potential: pl.Expr, exposure: pl.Expr, vulnerability: pl.Expr) -> pl.Expr:
    """``(DP TE EV)^(1/3)``, each 0..1 (after Nassar et al. 2020; methods section 5)."""
    return (potential * exposure * vulnerability) ** (1 / 3)
