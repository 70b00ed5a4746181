"""Canonical ``trade_month``: trade of the USA by month, ten-digit line and partner.

What belongs here: partners and kilograms of the printed rows, and which of two vintages of one month
is kept. What does not: what a line holds (``monitor_lines.py``), the proof that a month is complete
(``sources/census_monthly.py``).
"""

from __future__ import annotations

import polars as pl

from ingest.mapping import split_dropped, with_mapping
from ingest.schemas import conform
from ingest.sources.census_replies import GROUP
from ingest.transforms.base import Frames, Transform, count_dropped

TABLE = "trade_month"
INPUT = "raw_census_monthly__trade"
WHOLE = "all_countries"
_WHEN = ["flow", "year", "month"]
_KEY = [*_WHEN, "hs10", "iso3"]


def _newest(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep one vintage per flow and month: a whole month before selected partners, then the newest.

    Series of selected partners stand side by side, so among them the newest counts by partner.
    """
    whole = pl.col("scope") == WHOLE
    covered = whole.any().over(_WHEN)
    newest = (
        pl.when(whole)
        .then(pl.col("vintage") == pl.col("vintage").filter(whole).max().over(_WHEN))
        .otherwise(pl.col("vintage") == pl.col("vintage").max().over([*_WHEN, "country_code"]))
    )
    reason = (
        pl.when(covered & ~whole)
        .then(pl.lit("a whole month of all countries holds it"))
        .when(~newest)
        .then(pl.lit("a newer vintage holds the month"))
    )
    return split_dropped(rows.with_columns(drop_reason=reason), TABLE)


def _partners(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    group = pl.col("country_code").str.contains(GROUP)
    groups = rows.filter(group).with_columns(reason=pl.lit("a group of countries, no partner"))
    named = with_mapping(rows.filter(~group), "census_countries.csv", ["country_code"], "Census country code")
    kept, dropped = split_dropped(named, TABLE)
    return kept, pl.concat([count_dropped(groups, TABLE), dropped])


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Build the table: USD of the month, kilograms where the printed unit is a mass.

    ``value_usd`` is general imports (M) or exports (X); partner ``WLD`` is the publisher's own total
    of all countries. Codes of one country are added up, ``evidence`` is then ``derived``. The
    interface prints 0 for a quantity that is not known, so a quantity of 0 beside a value is null.

    Raises:
        UnmappedValue: a country code or unit that ``census_countries.csv`` or ``census_units.csv`` lacks.
    """
    rows, superseded = _newest(frames[INPUT])
    rows, no_partner = _partners(rows)
    rows = with_mapping(rows, "census_units.csv", ["unit"], "unit of quantity")
    known = (pl.col("quantity") != 0) | (pl.col("value_usd") == 0)
    kilograms = pl.when(known).then(pl.col("quantity") * pl.col("kg").cast(pl.Float64))
    table = (
        rows.with_columns(kilograms=kilograms)
        .group_by(_KEY)
        .agg(
            pl.col("scope", "source", "vintage").first(),
            value_usd=pl.col("value_usd").sum(),
            quantity_kg=pl.when(pl.col("kilograms").is_not_null().all()).then(pl.col("kilograms").sum()),
            unit_printed=pl.col("unit").drop_nulls().unique().sort().str.join(";").replace("", None),
            evidence=pl.when(pl.len() == 1).then(pl.lit("reported")).otherwise(pl.lit("derived")),
        )
        .rename({"iso3": "partner"})
    )
    return conform(table, TABLE), pl.concat([superseded, no_partner])


TRANSFORM = Transform(
    table=TABLE,
    inputs=(INPUT,),
    build=build,
    description=(
        "Trade of the USA by month, ten-digit line and partner in US dollars and kilograms, as the Census Bureau "
        "reports it; WLD is its total of all countries."
    ),
)
