"""Quantities of reconciled flows: believed weights of both sides, else a median unit value.

What belongs here: which weight is believed, and imputation (methods, section 4). What does not: values.
"""

from __future__ import annotations

import math

import polars as pl

from ingest.transforms.mirror_parameters import Parameters

_CODE = ["year", "hs6"]
_EXPORTER = ["year", "hs6", "exporter"]
_KILOGRAMS = 1000.0


def with_believed_weights(reports: pl.DataFrame, given: Parameters) -> pl.DataFrame:
    """Set weights aside whose unit value lies far from the code's.

    A weight is not believed when its unit value is more than ``odd_unit_value_fold`` times away from
    the median of code and year, and by more than ``odd_unit_value_mads`` median absolute deviations.

    Args:
        reports: ``year, hs6, value_usd, weight_kg``; a null weight is unknown.
        given: the parameters.

    Returns:
        The frame with ``odd_weight``, and ``weight_kg`` null where that is true.
    """
    unit = pl.col("value_usd").log() - pl.col("weight_kg").log()
    away = (pl.col("unit") - pl.col("unit").median().over(_CODE)).abs()
    limit = pl.max_horizontal(
        pl.lit(math.log(given.odd_unit_value_fold)),
        given.odd_unit_value_mads * pl.col("away").median().over(_CODE),
    )
    return (
        reports.with_columns(unit=unit)
        .with_columns(away=away)
        .with_columns(odd_weight=(pl.col("away") > limit).fill_null(False))
        .with_columns(weight_kg=pl.when(~pl.col("odd_weight")).then("weight_kg"))
        .drop("unit", "away")
    )


def unit_values(reports: pl.DataFrame, given: Parameters) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return median unit values (USD per tonne): of code, exporter and year; of code and year.

    Args:
        reports: ``year, hs6, exporter, value_usd, weight_kg`` with believed weights.
        given: the parameters; fewer than ``unit_value_min_flows`` weights give no exporter's median.
    """
    weighed = reports.filter(pl.col("weight_kg").is_not_null()).with_columns(
        unit=pl.col("value_usd") / pl.col("weight_kg") * _KILOGRAMS
    )
    exporter = weighed.group_by(_EXPORTER).agg(exporter_unit=pl.col("unit").median(), flows=pl.len())
    code = weighed.group_by(_CODE).agg(code_unit=pl.col("unit").median())
    return exporter.filter(pl.col("flows") >= given.unit_value_min_flows).drop("flows"), code


def with_quantity(flows: pl.DataFrame, both: pl.Expr, reports: pl.DataFrame, given: Parameters) -> pl.DataFrame:
    """Add ``quantity_t`` (tonnes) and ``imputed``.

    Where one side's weight is believed, its unit value carries the reconciled value to tonnes: a
    weight belongs to the value beside it.

    Args:
        flows: has the key, ``value_usd``, and ``export_usd, export_kg, import_usd, import_kg``, null
            where the side is silent or its weight not believed.
        both: the reconciled weight (kg) where both sides' weights are believed.
        reports: what unit values come from.
        given: the parameters.
    """
    exporter, code = unit_values(reports, given)
    one = pl.coalesce(pl.col("export_kg") / pl.col("export_usd"), pl.col("import_kg") / pl.col("import_usd")) * pl.col(
        "value_usd"
    )
    medians = pl.col("value_usd") / pl.coalesce("exporter_unit", "code_unit")
    weighed = pl.coalesce("export_kg", "import_kg").is_not_null()
    two = pl.col("export_kg").is_not_null() & pl.col("import_kg").is_not_null()
    return (
        flows.join(exporter, on=_EXPORTER, how="left", maintain_order="left")
        .join(code, on=_CODE, how="left", maintain_order="left")
        .with_columns(
            quantity_t=pl.when(two).then(both / _KILOGRAMS).when(weighed).then(one / _KILOGRAMS).otherwise(medians),
            imputed=~weighed,
        )
        .drop("exporter_unit", "code_unit")
    )
