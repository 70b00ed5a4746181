"""Canonical table ``announced_reserve``: reserve programmes that are announced, with their value where given.

What belongs here: the typed view of ``announced_reserves.csv``. What does not: any value.
"""

from __future__ import annotations

import polars as pl

from ingest.errors import BadInput
from ingest.mapping import reference
from ingest.transforms.base import Frames, Transform, nothing_dropped
from ingest.transforms.stock_target import CONFIDENCE

TABLE = "announced_reserve"
FILE = "announced_reserves.csv"
ANY_MATERIAL = "all"


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row per holder, material (``all`` where none is named) and programme.

    Raises:
        BadInput: an amount that is no number, an unknown material or grade of confidence, a day that is none.
    """
    rows = reference(FILE).with_columns(
        usd=pl.col("value_usd").cast(pl.Float64, strict=False),
        tonnes=pl.col("quantity_t").cast(pl.Float64, strict=False),
        year=pl.col("announced").str.extract(r"^(\d{4})-\d{2}(?:-\d{2})?$").cast(pl.Int32),
    )
    materials = [*reference("materials.csv")["material"].to_list(), ANY_MATERIAL]
    odd = pl.col("value_usd").is_not_null() & pl.col("usd").is_null()
    odd |= pl.col("quantity_t").is_not_null() & pl.col("tonnes").is_null()
    odd |= pl.col("year").is_null() | ~pl.col("material").is_in(materials) | ~pl.col("confidence").is_in(CONFIDENCE)
    if (bad := rows.filter(odd)).height:
        raise BadInput(
            f"ingest/reference/{FILE}: {bad.row(0, named=True)}. Expected amounts as numbers or nothing, a known "
            f"material or {ANY_MATERIAL}, announced as YYYY-MM[-DD] and one of {', '.join(CONFIDENCE)}."
        )
    rows = rows.drop("value_usd", "quantity_t").rename(
        {"usd": "value_usd", "tonnes": "quantity_t", "source": "reference"}
    )
    return rows.with_columns(evidence=pl.lit("reported")), nothing_dropped()


TRANSFORM = Transform(
    table=TABLE,
    inputs=(),
    build=build,
    description="Reserve programmes announced: value in US dollars and tonnes contained where given.",
)
