"""Canonical table ``stage``: supply-chain stages in order, from ``reference/stages.csv``."""

from __future__ import annotations

import polars as pl

from ingest.mapping import reference
from ingest.transforms.base import Frames, Transform, nothing_dropped


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row per stage with its position from mine (1) onwards."""
    return reference("stages.csv").with_columns(pl.col("position").cast(pl.Int32)), nothing_dropped()


TRANSFORM = Transform(
    table="stage",
    inputs=(),
    build=build,
    description="Stages of the supply chain in order, from mine to product, plus secondary (methods, notation).",
)
