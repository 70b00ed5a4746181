"""Trade factors: how much a supplier's trade policy adds to, or takes from, its weight in supply risk.

What belongs here: the factor of each supplier of each economy (methods section 5, ``t``). What does not: the
values, which are given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

KEY = ["economy", "material", "stage", "year", "country"]


def trade_factors(
    suppliers: pl.DataFrame,
    *,
    home: Mapping[str, Collection[str]],
    ladder: pl.DataFrame,
    printed: pl.DataFrame,
    restriction: pl.DataFrame,
    baskets: pl.DataFrame,
) -> pl.DataFrame:
    """Add ``factor`` to suppliers of economies.

    The highest of: the home or the other rung of the ladder; the factor printed for the material and country
    where it is above 1 (a restriction by the exporter holds against every buyer); the control rung, where
    an export control is in force at the end of the year.

    Args:
        suppliers: ``economy, material, stage, year, country``.
        home: countries of each economy.
        ladder: ``economy, parameter, value`` with ``trade_factor_home | _other | _export_control``.
        printed: ``material, country, trade_factor``, as published for the EU.
        restriction: ``imposer, material, stage`` (null: every stage), ``effective, suspended``.
        baskets: ``material, member``: a basket takes the highest factor of its members.

    Returns:
        The suppliers with ``factor``.
    """
    rung = ladder.pivot("parameter", index="economy", values="value")
    homes = [(economy, country, True) for economy, countries in home.items() for country in countries]
    at_home = pl.DataFrame(
        homes, schema={"economy": pl.String, "country": pl.String, "at_home": pl.Boolean}, orient="row"
    )
    rows = (
        suppliers.join(rung, on="economy", how="left")
        .join(at_home, on=["economy", "country"], how="left")
        .join(_printed(printed, baskets), on=["material", "country"], how="left")
    )
    rows = rows.join(_controlled(rows, restriction, baskets), on=KEY, how="left")
    base = pl.when(pl.col("at_home")).then("trade_factor_home").otherwise("trade_factor_other")
    taken = pl.when(pl.col("trade_factor") > 1).then("trade_factor")
    control = pl.when(pl.col("controlled")).then("trade_factor_export_control")
    return rows.select(*suppliers.columns, factor=pl.max_horizontal(base, taken, control))


def _printed(printed: pl.DataFrame, baskets: pl.DataFrame) -> pl.DataFrame:
    singles = printed.drop_nulls("trade_factor").select("material", "country", "trade_factor")
    grouped = baskets.join(singles, left_on="member", right_on="material").select("material", "country", "trade_factor")
    return pl.concat([singles, grouped]).group_by("material", "country").agg(pl.col("trade_factor").max())


def _controlled(rows: pl.DataFrame, restriction: pl.DataFrame, baskets: pl.DataFrame) -> pl.DataFrame:
    """Suppliers whose own export control of the material and stage is in force on 31 December of the year."""
    laws = restriction.select("material", "effective", "suspended", country="imposer", at_stage="stage")
    grouped = baskets.select("material", "member").join(laws, left_on="member", right_on="material")
    laws = pl.concat([laws, grouped.select(laws.columns)])
    end = pl.date(pl.col("year"), 12, 31)
    held = rows.select(KEY).join(laws, on=["material", "country"])
    in_force = (pl.col("effective") <= end) & (pl.col("suspended").is_null() | (pl.col("suspended") > end))
    held = held.filter(in_force & (pl.col("at_stage").is_null() | (pl.col("at_stage") == pl.col("stage"))))
    return held.select(KEY).unique().with_columns(controlled=pl.lit(True))
