"""Canonical ``import_monitor``: product lines of US trade by month and partner, beside the year before.

What belongs here: which months a series has, shares, changes and unit values. What does not: which
code a line is (``monitor_lines.py``), when an alert is raised (``monitor_alerts.py`` and
``reference/monitor_rules.csv``).

A month without a row in a month that the vintages hold is a month without trade and counts as zero;
a month they do not hold is unknown, and every figure that needs it is null.
"""

from __future__ import annotations

import polars as pl

from ingest.schemas import conform
from ingest.transforms.base import Frames, Transform, count_dropped
from ingest.transforms.monitor_alerts import Months, alerts, look_back, with_shares
from ingest.transforms.monitor_lines import REPORTER, SERIES, by_line, held
from ingest.transforms.trade_month import WHOLE

TABLE = "import_monitor"
YEAR = 12
_SELECTED = "selected partners only: the vintages hold no total to divide by"
_NO_TRADE = "the line has no trade in this month"
_PROVENANCE = ["scope", "source", "vintage"]


def _pulled(trade: pl.DataFrame) -> pl.DataFrame:
    """List the months held by flow and partner: all partners of a whole month, else the partners listed."""
    months = trade.select("flow", "partner", *_PROVENANCE, t=pl.col("year") * 12 + pl.col("month") - 1).unique(
        ["flow", "partner", "t"], maintain_order=True
    )
    whole = months.filter(pl.col("scope") == WHOLE).select("flow", "t", *_PROVENANCE).unique(["flow", "t"])
    everyone = trade.select("flow", "partner").unique().join(whole, on="flow")
    selected = months.filter(pl.col("scope") != WHOLE)
    return pl.concat([everyone.select(selected.columns), selected]).sort("flow", "partner", "t")


def _months(lines: pl.DataFrame, pulled: pl.DataFrame) -> pl.DataFrame:
    """Give each series its months with trade, and those without in the year after one, as zero."""
    spans = (
        lines.filter(pl.col("value_usd") > 0)
        .select(*SERIES, t=pl.int_ranges(pl.col("t"), pl.col("t") + YEAR + 1))
        .explode("t")
        .unique()
        .with_columns(pl.col("t").cast(pl.Int32))
    )
    rows = spans.join(pulled, on=["flow", "partner", "t"], how="inner").join(
        lines, on=[*SERIES, "t"], how="left", validate="1:1"
    )
    return rows.with_columns(
        pl.col("value_usd").fill_null(0.0),
        # Nothing traded weighs nothing; only a value without a weight leaves the weight open.
        quantity_kg=pl.when(pl.col("value_usd").fill_null(0.0) == 0).then(0.0).otherwise("quantity_kg"),
        evidence=pl.col("evidence").fill_null("derived"),
    ).sort(*SERIES, "t")


def _with_shares(rows: pl.DataFrame, months: Months) -> pl.DataFrame:
    """Add the partner's part of all countries, by value and quantity, of the month and of the year to it."""
    world = pl.col("partner") == "WLD"
    total = rows.filter(world).select("flow", "line", "t", total="value_usd", total_kg="quantity_kg")
    year = with_shares(look_back(months, 0, YEAR - 1)).select(
        *SERIES, "t", partner_share_12m=pl.when(pl.col("available") == YEAR).then("share")
    )
    out = rows.join(total, on=["flow", "line", "t"], how="left").join(year, on=[*SERIES, "t"], how="left")
    whole = pl.col("scope") == WHOLE
    traded = pl.col("total") > 0
    largest = pl.col("value_usd").filter(~world).max().over("flow", "line", "t")
    same_unit = pl.col("total_kg") > 0
    return out.with_columns(
        partner_share=pl.when(~world & whole & traded).then(pl.col("value_usd") / pl.col("total")),
        share_by_quantity=pl.when(~world & whole & traded & same_unit).then(pl.col("quantity_kg") / pl.col("total_kg")),
        share_reason=pl.when(world)
        .then(pl.lit(None, pl.String))
        .when(~whole)
        .then(pl.lit(_SELECTED))
        .when(~traded.fill_null(False))
        .then(pl.lit(_NO_TRADE)),
        is_lead_partner=pl.when(~world & whole & traded).then(pl.col("value_usd") == largest),
    )


def _with_changes(rows: pl.DataFrame, months: Months) -> pl.DataFrame:
    """Add the change on the same month a year before and on the mean of the twelve months before."""
    ago = look_back(months, YEAR, YEAR).select(*SERIES, "t", ago="usd", ago_held="available")
    before = look_back(months, 1, YEAR).with_columns(pl.col("available").fill_null(0))
    complete = pl.col("available") == YEAR
    before = before.select(
        *SERIES,
        "t",
        months_available="available",
        months_traded="traded",
        mean_12m_usd=pl.when(complete).then(pl.col("usd") / YEAR),
        unit_value_12m_usd_kg=pl.when(complete & (pl.col("kg") > 0)).then(pl.col("weighed_usd") / pl.col("kg")),
    )
    out = rows.join(ago, on=[*SERIES, "t"], how="left").join(before, on=[*SERIES, "t"], how="left")
    return out.with_columns(
        unit_value_usd_kg=pl.when(pl.col("quantity_kg") > 0).then(pl.col("weighed_usd") / pl.col("quantity_kg")),
        change_on_year=pl.when((pl.col("ago_held") == 1) & (pl.col("ago") > 0)).then(
            pl.col("value_usd") / pl.col("ago") - 1
        ),
        change_on_12m_mean=pl.when(pl.col("mean_12m_usd") > 0).then(pl.col("value_usd") / pl.col("mean_12m_usd") - 1),
    )


def monitor(trade: pl.DataFrame, restriction: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Compute the monitor.

    Args:
        trade: canonical ``trade_month``.
        restriction: canonical ``restriction``.

    Returns:
        Canonical ``import_monitor`` (USD, kilograms, shares 0..1, relative changes) and the rows
        that no material is mapped to, counted.

    Raises:
        OretraceError: ``monitor_rules.csv`` has a row that cannot be applied.
    """
    pulled = _pulled(trade)
    series = _months(by_line(trade), pulled)
    months = Months(series, pulled)
    year = pl.col("t") // 12
    rows = _with_changes(_with_shares(series, months), months).with_columns(year=year)
    keys = [*SERIES, "year"]
    holds, lost = held(rows.select(keys).unique(maintain_order=True))
    dropped = rows.join(lost, on=keys, how="inner")
    rows = rows.join(holds, on=keys, how="inner")
    raised = alerts(months, rows.select(*SERIES, "t", "material", "stage"), restriction)
    table = rows.join(raised, on=[*SERIES, "material", "t"], how="left", validate="1:1").with_columns(
        reporter=pl.lit(REPORTER),
        month=pl.col("t") % 12 + 1,
    )
    period = pl.format("{}-{}", "year", pl.col("month").cast(pl.String).str.zfill(2))
    extra = ("t", "weighed_usd", "total", "total_kg", "ago", "ago_held")
    return conform(table.with_columns(period=period).drop(extra), TABLE), count_dropped(dropped, TABLE)


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Build the table from the months and the controls of this run."""
    return monitor(frames["trade_month"], frames["restriction"])


TRANSFORM = Transform(
    table=TABLE,
    inputs=("trade_month", "restriction"),
    build=build,
    description=(
        "US imports and exports of mapped product lines by month and partner: value, kilograms, unit value, share, "
        "change on the year and on the twelve-month mean, and the alerts of monitor_rules.csv."
    ),
)
