"""Alert rules of the monthly monitor: what each kind of rule compares.

What belongs here: one function per kind of rule and the windows they look back on. What does not:
levels, windows and least sizes (``reference/monitor_rules.csv``).

A window that is not covered by months the vintages hold raises no alert: a month nobody pulled is
not a month without trade.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import polars as pl

from ingest.errors import OretraceError
from ingest.mapping import reference
from ingest.transforms.monitor_lines import SERIES

FILE = "monitor_rules.csv"
ROW = [*SERIES, "material", "t"]


@dataclass(frozen=True)
class Rule:
    """One row of ``monitor_rules.csv``.

    Attributes:
        alert: slug shown in the monitor.
        rule: kind, a key of ``KINDS``.
        flow: M or X, the direction it watches.
        threshold: a share (0..1) or a ratio.
        window: months of the window looked back on.
        recent: newest months compared with that window; 0 where the window itself is measured.
        minimum_usd: least value of the partner's trade that is judged (USD; see each kind).
        minimum_months: least number of months with trade in the window.
    """

    alert: str
    rule: str
    flow: str
    threshold: float
    window: int
    recent: int
    minimum_usd: float
    minimum_months: int


@dataclass(frozen=True)
class Months:
    """What rules look at.

    Attributes:
        series: ``flow, line, partner, t, value_usd, quantity_kg, weighed_usd``, sorted, a row for
            each month with trade and for each month without in the year after one.
        pulled: ``flow, partner, t``, the months that the vintages hold, sorted.
    """

    series: pl.DataFrame
    pulled: pl.DataFrame


@cache
def rules() -> tuple[Rule, ...]:
    """Return the rules of ``monitor_rules.csv``.

    Raises:
        OretraceError: a kind that is not known, a number that is none, or an alert named twice.
    """
    found = []
    for row in reference(FILE).iter_rows(named=True):
        try:
            rule = Rule(
                row["alert"],
                row["rule"],
                row["flow"],
                float(row["threshold"]),
                int(row["window_months"]),
                int(row["recent_months"]),
                float(row["minimum_usd"]),
                int(row["minimum_months"]),
            )
        except (TypeError, ValueError):
            raise OretraceError(f"ingest/reference/{FILE}: a number is missing or none, in {row}.") from None
        if rule.rule not in KINDS or rule.flow not in ("M", "X") or rule.window < 1 or rule.threshold <= 0:
            raise OretraceError(
                f"ingest/reference/{FILE}: {rule.alert} needs a rule of {', '.join(KINDS)}, a flow M or X, a window "
                f"and a threshold above 0, has {rule}."
            )
        found.append(rule)
    if len({rule.alert for rule in found}) < len(found):
        raise OretraceError(f"ingest/reference/{FILE}: an alert is named twice.")
    return tuple(found)


def look_back(months: Months, first: int, last: int) -> pl.DataFrame:
    """Sum each row's months from ``first`` to ``last`` before it (0 is the row's own month).

    Returns:
        ``flow, line, partner, t`` with ``usd``, ``kg`` and ``weighed_usd`` (of months that are
        weighed), ``traded`` (months with trade), ``unweighed`` (those of them without a weight),
        ``available`` (months the vintages hold).
    """
    period, offset = f"{last - first + 1}i", f"-{last + 1}i"
    sums = months.series.rolling("t", period=period, offset=offset, group_by=SERIES).agg(
        usd=pl.col("value_usd").sum(),
        kg=pl.when(pl.col("quantity_kg").is_not_null().any()).then(pl.col("quantity_kg").sum()),
        weighed_usd=pl.when(pl.col("weighed_usd").is_not_null().any()).then(pl.col("weighed_usd").sum()),
        traded=(pl.col("value_usd") > 0).sum().cast(pl.Int32),
        unweighed=((pl.col("value_usd") > 0) & pl.col("quantity_kg").is_null()).sum().cast(pl.Int32),
    )
    held = months.pulled.rolling("t", period=period, offset=offset, group_by=["flow", "partner"]).agg(
        available=pl.len().cast(pl.Int32)
    )
    return sums.join(held, on=["flow", "partner", "t"], how="left", validate="m:1")


def with_shares(sums: pl.DataFrame) -> pl.DataFrame:
    """Add ``total`` (USD of all countries over the same months, null where not all are held) and ``share``."""
    world = pl.col("partner") == "WLD"
    total = sums.filter(world).select("flow", "line", "t", total="usd", held="available")
    out = sums.join(total, on=["flow", "line", "t"], how="left", validate="m:1")
    whole = pl.col("held") == pl.col("available")
    out = out.with_columns(total=pl.when(whole).then("total")).drop("held")
    return out.with_columns(share=pl.when(~world & (pl.col("total") > 0)).then(pl.col("usd") / pl.col("total")))


def _said(rows: pl.DataFrame, rule: Rule, text: pl.Expr) -> pl.DataFrame:
    return rows.select(*SERIES, "t", alert=pl.lit(rule.alert), reason=text)


def _percent(share: pl.Expr) -> pl.Expr:
    return (100 * share).round(1).cast(pl.String) + pl.lit(" percent")


def share_above(rule: Rule, months: Months) -> pl.DataFrame:
    """Share of a line over the window that ends with the month; minimum: the line's value over it."""
    sums = with_shares(look_back(months, 0, rule.window - 1))
    hit = sums.filter(
        (pl.col("flow") == rule.flow)
        & (pl.col("available") == rule.window)
        & (pl.col("share") > rule.threshold)
        & (pl.col("total") >= rule.minimum_usd)
        & (pl.col("traded") >= rule.minimum_months)
    )
    return _said(hit, rule, _percent(pl.col("share")) + pl.lit(f" of the line's value over {rule.window} months"))


def gone(rule: Rule, months: Months) -> pl.DataFrame:
    """No trade in the recent months after a share of the window before; minimum: the line's value over the window."""
    now = look_back(months, 0, rule.recent - 1).select(*SERIES, "t", now="usd", now_held="available")
    before = with_shares(look_back(months, rule.recent, rule.recent + rule.window - 1))
    hit = before.join(now, on=[*SERIES, "t"]).filter(
        (pl.col("flow") == rule.flow)
        & (pl.col("now") == 0)
        & (pl.col("now_held") == rule.recent)
        & (pl.col("available") == rule.window)
        & (pl.col("share") >= rule.threshold)
        & (pl.col("total") >= rule.minimum_usd)
        & (pl.col("traded") >= rule.minimum_months)
    )
    said = _percent(pl.col("share")) + pl.lit(f" of the line in the {rule.window} months before, none now")
    return _said(hit, rule, said)


def price_ratio(rule: Rule, months: Months) -> pl.DataFrame:
    """Unit value of the recent months over that of the window before, above (or, below 1, under) the threshold.

    Minimum: value of the recent months, and of a month of the window on average.
    """
    now = look_back(months, 0, rule.recent - 1).select(
        *SERIES, "t", now=pl.col("weighed_usd") / pl.col("kg"), now_usd="weighed_usd", now_held="available"
    )
    rows = look_back(months, rule.recent, rule.recent + rule.window - 1).join(now, on=[*SERIES, "t"])
    ratio = pl.col("now") / (pl.col("weighed_usd") / pl.col("kg"))
    rows = rows.with_columns(ratio=pl.when((pl.col("kg") > 0) & pl.col("now").is_finite()).then(ratio))
    beyond = pl.col("ratio") > rule.threshold if rule.threshold > 1 else pl.col("ratio") < rule.threshold
    hit = rows.filter(
        (pl.col("flow") == rule.flow)
        & beyond
        & (pl.col("now_held") == rule.recent)
        & (pl.col("available") == rule.window)
        & (pl.col("now_usd") >= rule.minimum_usd * rule.recent)
        & (pl.col("weighed_usd") >= rule.minimum_usd * rule.window)
        & (pl.col("traded") >= rule.minimum_months)
    )
    said = pl.lit("unit value ") + pl.col("ratio").round(2).cast(pl.String)
    return _said(hit, rule, said + pl.lit(f" times that of the {rule.window} months before"))


def _controls(rule: Rule, restriction: pl.DataFrame) -> pl.DataFrame:
    """Give each control the month ``t`` in which its first full ``recent`` months are over.

    ``skipped`` is 1 where it took effect within a month, which then counts neither as before nor as after.
    """
    first_full = pl.col("effective").dt.offset_by("-1d").dt.month_end().dt.offset_by("1d")
    controls = restriction.filter(pl.col("effective").is_not_null()).select(
        "material",
        "authority_no",
        "effective",
        "suspended",
        partner="imposer",
        at_stage="stage",
        t=first_full.dt.year() * 12 + first_full.dt.month() - 2 + rule.recent,
        skipped=(pl.col("effective").dt.day() > 1).cast(pl.Int32),
        over=first_full.dt.offset_by(f"{rule.recent}mo"),
    )
    return controls.filter(pl.col("suspended").is_null() | (pl.col("suspended") >= pl.col("over")))


def of_controls(rule: Rule, months: Months, held: pl.DataFrame, restriction: pl.DataFrame) -> pl.DataFrame:
    """Trade with the imposer of a control fell after it took effect.

    The recent months are the first full ones of the control, the window ends with the month before
    it. A control suspended before those months are over is left out. The fall is that of the monthly
    mean of value or of quantity. Minimum: value of the window. That a fall follows a control does
    not prove that the control caused it.

    Args:
        rule: threshold is the ratio of the two monthly means.
        months: as for the other kinds.
        held: ``flow, line, partner, year, material, stage``.
        restriction: canonical ``restriction``; no stage means every stage.

    Returns:
        ``flow, line, partner, material, t, alert, reason``, in the last of the recent months.
    """
    controls = _controls(rule, restriction)
    rows = held.filter(pl.col("flow") == rule.flow).join(controls, on=["material", "partner", "t"], how="inner")
    rows = rows.filter(pl.col("at_stage").is_null() | (pl.col("at_stage") == pl.col("stage")))
    if rows.is_empty():
        return pl.DataFrame(schema={**dict.fromkeys([*SERIES, "material"], pl.String), "t": pl.Int32, **_TEXTS})
    chosen = months.series.join(rows.select(SERIES).unique(), on=SERIES, how="semi")
    near = Months(chosen, months.pulled)
    now = look_back(near, 0, rule.recent - 1).select(
        *SERIES, "t", now="usd", now_kg="kg", now_unweighed="unweighed", now_held="available"
    )
    before = pl.concat(
        look_back(near, rule.recent + skipped, rule.recent + skipped + rule.window - 1).with_columns(
            skipped=pl.lit(skipped, pl.Int32)
        )
        for skipped in (0, 1)
    )
    scale = rule.window / rule.recent
    both = rows.join(before, on=[*SERIES, "t", "skipped"]).join(now, on=[*SERIES, "t"])
    # A month with trade but without a weight leaves the quantity unknown.
    weighed = (pl.col("unweighed") == 0) & (pl.col("now_unweighed") == 0)
    both = both.with_columns(
        value=pl.col("now") / pl.col("usd") * scale,
        quantity=pl.when(weighed).then(pl.col("now_kg") / pl.col("kg") * scale),
    ).with_columns(fell=pl.min_horizontal("value", "quantity"))
    hit = both.filter(
        (pl.col("fell") < rule.threshold)
        & (pl.col("now_held") == rule.recent)
        & (pl.col("available") == rule.window)
        & (pl.col("usd") >= rule.minimum_usd)
        & (pl.col("traded") >= rule.minimum_months)
    )
    said = _percent(pl.col("fell")) + pl.lit(f" of the monthly mean before, in {rule.recent} months after ")
    said = said + pl.col("authority_no") + pl.lit(" of ") + pl.col("effective").cast(pl.String)
    return hit.select(*SERIES, "material", "t", alert=pl.lit(rule.alert), reason=said)


_TEXTS: dict[str, pl.DataType] = {"alert": pl.String(), "reason": pl.String()}
# Kinds that look at a line alone; those on controls also need what the line holds.
_OF_LINES: dict[str, Callable[[Rule, Months], pl.DataFrame]] = {
    "share_above": share_above,
    "gone": gone,
    "price_ratio": price_ratio,
}
KINDS = (*_OF_LINES, "drop_after_control")


def alerts(months: Months, held: pl.DataFrame, restriction: pl.DataFrame) -> pl.DataFrame:
    """Apply every rule.

    Args:
        months: series and months held.
        held: ``flow, line, partner, t, material, stage`` of the monitor's rows.
        restriction: canonical ``restriction``.

    Returns:
        ``flow, line, partner, material, t`` with ``alerts`` (slugs in the order of the file, joined
        by ``;``) and ``alert_reason``; only rows with an alert.
    """
    found = []
    keys = held.select(ROW)
    for rule in rules():
        if rule.rule in _OF_LINES:
            hits = _OF_LINES[rule.rule](rule, months).join(keys, on=[*SERIES, "t"])
        else:
            hits = of_controls(rule, months, held, restriction)
        found.append(hits.select(*ROW, "alert", "reason"))
    return (
        pl.concat(found, how="vertical_relaxed")
        .group_by(ROW, maintain_order=True)
        .agg(
            alerts=pl.col("alert").unique(maintain_order=True).str.join(";"),
            alert_reason=pl.col("reason").str.join("; "),
        )
    )
