"""Canonical table ``import_source``: where the United States bought, as printed shares of imports.

What belongs here: MCS import sources by form, percent to shares with bounds. What does not: which
printed form is which material and stage (``reference/mcs_import_form_map.csv``), and shares
computed from trade data.
"""

from __future__ import annotations

import polars as pl

from ingest.countries import with_iso3
from ingest.mapping import split_dropped, with_mapping
from ingest.schemas import CANONICAL, conform
from ingest.tokens import read_figure
from ingest.transforms.base import Frames, Transform

RAW = "raw_usgs_mcs__import_sources"
_TABLE = "import_source"
_IMPORTER = "USA"
_UNSHARED = "the edition's files name the country without its share"
_FIGURE = pl.Struct({name: pl.Float64() for name in ("share", "share_low", "share_high")})


def _shares(token: str) -> dict[str, float | None]:
    """Read a printed percentage as a share of 0..1 with bounds (``>99`` is 0.99 to 1)."""
    figure = read_figure(token, ceiling=100.0, where=RAW)
    percents = {"share": figure.value, "share_low": figure.low, "share_high": figure.high}
    return {name: None if percent is None else percent / 100 for name, percent in percents.items()}


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Build ``import_source`` from the MCS import sources.

    Args:
        frames: holds ``raw_usgs_mcs__import_sources``.

    Returns:
        The canonical table (``stage`` null where a printed total spans several stages) and the
        dropped rows by reason.

    Raises:
        UnmappedValue: a country, commodity or form that no reference file covers.
        SourceChanged: a token of no known form.
    """
    raw = frames[RAW].rename({"form": "form_printed"})
    named = raw.filter(pl.col("printed").is_null()).with_columns(drop_reason=pl.lit(_UNSHARED))
    printed = with_iso3(raw.filter(pl.col("printed").is_not_null()), "country")
    printed = with_mapping(printed, "mcs_import_form_map.csv", ["commodity", "form_printed"], "form of import")
    kept, dropped = split_dropped(pl.concat([printed, named], how="diagonal_relaxed"), _TABLE)
    shares = pl.Series([_shares(token) for token in kept["printed"]], dtype=_FIGURE)
    kept = kept.with_columns(
        shares.alias("figure"),
        importer=pl.lit(_IMPORTER),
        token=pl.col("printed"),
        evidence=pl.lit("reported"),
    ).unnest("figure")
    return conform(kept.select(*CANONICAL[_TABLE].columns), _TABLE), dropped


TRANSFORM = Transform(
    table=_TABLE,
    inputs=(RAW,),
    build=build,
    description=(
        "US import sources as printed in the MCS, shares of 0..1 by country, commodity and form over the printed "
        "window of years (methods, section 2). Editions before 2026 print shares in their text only."
    ),
)
