"""The criticality table: supply risk by stage on face-value and on traced shares, importance, scores.

What belongs here: putting the formulas of ``criticality`` together, one row per economy, basis, material,
stage and year, and saying why a cell is empty. What does not: the formulas, any parameter's value.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from tracing.concentration import weighted_hhi
from tracing.criticality import RISK_CEILING, quadrant, score, supply_risk, usgs_style

KEYS = ["economy", "basis", "material", "stage", "year"]
VIEWS = ("world", "face_value", "traced")
PATHS = ("face_value", "traced")
ENDS = ("", "_low", "_high")
STUDY, NETWORK = "eu_study", "network"
INPUTS = {
    "eol_recycling_input_rate": "no end-of-life recycling input rate",
    "substitution_sr": "no substitution index for supply risk",
}


def concentrations(views: pl.DataFrame) -> pl.DataFrame:
    """Weighted concentration of each view of each cell.

    Args:
        views: ``KEYS, view`` (world | face_value | traced), ``country, share, share_low, share_high``,
            ``risk`` (0..10, null unknown), ``factor``.

    Returns:
        ``KEYS`` and ``hhi_<view>`` with ``_low`` and ``_high`` (0 to 10 times the largest factor).
    """
    rows = views.with_columns(weight=pl.col("risk") * pl.col("factor"))
    largest = rows.select(pl.col("factor").max()).item()
    ceiling = RISK_CEILING * max(1.0, largest or 1.0)
    # In a network what is left over is unexplained, not small: it may belong to anybody.
    anybody = (pl.col("basis") == NETWORK) & (pl.col("view") != "world")
    parts = [
        weighted_hhi(rows.filter(~anybody), [*KEYS, "view"], ceiling=ceiling),
        weighted_hhi(rows.filter(anybody), [*KEYS, "view"], ceiling=ceiling, residual="any"),
    ]
    long = pl.concat(parts).select(*KEYS, "view", *(pl.col(f"hhi{end}").alias(f"value{end}") for end in ENDS))
    wide = long.pivot("view", index=KEYS, values=[f"value{end}" for end in ENDS])
    names = {f"value{end}_{view}": f"hhi_{view}{end}" for end in ENDS for view in VIEWS}
    absent = [pl.lit(None, pl.Float64).alias(name) for name in names if name not in wide.columns]
    return wide.with_columns(absent).rename(names).select(*KEYS, *(f"hhi_{v}{e}" for v in VIEWS for e in ENDS))


def with_supply_risk(cells: pl.DataFrame) -> pl.DataFrame:
    """Add supply risk to cells with concentrations, import reliance and inputs.

    Args:
        cells: ``KEYS``, ``hhi_*``, ``import_reliance`` and its ``_low`` and ``_high``,
            ``eol_recycling_input_rate, substitution_sr`` (null: unknown), ``supply_reason`` (null: there is a
            market).

    Returns:
        The cells with ``sr_unadjusted_<path>`` (without recycling and substitution), ``sr_<path>``, both with
        ``_low`` and ``_high``; ``sr_known_inputs`` (face value, with the inputs that are known: an upper
        bound of supply risk), ``sr_reason``, ``is_bottleneck``, ``is_bottleneck_traced``. Supply risk is null
        where an input is missing.
    """
    rows = cells.with_columns(unadjusted(path) for path in PATHS).unnest(PATHS)
    recycled, replaced = 1 - pl.col("eol_recycling_input_rate"), pl.col("substitution_sr")
    rows = rows.with_columns(
        *(
            (pl.col(f"sr_unadjusted_{path}{end}") * recycled * replaced).alias(f"sr_{path}{end}")
            for path in PATHS
            for end in ENDS
        ),
        sr_known_inputs=pl.col("sr_unadjusted_face_value") * recycled.fill_null(1.0) * replaced.fill_null(1.0),
        sr_reason=_supply_risk_reason(),
    )
    group = [name for name in KEYS if name != "stage"]
    return rows.with_columns(
        _highest("sr_unadjusted_face_value", group).alias("is_bottleneck"),
        _highest("sr_unadjusted_traced", group).alias("is_bottleneck_traced"),
    )


def unadjusted(path: str) -> pl.Expr:
    """Struct ``path`` of ``sr_unadjusted_<path>`` and its bounds; null without a market.

    Supply risk is linear in import reliance, so its bounds lie at the ends of that interval.
    """
    has = pl.col("supply_reason").is_null()
    if path == "traced":
        has &= pl.col("hhi_traced").is_not_null()
    out = []
    for end, pick in (("", None), ("_low", pl.min_horizontal), ("_high", pl.max_horizontal)):
        world, sourcing = pl.col(f"hhi_world{end}"), pl.col(f"hhi_{path}{end}")
        ends = [supply_risk(world, sourcing, pl.col(f"import_reliance{at}")) for at in ENDS]
        value = ends[0] if pick is None else pick(*ends)
        out.append(pl.when(has).then(value).alias(f"sr_unadjusted_{path}{end}"))
    return pl.struct(out).alias(path)


def _supply_risk_reason() -> pl.Expr:
    missing = [pl.when(pl.col(name).is_null()).then(pl.lit(text)) for name, text in INPUTS.items()]
    untraced = pl.when(pl.col("basis") == STUDY).then(pl.lit("the study's shares are not traced"))
    world_only = pl.when(pl.col("hhi_face_value").is_null() & (pl.col("basis") == STUDY)).then(
        pl.lit("no sourcing list: world supply alone")
    )
    no_reliance = pl.when(pl.col("import_reliance").is_null() & pl.col("hhi_face_value").is_not_null()).then(
        pl.lit("exports take all of output and imports: no import reliance")
    )
    listed = pl.concat_str([world_only, no_reliance, *missing, untraced], separator="; ", ignore_nulls=True)
    text = pl.coalesce("supply_reason", listed)
    return pl.when(text != "").then(text)


def _highest(column: str, group: list[str]) -> pl.Expr:
    """The stage with the highest figure (the first by name among equals); null where there is none."""
    place = pl.struct(-pl.col(column), "stage").rank("ordinal").over(group)
    first = place == pl.when(pl.col(column).is_not_null()).then(place).min().over(group)
    return pl.when(pl.col(column).is_not_null()).then(first)


def with_scores(cells: pl.DataFrame, parameter: Mapping[str, float]) -> pl.DataFrame:
    """Add importance with substitution, quadrants, NRC scores and the USGS-style figure.

    Args:
        cells: of ``with_supply_risk``, with ``importance, assessed_share, importance_reason``,
            ``substitution_ei``, ``disruption_potential`` (0..1), ``trade_exposure`` with bounds (0..1).
        parameter: thresholds, cut points and scales by name.

    Returns:
        The cells with ``economic_importance``, ``ei_reason``, ``quadrant``, ``nrc_*`` and ``usgs_*``.
    """
    why = pl.coalesce(
        pl.when(pl.col("importance").is_null()).then(
            pl.coalesce("importance_reason", pl.lit("no end uses with the value added of their sectors"))
        ),
        pl.when(pl.col("substitution_ei").is_null()).then(pl.lit("no substitution index for economic importance")),
        "importance_reason",
    )
    rows = cells.with_columns(
        economic_importance=pl.col("importance") * pl.col("substitution_ei"),
        economic_importance_unadjusted="importance",
        ei_reason=why,
    )
    importance = pl.col("economic_importance")
    risk_cuts, impact_cuts = (
        (parameter[f"nrc_{axis}_2"], parameter[f"nrc_{axis}_3"], parameter[f"nrc_{axis}_4"])
        for axis in ("supply_risk", "impact")
    )
    rows = rows.with_columns(
        quadrant=quadrant(pl.col("sr_face_value"), importance, parameter),
        quadrant_traced=quadrant(pl.col("sr_traced"), importance, parameter),
        nrc_supply_risk=score(pl.col("sr_face_value"), risk_cuts),
        nrc_supply_risk_traced=score(pl.col("sr_traced"), risk_cuts),
        nrc_impact=score(importance, impact_cuts),
    )
    rows = rows.with_columns(is_critical=pl.col("quadrant") == "critical")
    return _with_usgs_style(rows, parameter)


def _with_usgs_style(rows: pl.DataFrame, parameter: Mapping[str, float]) -> pl.DataFrame:
    """Null where a component is missing; the bounds then take it as 0 and as 1."""
    potential, cut = pl.col("disruption_potential"), parameter["usgs_cut_off"]
    value = pl.col("importance") / parameter["usgs_vulnerability_scale"]
    rows = rows.with_columns(
        usgs_economic_vulnerability=value,
        usgs_style=usgs_style(potential, pl.col("trade_exposure"), value),
        usgs_style_low=usgs_style(potential, pl.col("trade_exposure_low").fill_null(0.0), value.fill_null(0.0)),
        usgs_style_high=usgs_style(potential, pl.col("trade_exposure_high").fill_null(1.0), value.fill_null(1.0)),
        usgs_cut_off=pl.lit(cut),
    )
    sure = (
        pl.when(pl.col("usgs_style_low") >= cut)
        .then(pl.lit(True))
        .when(pl.col("usgs_style_high") < cut)
        .then(pl.lit(False))
    )
    missing = pl.concat_str(
        [
            pl.when(potential.is_null()).then(pl.lit("no world output by country")),
            pl.when(pl.col("trade_exposure").is_null()).then(pl.lit("no single figure of net import reliance")),
            pl.when(value.is_null()).then(pl.lit("no economic vulnerability: end uses without value added")),
        ],
        separator="; ",
        ignore_nulls=True,
    )
    return rows.with_columns(
        usgs_above_cut_off=pl.coalesce(pl.col("usgs_style") >= cut, sure),
        usgs_reason=pl.when(missing != "").then(missing),
    )
