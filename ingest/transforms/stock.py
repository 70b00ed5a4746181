"""Canonical table ``stock``: US government stock as the USGS prints it.

What belongs here: units and content factors (``stockpile_units.csv``, ``stockpile_map.csv``). What
does not: how long a stock lasts (methods section 6).
"""

from __future__ import annotations

import polars as pl

from ingest.mapping import split_dropped, with_figures, with_mapping
from ingest.transforms.base import Frames, Transform

TABLE = "stock"
_PLANNED = ("potential_acquisitions", "potential_disposals")
_ROW = ("source", "vintage", "commodity", "detail", "unit", "year", "measure", "printed")
_COLUMNS = (
    "holder",
    "material",
    "form",
    "measure",
    "year",
    "quantity_t",
    "quantity_t_low",
    "quantity_t_high",
    "token",
    "unit_printed",
    "source",
    "vintage",
    "evidence",
)


def _rows(frames: Frames) -> pl.DataFrame:
    shipments = frames["raw_usgs_stockpile__shipments"].with_columns(measure=pl.lit("shipments"))
    plan = frames["raw_usgs_stockpile__plan"].rename({"fiscal_year": "year"})
    planned = plan.unpivot(
        on=_PLANNED,
        index=["source", "vintage", "commodity", "detail", "unit", "year"],
        variable_name="measure",
        value_name="printed",
    )
    return pl.concat([shipments.select(_ROW), planned.select(_ROW)])


def _contained(bounds: tuple[str, ...]) -> pl.Expr:
    """Tonnes contained at one end: figure times content, either of which may be the bound (stocks may be negative)."""
    products = [pl.col(figure) * pl.col(content) * pl.col("tonnes") for figure in ("low", "high") for content in bounds]
    return pl.concat_list(products)


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return tonnes contained by material, form, measure and year.

    ``measure`` is ``shipments`` (fall of the inventory over the year; negative = rise),
    ``potential_acquisitions`` or ``potential_disposals`` (of the fiscal year's plan).

    Raises:
        UnmappedValue: a line or unit that the reference files do not cover.
    """
    rows = with_mapping(_rows(frames), "stockpile_map.csv", ["commodity", "detail"], "stockpile line")
    blank = pl.when(pl.col("printed").is_null()).then(pl.lit("no figure printed"))
    kept, dropped = split_dropped(rows.with_columns(drop_reason=pl.coalesce("drop_reason", blank)), TABLE)
    # "None" in words is the table's zero.
    kept = kept.with_columns(figure=pl.col("printed").replace("none", "0"), unit_printed=pl.col("unit").fill_null("t"))
    kept = with_mapping(
        with_figures(kept, "figure").with_columns(unit=pl.col("unit_printed")), "stockpile_units.csv", ["unit"], "unit"
    )
    numbers = ("content_low", "content", "content_high", "tonnes")
    ends = _contained(("content_low", "content_high"))
    kept = kept.with_columns(pl.col(numbers).cast(pl.Float64)).with_columns(
        holder=pl.lit("USA"),
        quantity_t=pl.col("value") * pl.col("content") * pl.col("tonnes"),
        quantity_t_low=ends.list.min(),
        quantity_t_high=ends.list.max(),
        token=pl.col("printed"),
    )
    return kept.select(_COLUMNS), dropped


TRANSFORM = Transform(
    table=TABLE,
    inputs=("raw_usgs_stockpile__shipments", "raw_usgs_stockpile__plan"),
    build=build,
    description="US government stock: shipments 2021-22 (fall of the inventory) and the annual materials plan, in "
    "tonnes contained with bounds where the content is a range.",
)
