"""Canonical table ``country``: countries and aggregates, from ``reference/countries.csv``."""

from __future__ import annotations

import polars as pl

from ingest.countries import countries
from ingest.transforms.base import Frames, Transform, nothing_dropped


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row per country, and the aggregates WLD, OTH and EUU."""
    return countries(), nothing_dropped()


TRANSFORM = Transform(
    table="country",
    inputs=(),
    build=build,
    description="Countries by ISO 3166 alpha-3, with WLD (world total), OTH (other and unspecified) and EUU.",
)
