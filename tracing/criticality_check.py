"""The EU study recomputed from its own tables, beside what it printed.

What belongs here: putting materials that are printed as one together and measuring the deviation. What does
not: recomputing (``criticality_table``), why a figure deviates (given).
"""

from __future__ import annotations

import polars as pl

from tracing.assessment import INPUTS, STUDY

_MEASURES = {
    "supply_risk": "sr_known_inputs",
    "supply_risk_unadjusted": "sr_unadjusted_face_value",
    "economic_importance": "economic_importance",
    "economic_importance_unadjusted": "economic_importance_unadjusted",
}


def compare(cells: pl.DataFrame, scores: pl.DataFrame, groups: pl.DataFrame, causes: pl.DataFrame) -> pl.DataFrame:
    """The study's supply risk and importance recomputed, beside the printed ones.

    Args:
        cells: of ``assess``; the study's rows are used.
        scores: ``material, indicator, value`` as printed for one assessment.
        groups: ``printed, material, stage, combine``: materials (of a stage, or all) that are printed as one,
            by ``mean`` or ``max``. Every other material stands for itself.
        causes: ``printed, cause, note``: why a figure deviates.

    Returns:
        ``material`` as printed, ``stages`` (the bottleneck; of a mean, those of its members); ``supply_risk``
        with the inputs that are known, ``supply_risk_unadjusted, published_supply_risk, deviation`` (relative),
        ``missing_inputs, cause, cause_note``; ``economic_importance``, also ``_unadjusted``, and
        ``published_economic_importance``.
    """
    lead = _leads(cells.filter(pl.col("basis") == STUDY), groups)
    missing = [pl.when(pl.col(name).is_null().any()).then(pl.lit(name)) for name in INPUTS]
    mean = pl.col("combine").first() == "mean"
    out = lead.group_by("printed", maintain_order=True).agg(
        *(
            pl.when(mean).then(pl.col(name).mean()).otherwise(pl.col(name).max()).alias(short)
            for short, name in _MEASURES.items()
        ),
        stages=pl.when(mean)
        .then(pl.col("stage").unique().sort().str.join(";"))
        .otherwise(pl.col("stage").sort_by("sr_known_inputs", descending=True).first()),
        missing_inputs=pl.concat_str(missing, separator=";", ignore_nulls=True),
    )
    printed = scores.pivot("indicator", index="material", values="value")
    out = out.join(
        printed.select(
            printed="material", published_supply_risk="supply_risk", published_economic_importance="economic_importance"
        ),
        on="printed",
    )
    out = out.join(causes.select("printed", "cause", cause_note="note"), on="printed", how="left", validate="1:1")
    return (
        out.with_columns(
            pl.when(pl.col("missing_inputs") != "").then("missing_inputs").alias("missing_inputs"),
            deviation=pl.col("supply_risk") / pl.col("published_supply_risk") - 1,
        )
        .rename({"printed": "material"})
        .sort("material")
    )


def _leads(study: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """The stage with the highest supply risk of each member of each printed material."""
    named = groups.select("printed", "material", at_stage="stage", combine="combine")
    alone = study.select("material").unique().join(named, on="material", how="anti")
    alone = alone.filter(~pl.col("material").is_in(groups["printed"].implode()))
    named = pl.concat([named, alone.with_columns(printed="material", combine=pl.lit("max"))], how="diagonal")
    rows = named.join(study, on="material").filter(
        pl.col("at_stage").is_null() | (pl.col("at_stage") == pl.col("stage"))
    )
    lead = rows.drop_nulls("sr_known_inputs").sort("sr_known_inputs", "stage", descending=[True, False])
    return lead.unique(["printed", "material"], keep="first", maintain_order=True).sort("printed", "material")
