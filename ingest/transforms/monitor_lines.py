"""Product lines of the monthly monitor: which code stands for a ten-digit line, and what it holds.

What belongs here: rolling ten-digit lines up to the codes of the stage map, and the materials and
stages of each. What does not: the map (``hs_stage.py``), figures over time (``import_monitor.py``).
"""

from __future__ import annotations

import polars as pl

from ingest.mapping import reference
from ingest.transforms.hs_stage import ANY, stage_map, stage_overrides

REPORTER = "USA"
SERIES = ["flow", "line", "partner"]
_HELD = ["material", "stage", "basket_share", "basket_share_high"]
# A sum of the lines that are weighed passes for the whole from this share of the value on, as in the trade marts.
COVERED = 0.95


def by_line(trade: pl.DataFrame) -> pl.DataFrame:
    """Sum ten-digit lines to product lines.

    A line is the ten digits where the map names that import line (the national tariff opens a basket
    there), else the first six: these stay comparable when the national lines are cut anew. The
    export schedule shares six digits with the tariff, not ten.

    Args:
        trade: canonical ``trade_month``.

    Returns:
        ``flow, line, partner, t`` (months since year 0), ``value_usd``, ``quantity_kg`` and
        ``weighed_usd`` (value of what is weighed; both null where less than 95 % of the value is, or
        where weights of goods and of contents mix), ``unit_printed``, ``lines`` (how many, by
        ten digits) and ``evidence``.
    """
    national = stage_map().filter(pl.col("hs_code").str.len_chars() == 10)["hs_code"].implode()
    own = (pl.col("flow") == "M") & pl.col("hs10").is_in(national)
    units = reference("census_units.csv").select(unit_printed="unit", measures="measures")
    weighed = pl.col("quantity_kg").is_not_null()
    covered = pl.col("value_usd").filter(weighed).sum() >= COVERED * pl.col("value_usd").sum()
    known = weighed.any() & covered & (pl.col("measures").filter(weighed).n_unique() == 1)
    return (
        trade.with_columns(
            line=pl.when(own).then("hs10").otherwise(pl.col("hs10").str.slice(0, 6)),
            t=pl.col("year") * 12 + pl.col("month") - 1,
        )
        .join(units, on="unit_printed", how="left", validate="m:1")
        .group_by(*SERIES, "t")
        .agg(
            pl.col("value_usd").sum(),
            quantity_kg=pl.when(known).then(pl.col("quantity_kg").sum()),
            weighed_usd=pl.when(known).then(pl.col("value_usd").filter(weighed).sum()),
            unit_printed=pl.col("unit_printed").drop_nulls().unique().sort().str.join(";").replace("", None),
            evidence=pl.when((pl.len() == 1) & (pl.col("evidence") == "reported").all())
            .then(pl.lit("reported"))
            .otherwise(pl.lit("derived")),
        )
        .sort(*SERIES, "t")
    )


def held(keys: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Say what each line holds, overrides by partner and year before the map.

    Args:
        keys: unique ``flow, line, partner, year``.

    Returns:
        ``keys`` with ``material, stage, basket`` (the line also holds other goods or materials), one
        row per material; and the keys left out with ``reason``.
    """
    rules = stage_overrides().filter(pl.col("reporter") == REPORTER).rename({"hs_code": "line", "partner": "named"})
    met = keys.join(rules, on=["flow", "line"], how="inner").filter(
        ((pl.col("named") == ANY) | (pl.col("named") == pl.col("partner")))
        & pl.col("year").is_between(pl.col("first_year"), pl.col("last_year"))
    )
    by_name = pl.col("named") != ANY
    met = met.filter(by_name == by_name.max().over(keys.columns))
    usual = keys.join(met, on=keys.columns, how="anti").join(
        stage_map().rename({"hs_code": "line"}), on="line", how="inner"
    )
    rows = pl.concat([part.select(*keys.columns, *_HELD) for part in (met, usual)])
    part_only = pl.col("basket_share_high").is_null() | (pl.col("basket_share_high") < 1)
    rows = rows.with_columns(basket=part_only | (pl.len().over(keys.columns) > 1))
    elsewhere = pl.col("basket_share_high").fill_null(1) == 0
    lost = [
        keys.join(rows, on=keys.columns, how="anti").with_columns(reason=pl.lit("no material mapped to the line")),
        rows.filter(elsewhere)
        .select(*keys.columns, reason=pl.lit("the same cargo is counted under another code"))
        .unique(),
    ]
    return rows.filter(~elsewhere).drop("basket_share", "basket_share_high"), pl.concat(lost)
