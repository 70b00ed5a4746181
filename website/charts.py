"""One chart specification per kind of chart; pages bring the rows.

What belongs here: Vega-Lite made with Altair, without data and colours (``static/app.js`` adds both, so that charts
follow the theme). What does not: rows. The two kinds that Vega-Lite cannot say (flows, labels that give way) are Vega
in ``static/*.vg.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import altair as alt

# Altair types what layer() and mark methods return too widely to be of help.
Chart = Any
STATIC = Path(__file__).resolve().parent / "static"
ROWS = alt.NamedData("rows")
SHARE = alt.Scale(domain=[0, 100])
# Two lines per row: what it is, and the figures in words.
_TWO_LINES = alt.Axis(
    title=None, labelExpr="split(datum.label, '|')", labelLimit=0, labelPadding=10, ticks=False, domain=False
)


def specifications() -> dict[str, Any]:
    """Return the specification of every kind of chart by name."""
    alt.data_transformers.disable_max_rows()
    made = {
        "arrow": _arrow(), "chain": _chain(), "trend": _trend(), "hhi": _hhi(), "timeline": _timeline(),
        "bars": _bars(), "days": _days(),
    }  # fmt: skip
    specs = {kind: chart.to_dict() for kind, chart in made.items()}
    for spec in specs.values():
        # Altair's own colours and sizes would win over the page's.
        spec.pop("config", None)
        spec["width"] = "container"
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    for path in sorted(STATIC.glob("*.vg.json")):
        specs[path.name.removesuffix(".vg.json")] = json.loads(path.read_text())
    return specs


def _step(chart: Chart, pixels: int) -> Chart:
    return chart.properties(height=alt.Step(pixels))


def _arrow() -> Chart:
    """Face value (circle) to traced (arrow head) with the bounds of the traced share, a line per row."""
    base = alt.Chart(ROWS).encode(y=alt.Y("label:N", sort=None, axis=_TWO_LINES))
    tips = [
        alt.Tooltip("country:N", title="Through"),
        alt.Tooltip("face:Q", title="Face value, %", format=".1f"),
        alt.Tooltip("traced:Q", title="Processed in, %", format=".1f"),
        alt.Tooltip("low:Q", title="Lower bound, %", format=".1f"),
        alt.Tooltip("high:Q", title="Upper bound, %", format=".1f"),
        alt.Tooltip("year:O", title="Year"),
        alt.Tooltip("evidence:N", title="Evidence"),
    ]
    axis = alt.Axis(title="Share of supply, %", tickCount=5, grid=True)
    bounds = base.mark_bar(height=9, opacity=0.3, cornerRadius=4).encode(
        x=alt.X("low:Q", scale=SHARE, axis=axis), x2="high:Q", color=alt.value("@accent"), tooltip=tips
    )
    line = base.mark_rule(strokeWidth=2).encode(x="face:Q", x2="traced:Q", color=alt.value("@accent"), tooltip=tips)
    start = base.mark_point(filled=False, size=70, strokeWidth=2).encode(
        x="face:Q", color=alt.value("@ink"), tooltip=tips
    )
    head = base.mark_point(filled=True, size=130, opacity=1).encode(
        x="traced:Q",
        color=alt.value("@accent"),
        shape=alt.condition("datum.traced >= datum.face", alt.value("triangle-right"), alt.value("triangle-left")),
        tooltip=tips,
    )
    return _step(alt.layer(bounds, line, start, head), 40)


def _chain() -> Chart:
    """World output by country, one bar per stage."""
    base = alt.Chart(ROWS).encode(y=alt.Y("label:N", sort=None, axis=_TWO_LINES))
    bars = base.mark_bar(height=24, stroke="@paper", strokeWidth=1).encode(
        x=alt.X("from:Q", scale=SHARE, axis=alt.Axis(title="Share of world output, %", tickCount=5)),
        x2="to:Q",
        color=alt.Color("country:N", sort=None, legend=alt.Legend(title=None, orient="top", symbolType="square")),
        tooltip=[
            alt.Tooltip("country:N", title="Country"),
            alt.Tooltip("share:Q", title="Share, %", format=".1f"),
            alt.Tooltip("year:O", title="Year"),
            alt.Tooltip("evidence:N", title="Evidence"),
        ],
    )
    codes = (
        base.transform_filter("datum.share * width > 3600")
        .transform_calculate(middle="(datum.from + datum.to) / 2")
        .mark_text(fontSize=11, fontWeight=600)
        .encode(x="middle:Q", text="code:N", color=alt.value("#111"))
    )
    return _step(alt.layer(bars, codes), 40)


def _trend() -> Chart:
    """Shares of imports by supplier over years; a gap where a year is unknown."""
    return (
        alt.Chart(ROWS)
        .mark_line(point=alt.OverlayMarkDef(size=28, filled=True), strokeWidth=2, invalid="break-paths-show-domains")
        .encode(
            x=alt.X("year:Q", axis=alt.Axis(title=None, format="d", tickMinStep=1), scale=alt.Scale(zero=False)),
            y=alt.Y("share:Q", scale=SHARE, axis=alt.Axis(title="Share of imports, %", tickCount=5)),
            color=alt.Color("country:N", sort=None, legend=alt.Legend(title=None, orient="top")),
            shape=alt.Shape("country:N", sort=None, legend=alt.Legend(title=None, orient="top")),
            tooltip=[
                alt.Tooltip("country:N", title="Supplier"),
                alt.Tooltip("year:O", title="Year"),
                alt.Tooltip("share:Q", title="Share of imports, %", format=".1f"),
            ],
        )
        .properties(height=220)
    )


def _hhi() -> Chart:
    """Concentration of imports over years: between the bounds that a cut-off list leaves."""
    base = alt.Chart(ROWS).encode(
        x=alt.X("year:Q", axis=alt.Axis(title=None, format="d", tickMinStep=1), scale=alt.Scale(zero=False)),
        tooltip=[
            alt.Tooltip("year:O", title="Year"),
            alt.Tooltip("low:Q", title="HHI, lower", format=",.0f"),
            alt.Tooltip("high:Q", title="HHI, upper", format=",.0f"),
        ],
    )
    y = alt.Y("high:Q", scale=alt.Scale(domain=[0, 10000]), axis=alt.Axis(title="HHI, 0 to 10,000", tickCount=5))
    band = base.mark_area(opacity=0.3).encode(y=y, y2="low:Q", color=alt.value("@accent"))
    line = base.mark_line(point=alt.OverlayMarkDef(size=28), strokeWidth=2).encode(y=y, color=alt.value("@accent"))
    return alt.layer(band, line).properties(height=180)


def _timeline() -> Chart:
    """Controls: a bar while in force, a pale one while suspended, a dot on the day of the announcement."""
    base = alt.Chart(ROWS).encode(y=alt.Y("label:N", sort=None, axis=_TWO_LINES))
    tips = [alt.Tooltip("title:N", title="Measure"), alt.Tooltip("status:N", title="Status"),
            alt.Tooltip("start:T", title="From", format="%Y-%m-%d")]  # fmt: skip
    when = alt.X(
        "start:T", scale=alt.Scale(padding=8), axis=alt.Axis(title=None, format="%Y", tickCount=5, labelBound=True)
    )
    bar = base.transform_filter("isValid(datum.end)").mark_bar(height=12, cornerRadius=3).encode(
        x=when, x2="end:T", tooltip=tips,
        color=alt.Color("status:N", sort=None, legend=alt.Legend(title=None, orient="top", symbolType="square")),
    )  # fmt: skip
    dot = base.mark_point(filled=True, size=50, opacity=1).encode(x=when, color=alt.value("@ink"), tooltip=tips)
    return _step(alt.layer(bar, dot), 40)


def _bars() -> Chart:
    """One share per row."""
    chart = alt.Chart(ROWS).mark_bar(height=16, cornerRadiusEnd=3).encode(
        y=alt.Y("label:N", sort=None, axis=_TWO_LINES),
        x=alt.X("share:Q", scale=SHARE, axis=alt.Axis(title="Share of world output, %", tickCount=5)),
        color=alt.value("@accent"),
        tooltip=[alt.Tooltip("label:N", title="Stage"), alt.Tooltip("share:Q", title="Share, %", format=".1f"),
                 alt.Tooltip("year:O", title="Year"), alt.Tooltip("evidence:N", title="Evidence")],
    )  # fmt: skip
    return chart.properties(height=alt.Step(40))


def _days() -> Chart:
    """Days of cover: nominal (circle) against usable (bar with its bounds)."""
    base = alt.Chart(ROWS).encode(y=alt.Y("label:N", sort=None, axis=_TWO_LINES))
    tips = [alt.Tooltip("nominal:Q", title="Nominal days", format=",.0f"),
            alt.Tooltip("usable:Q", title="Usable days", format=",.0f"),
            alt.Tooltip("low:Q", title="Usable, lower", format=",.0f"),
            alt.Tooltip("high:Q", title="Usable, upper", format=",.0f"),
            alt.Tooltip("evidence:N", title="Evidence")]  # fmt: skip
    axis = alt.Axis(title="Days", tickCount=5)
    bar = base.mark_bar(height=10).encode(x=alt.X("usable:Q", axis=axis), color=alt.value("@accent"), tooltip=tips)
    bounds = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", color=alt.value("@ink"), tooltip=tips)
    nominal = base.mark_point(filled=False, size=80, strokeWidth=2).encode(
        x="nominal:Q", color=alt.value("@ink"), tooltip=tips
    )
    return _step(alt.layer(bar, bounds, nominal), 40)
