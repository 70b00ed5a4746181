"""Pictures for the Dagster UI: pure functions from a frame to the text of an SVG.

What belongs here: how a picture looks. What does not: which rows are shown (``assets.pictures``) and where. Colours are
those of Okabe and Ito, which people see apart who do not see all colours. Altair and the converter take a second to
load, so nothing here loads them before something is drawn. SVG, because the same picture as PNG is five times as large
and would be kept with every run.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import altair as alt

BLUE, ORANGE, GREEN, SKY, VERMILION, GREY, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#999999", "#000000",
)  # fmt: skip
EVIDENCE = {"reported": BLUE, "estimated": SKY, "derived": GREEN, "assumed": ORANGE, "missing": "#E5E5E5"}
SHARES = {"face value": ORANGE, "processed in": BLUE}
FONT = 11


def coverage(cells: pl.DataFrame, *, title: str, subtitle: list[str]) -> str:
    """Draw material by stage, coloured by evidence; a dot marks what is traced.

    Args:
        cells: ``material``, ``stage``, ``position`` (of the stage), ``status``, ``traced``.
        title: what is shown, with year.
        subtitle: how to read it, and the sources.
    """
    import altair as alt

    stages = cells.unique("stage").sort("position")["stage"].to_list()
    base = alt.Chart(cells).encode(
        x=alt.X("stage:N", sort=stages, title=None, axis=alt.Axis(orient="top", labelAngle=0)),
        y=alt.Y("material:N", title=None),
    )
    squares = base.mark_rect(stroke="white").encode(
        color=alt.Color(
            "status:N",
            scale=alt.Scale(domain=list(EVIDENCE), range=list(EVIDENCE.values())),
            legend=alt.Legend(title="output by country is"),
        )
    )
    dots = base.transform_filter("datum.traced").mark_point(color=BLACK, fill=BLACK, size=12)
    return _svg(alt.layer(squares, dots).properties(width=70 * len(stages), height=alt.Step(13)), title, subtitle)


def dumbbell(rows: pl.DataFrame, *, title: str, subtitle: list[str]) -> str:
    """Draw a face-value share and a traced share of each row, and the interval of the traced one.

    Args:
        rows: ``label``, ``face_value``, ``traced``, ``traced_low``, ``traced_high`` in percent, in the order shown.
        title: what is shown, with unit and year.
        subtitle: how to read it, and the sources.
    """
    import altair as alt

    order = rows["label"].to_list()
    ends = rows.select("label", pl.col("face_value").alias("face value"), pl.col("traced").alias("processed in"))
    long = ends.unpivot(index="label", variable_name="share", value_name="percent").drop_nulls()
    y = alt.Y("label:N", sort=order, title=None)
    x = alt.X("percent:Q", title="% of supply", scale=alt.Scale(domain=[0, 100]))
    between = alt.Chart(rows).mark_rule(color=GREY, strokeWidth=2).encode(y=y, x="face_value:Q", x2="traced:Q")
    interval = (
        alt.Chart(rows).mark_bar(color=SKY, opacity=0.45, height=7).encode(y=y, x="traced_low:Q", x2="traced_high:Q")
    )
    points = (
        alt.Chart(long).mark_point(filled=True, size=60, opacity=1).encode(y=y, x=x, color=_shares(), shape=_shape())
    )
    return _svg(alt.layer(interval, between, points).properties(width=420, height=alt.Step(18)), title, subtitle)


def intervals(rows: pl.DataFrame, *, title: str, subtitle: list[str]) -> str:
    """Draw a traced share with its interval for each importer, stage beside stage.

    Args:
        rows: ``importer``, ``stage``, ``face_value``, ``traced``, ``traced_low``, ``traced_high`` in percent.
        title: what is shown, with unit and year.
        subtitle: how to read it, and the sources.
    """
    import altair as alt

    columns: list[Any] = []
    importers = rows["importer"].unique().sort().to_list()
    for stage in rows["stage"].unique(maintain_order=True):
        part = rows.filter(stage=stage)
        y = alt.Y("importer:N", title=None, scale=alt.Scale(domain=importers), axis=alt.Axis(labels=not columns))
        x = alt.X("percent:Q", title=stage, scale=alt.Scale(domain=[0, 100]))
        ends = part.select("importer", pl.col("face_value").alias("face value"), pl.col("traced").alias("processed in"))
        long = ends.unpivot(index="importer", variable_name="share", value_name="percent").drop_nulls()
        bar = (
            alt.Chart(part)
            .mark_bar(color=SKY, opacity=0.45, height=7)
            .encode(y=y, x="traced_low:Q", x2="traced_high:Q")
        )
        points = (
            alt.Chart(long)
            .mark_point(filled=True, size=50, opacity=1)
            .encode(y=y, x=x, color=_shares(), shape=_shape())
        )
        columns.append(alt.layer(bar, points).properties(width=170, height=18 * len(importers)))
    return _svg(alt.hconcat(*columns, spacing=12), title, subtitle)


def criticality(
    scores: pl.DataFrame, *, risk_limit: float, importance_limit: float, title: str, subtitle: list[str]
) -> str:
    """Draw supply risk against economic importance, with the limits above which a material is critical.

    Args:
        scores: ``material``, ``shares`` (how the supply is seen), ``importance``, ``risk``.
        risk_limit: supply risk from which a material may be critical.
        importance_limit: economic importance from which it may be.
        title: what is shown, with year.
        subtitle: how to read it, and the sources.
    """
    import altair as alt

    x = alt.X("importance:Q", title="economic importance (score)", scale=alt.Scale(domain=[0, 10]))
    y = alt.Y("risk:Q", title="supply risk (score)")
    kinds = scores["shares"].unique(maintain_order=True).to_list()
    points = (
        alt.Chart(scores)
        .mark_point(filled=True, size=45, opacity=0.9)
        .encode(
            x=x,
            y=y,
            color=alt.Color("shares:N", scale=alt.Scale(domain=kinds, range=[GREY, ORANGE, BLUE]), title="shares"),
            shape=alt.Shape("shares:N", scale=alt.Scale(domain=kinds), title="shares"),
        )
    )
    critical = scores.filter((pl.col("risk") >= risk_limit) & (pl.col("importance") >= importance_limit))
    named = _named(critical)
    names = alt.Chart(named).mark_text(align="left", dx=6, fontSize=9).encode(x=x, y=y, text="material:N")
    limits = pl.DataFrame({"risk": [risk_limit], "importance": [importance_limit]})
    rules = [
        alt.Chart(limits).mark_rule(strokeDash=[4, 3], color=VERMILION).encode(y="risk:Q"),
        alt.Chart(limits).mark_rule(strokeDash=[4, 3], color=VERMILION).encode(x="importance:Q"),
    ]
    return _svg(alt.layer(*rules, points, names).properties(width=560, height=420), title, subtitle)


def _named(points: pl.DataFrame) -> pl.DataFrame:
    """Return one point of each material to write its name at, those with room for it; the last kind of shares first."""
    kinds = {kind: place for place, kind in enumerate(points["shares"].unique(maintain_order=True))}
    order = points.sort(pl.col("shares").replace_strict(kinds, return_dtype=pl.Int64), "risk", descending=True)
    placed: list[dict[str, Any]] = []
    for point in order.unique("material", keep="first", maintain_order=True).iter_rows(named=True):
        width = 0.09 * max(len(point["material"]), 8)
        if all(
            abs(point["risk"] - other["risk"]) > 0.12 or abs(point["importance"] - other["importance"]) > width
            for other in placed
        ):
            placed.append(point)
    return pl.DataFrame(placed, schema=points.schema)


def _shares() -> alt.Color:
    import altair as alt

    scale = alt.Scale(domain=list(SHARES), range=list(SHARES.values()))
    return alt.Color("share:N", scale=scale, legend=alt.Legend(title=None, orient="top"))


def _shape() -> alt.Shape:
    """Tell the two shares apart without colour, too."""
    import altair as alt

    return alt.Shape("share:N", scale=alt.Scale(domain=list(SHARES), range=["diamond", "circle"]))


def _svg(chart: Any, title: str, subtitle: list[str]) -> str:
    """Render a chart; no request leaves the machine."""
    import altair as alt

    titled = chart.properties(
        title=alt.TitleParams(
            title,
            subtitle=subtitle,
            anchor="start",
            fontSize=14,
            subtitleFontSize=FONT,
            subtitleColor="#444444",
            offset=10,
        ),
        background="white",
        # Widths are reckoned for one font; a browser may take a wider one.
        padding={"left": 45, "right": 45, "top": 12, "bottom": 12},
    ).configure_axis(labelFontSize=FONT, titleFontSize=FONT, labelLimit=320)
    held = io.StringIO()
    titled.save(held, format="svg")
    return held.getvalue()
