"""Canonical table ``material``: what the warehouse speaks of, from ``reference/materials.csv``."""

from __future__ import annotations

import polars as pl

from ingest.mapping import reference
from ingest.transforms.base import Frames, Transform, nothing_dropped


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row per material with its basis (the element or compound that tonnes count)."""
    flags = ("critical_us_2025", "critical_eu_2023")
    return reference("materials.csv").with_columns(pl.col(flags) == "true"), nothing_dropped()


TRANSFORM = Transform(
    table="material",
    inputs=(),
    build=build,
    description="Materials with the basis their tonnes count (element, oxide, gross) and whether the US list of "
    "2025 and the EU list of 2023 call them critical.",
)
