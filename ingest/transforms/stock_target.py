"""Canonical table ``stock_target``: how many days of need a holder means to keep.

What belongs here: the typed view of ``stock_targets.csv``. What does not: any value; tonnes, which follow from
need (``tracing.cover``).
"""

from __future__ import annotations

import polars as pl

from ingest.errors import BadInput
from ingest.mapping import reference
from ingest.transforms.base import Frames, Transform, nothing_dropped

TABLE = "stock_target"
FILE = "stock_targets.csv"
STATUS = ("in_force", "announced")
CONFIDENCE = ("high", "medium", "low")


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row per holder, material and status (``in_force`` | ``announced``).

    Raises:
        BadInput: days that are no positive number, an unknown status, material or grade of confidence.
    """
    rows = reference(FILE).with_columns(number=pl.col("days").cast(pl.Float64, strict=False))
    known = pl.col("material").is_in(reference("materials.csv")["material"].implode())
    good = known & (pl.col("number") > 0) & pl.col("status").is_in(STATUS) & pl.col("confidence").is_in(CONFIDENCE)
    bad = rows.filter(~good.fill_null(False))
    if bad.height:
        row = bad.row(0, named=True)
        raise BadInput(
            f"ingest/reference/{FILE}: {row['holder']} {row['material']} {row['status']} has {row['days']!r} days and "
            f"confidence {row['confidence']!r}. Expected a known material, days above 0, a status of "
            f"{', '.join(STATUS)} and one of {', '.join(CONFIDENCE)}."
        )
    # Low confidence: taken over from a press report, or assumed for a material that is not named.
    graded = pl.when(pl.col("confidence") == "low").then(pl.lit("assumed")).otherwise(pl.lit("reported"))
    rows = rows.drop("days").rename({"number": "days", "source": "reference"}).with_columns(evidence=graded)
    return rows, nothing_dropped()


TRANSFORM = Transform(
    table=TABLE,
    inputs=(),
    build=build,
    description="Targets of state stocks in days of need by holder and material, with confidence and reference.",
)
