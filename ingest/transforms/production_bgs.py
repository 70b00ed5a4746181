"""World Mineral Statistics of the BGS as rows of canonical ``production``.

What belongs here: printed figures to tonnes of the material's basis, with evidence, bounds and counted
reasons for what is left out. What does not: which commodity is which material and stage
(``reference/bgs_map.csv``), which notes change a figure's grade or leave it out
(``reference/bgs_notes.csv``), and how this source ranks among others (``production_source_order.csv``).
"""

from __future__ import annotations

import polars as pl

from ingest.countries import with_iso3
from ingest.mapping import reference, split_dropped, with_mapping
from ingest.schemas import CANONICAL, conform
from ingest.transforms.rounding import rounding_of

RAW = "raw_bgs__production"
_TABLE = "production"
_UNIT = ["unit_printed"]
_LINE = ["commodity", "sub_commodity"]


def from_bgs(raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return output by country and year, tonnes of the material's basis.

    A nil is zero; a figure below half a unit lies between zero and that; a figure that is not
    available stays without one. No world total is printed.

    Args:
        raw: ``raw_bgs__production``; may be empty.

    Returns:
        Rows of the canonical table, and the dropped rows by reason.

    Raises:
        UnmappedValue: a commodity, country or unit that no reference file covers.
    """
    frame = with_mapping(_with_country(raw), "bgs_map.csv", _LINE, "BGS commodity")
    frame = with_mapping(frame, "bgs_units.csv", _UNIT, "BGS unit")
    graded = _graded(frame).with_columns(
        drop_reason=pl.coalesce("country_reason", "drop_reason", "note_reason", _before_window())
    )
    kept, dropped = split_dropped(graded, _TABLE)
    factor = pl.col("unit_t").cast(pl.Float64) * pl.col("content_factor").cast(pl.Float64)
    small = pl.col("status") == "N"
    rounding = pl.Series([rounding_of(token) for token in kept["printed"]], dtype=pl.Float64)
    value = pl.when(~small).then(pl.col("quantity"))
    table = kept.with_columns(
        pl.col("printed").alias("token"),
        measure=pl.lit("production"),
        quantity_t=value * factor,
        quantity_t_low=pl.when(small).then(0.0).otherwise(value) * factor,
        quantity_t_high=pl.when(small).then(0.5).otherwise(value) * factor,
        rounding_t=pl.when(small).then(0.0).otherwise(rounding) * factor,
    )
    return conform(table.select(*CANONICAL[_TABLE].columns), _TABLE), dropped


def _with_country(raw: pl.DataFrame) -> pl.DataFrame:
    """Add ``iso3`` and ``country_reason``: the publisher's own names first, usual names otherwise."""
    own = reference("bgs_countries.csv").select("country", "iso3", country_reason="drop_reason")
    special = raw.join(own, on="country", how="inner", validate="m:1")
    usual = with_iso3(raw.join(own, on="country", how="anti"), "country")
    return pl.concat([special, usual.with_columns(country_reason=pl.lit(None, pl.String)).select(special.columns)])


def _graded(frame: pl.DataFrame) -> pl.DataFrame:
    """Add ``evidence`` and ``note_reason`` from the notes of each figure."""
    notes = pl.col("figure_notes").fill_null("").str.split("|")
    grade, reason = pl.lit(None, pl.String), pl.lit(None, pl.String)
    for rule in reference("bgs_notes.csv").iter_rows(named=True):
        applies = notes.list.contains(rule["figure_note"])
        for name in _LINE:
            if rule[name] is not None:
                applies &= pl.col(name).eq_missing(rule[name])
        grade = pl.coalesce(grade, pl.when(applies).then(pl.lit(rule["evidence"], pl.String)))
        reason = pl.coalesce(reason, pl.when(applies).then(pl.lit(rule["drop_reason"], pl.String)))
    return frame.with_columns(evidence=pl.coalesce(grade, pl.lit("reported")), note_reason=reason)


def _before_window() -> pl.Expr:
    """Return the reason for which a year is left out, null for the years in use."""
    first_year, reason = reference("bgs_window.csv").select("first_year", "drop_reason").row(0)
    return pl.when(pl.col("year") < int(first_year)).then(pl.lit(reason))
