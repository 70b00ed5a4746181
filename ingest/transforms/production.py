"""Canonical table ``production``: world output, capacity and reserves by country, tonnes contained.

What belongs here: MCS world tables from printed tokens to tonnes of the material's basis, with
bounds, evidence and the half-width of the printed rounding. What does not: which label is which
material and stage (``reference/mcs_world_map.csv``), whether countries add up to the printed world
total (``ingest.transforms.world_totals``), and the statistics of the BGS (``ingest.transforms.production_bgs``).
"""

from __future__ import annotations

import polars as pl

from ingest.countries import with_iso3
from ingest.mapping import split_dropped, with_mapping
from ingest.schemas import CANONICAL, conform
from ingest.tokens import read_figure
from ingest.transforms.base import Frames, Transform
from ingest.transforms.production_bgs import RAW as RAW_BGS
from ingest.transforms.production_bgs import from_bgs
from ingest.transforms.rounding import rounding_of
from ingest.transforms.world_totals import require_known_gaps

RAW = "raw_usgs_mcs__world"
_TABLE = "production"
_WHAT = "world table line"
_FIGURE = pl.Struct(
    {name: pl.Float64() for name in ("value", "low", "high", "rounding")}  # in the printed unit
)


def _figure(token: str) -> dict[str, float | None]:
    figure = read_figure(token, where=RAW)
    exact = figure.value is not None
    return {
        "value": figure.value,
        "low": figure.low,
        "high": figure.high,
        "rounding": rounding_of(token) if exact else 0.0,
    }


def _with_figures(frame: pl.DataFrame) -> pl.DataFrame:
    """Read ``printed`` into ``value``, ``low``, ``high``, ``rounding`` (printed unit)."""
    tokens = frame["printed"].unique().to_list()
    figures = pl.Series([_figure(token) for token in tokens], dtype=_FIGURE)
    lookup = pl.DataFrame({"printed": tokens, "figure": figures}, schema={"printed": pl.String(), "figure": _FIGURE})
    return frame.join(lookup, on="printed", how="left", validate="m:1").unnest("figure")


def _in_tonnes(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn printed units into tonnes contained: figure x unit (t) x content factor."""
    frame = with_mapping(frame, "mcs_units.csv", ["unit_printed"], "unit of mass")
    factor = pl.col("unit_t").cast(pl.Float64) * pl.col("content_factor").cast(pl.Float64)
    return frame.with_columns(
        quantity_t=pl.col("value") * factor,
        quantity_t_low=pl.col("low") * factor,
        quantity_t_high=pl.col("high") * factor,
        rounding_t=pl.col("rounding") * factor,
        evidence=pl.when("estimated").then(pl.lit("estimated")).otherwise(pl.lit("reported")),
        token=pl.col("printed"),
    )


def _lines_added(frame: pl.DataFrame) -> pl.DataFrame:
    """Add up lines that a table prints for one country under different names.

    The MCS helium table has two lines of the United States, gas extracted and gas drawn from store,
    both part of the world total; the token of the sum is ``64 + 18``. One name printed twice is no
    such case: its rows stay apart, so that the key check stops them.
    """
    key = [name for name in CANONICAL[_TABLE].key if name in frame.columns]
    several = (pl.len() > 1) & (pl.col("country").n_unique() == pl.len())
    split = frame.with_columns(several=several.over(key))
    together = split.filter("several").group_by(key, maintain_order=True)
    measures = ("quantity_t", "quantity_t_low", "quantity_t_high", "rounding_t")
    added = together.agg(
        pl.all().exclude("token", *measures).first(),
        token=pl.col("token").str.join(" + "),
        **{name: pl.when(pl.col(name).null_count() == 0).then(pl.col(name).sum()) for name in measures},
    )
    return pl.concat([split.filter(~pl.col("several")), added.select(split.columns)])


def from_mcs(raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of the MCS world tables, their totals held to their countries, and the dropped rows.

    Raises:
        UnmappedValue, SourceChanged: as ``build``.
    """
    frame = with_mapping(with_iso3(raw, "country"), "mcs_world_map.csv", ["commodity", "label", "measure"], _WHAT)
    blank = pl.when(pl.col("printed").is_null()).then(pl.lit("the publisher left the cell blank"))
    kept, dropped = split_dropped(frame.with_columns(drop_reason=pl.coalesce("drop_reason", blank)), _TABLE)
    tonnes = _lines_added(_in_tonnes(_with_figures(kept)))
    table = conform(tonnes.select(*CANONICAL[_TABLE].columns), _TABLE)
    require_known_gaps(table)
    return table, dropped


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Build ``production`` from the MCS world tables and, where they were fetched, the BGS statistics.

    Args:
        frames: holds ``raw_usgs_mcs__world``, and ``raw_bgs__production`` (empty in snapshot mode).

    Returns:
        The canonical table and the dropped rows by reason.

    Raises:
        UnmappedValue: a country, label or unit that no reference file covers.
        SourceChanged: a token of no known form, or a world total that its countries do not make
            up and ``known_total_gaps.csv`` does not explain.
    """
    table, dropped = from_mcs(frames[RAW])
    if RAW_BGS not in frames:
        return table, dropped
    # Held to world totals above, before other sources' rows of the same years come in.
    other, other_dropped = from_bgs(frames[RAW_BGS])
    return conform(pl.concat([table, other]), _TABLE), pl.concat([dropped, other_dropped])


TRANSFORM = Transform(
    table=_TABLE,
    inputs=(RAW, RAW_BGS),
    build=build,
    description=(
        "World mine, smelter and refinery output, capacity and reserves by country as printed in each MCS edition, "
        "tonnes of the material's basis (methods, section 1); WLD is the printed world total, `rounding_t` the "
        "half-width of the printed rounding. Output of BGS World Mineral Statistics stands beside it where fetched."
    ),
)
