"""Canonical table ``criticality_parameter``: thresholds, ladders and published inputs of criticality.

What belongs here: the typed view of the ``criticality_*.csv`` files. What does not: any value, and the
formulas that use them (methods section 5, ``tracing.criticality``).
"""

from __future__ import annotations

import polars as pl

from ingest.errors import BadInput
from ingest.mapping import reference
from ingest.transforms.base import Frames, Transform, nothing_dropped

TABLE = "criticality_parameter"
GENERAL, BY_MATERIAL = "criticality_parameters.csv", "criticality_inputs.csv"
CONFIDENCE = ("high", "medium", "low")
RATES = ("eol_recycling_input_rate", "substitution_sr", "substitution_ei")
_COLUMNS = ("economy", "material", "parameter", "value", "confidence", "note", "reference", "evidence")


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row per economy, material (``all`` = every one) and parameter.

    Raises:
        BadInput: a value that is no number, a rate outside 0..1, or an unknown grade of confidence.
    """
    general = reference(GENERAL).with_columns(material=pl.lit("all"), file=pl.lit(GENERAL))
    by_material = reference(BY_MATERIAL).with_columns(file=pl.lit(BY_MATERIAL))
    rows = pl.concat([general, by_material], how="diagonal").with_columns(
        number=pl.col("value").cast(pl.Float64, strict=False)
    )
    rate_outside = pl.col("parameter").is_in(RATES) & ~pl.col("number").is_between(0, 1)
    bad = rows.filter(pl.col("number").is_null() | rate_outside | ~pl.col("confidence").is_in(CONFIDENCE))
    if bad.height:
        row = bad.row(0, named=True)
        raise BadInput(
            f"ingest/reference/{row['file']}: {row['economy']} {row['material']} {row['parameter']} has value "
            f"{row['value']!r} and confidence {row['confidence']!r}. Expected a number (rates 0 to 1) and one of "
            f"{', '.join(CONFIDENCE)}."
        )
    # Low confidence: chosen here, taken over from another material, or an edition that is not sure.
    rows = rows.with_columns(
        value="number",
        reference="source",
        evidence=pl.when(pl.col("confidence") == "low").then(pl.lit("assumed")).otherwise(pl.lit("reported")),
    )
    return rows.select(_COLUMNS), nothing_dropped()


TRANSFORM = Transform(
    table=TABLE,
    inputs=(),
    build=build,
    description="Parameters of criticality: thresholds, score ladders, trade factors, substitution indices and "
    "end-of-life recycling input rates, each with confidence and reference (methods section 5).",
)
