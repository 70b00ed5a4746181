"""Canonical ``import_line``: US rare-earth imports by tariff line and country, gross and as oxide.

What belongs here: how a line's oxide content is spread over its countries. What does not: the
workbook's layout (``sources/usgs_myb.py``).
"""

from __future__ import annotations

import polars as pl

from ingest.countries import with_iso3
from ingest.errors import UnmappedValue
from ingest.schemas import conform
from ingest.tokens import read_figure
from ingest.transforms.base import Frames, Transform, count_dropped
from ingest.transforms.hs_stage import stage_map

TABLE = "import_line"
_MATERIAL = "rare_earths"


def _kilograms(column: str) -> pl.Expr:
    # The Yearbook prints "--" for zero, which read_figure knows.
    return pl.col(column).map_elements(
        lambda token: read_figure(token, where=f"raw_usgs_myb__re_trade, {column}").value, return_dtype=pl.Float64
    )


def _stages() -> dict[str, str]:
    table = stage_map().filter(pl.col("material") == _MATERIAL)
    return dict(table.select("hs_code", "stage").iter_rows())


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Build the table.

    The Yearbook prints oxide content for a line's total only; a country's part is its gross weight
    times the line's ratio (tonnes REO), so ``evidence`` is ``estimated``; ``WLD`` is the printed
    total, ``reported``. ``token`` is the gross weight as printed (kilograms).

    Raises:
        UnmappedValue: a line whose first six digits ``reference/hs_stage.csv`` does not hold, or a
            country name.
    """
    raw = frames["raw_usgs_myb__re_trade"].with_columns(
        gross=_kilograms("gross_kg") / 1000,
        reo=_kilograms("reo_kg") / 1000,
        hs6=pl.col("line").str.replace_all(".", "", literal=True).str.slice(0, 6),
    )
    exports = raw.filter(pl.col("flow") == "X").with_columns(reason=pl.lit("US exports, not an import line"))
    lines = raw.filter(pl.col("flow") == "M")
    stages = _stages()
    if lost := sorted(set(lines["hs6"]) - set(stages)):
        raise UnmappedValue(f"code of {_MATERIAL}", lost, "hs_stage.csv")
    totals = lines.filter(pl.col("country") == "Total").select(
        "line", "year", ratio=pl.when(pl.col("gross") > 0).then(pl.col("reo") / pl.col("gross"))
    )
    named = with_iso3(lines.with_columns(pl.col("country").replace("Total", "World total")), "country")
    total = pl.col("iso3") == "WLD"
    spread = pl.when(pl.col("gross") == 0).then(0.0).otherwise(pl.col("gross") * pl.col("ratio"))
    table = named.join(totals, on=["line", "year"], how="left").select(
        "line",
        "iso3",
        "year",
        "source",
        "vintage",
        pl.col("gross_kg").alias("token"),
        importer=pl.lit("USA"),
        material=pl.lit(_MATERIAL),
        stage=pl.col("hs6").replace_strict(stages),
        quantity_gross_t="gross",
        quantity_t=pl.when(total).then("reo").otherwise(spread),
        evidence=pl.when(total).then(pl.lit("reported")).otherwise(pl.lit("estimated")),
    )
    return conform(table, TABLE), count_dropped(exports, TABLE)


TRANSFORM = Transform(
    table=TABLE,
    inputs=("raw_usgs_myb__re_trade",),
    build=build,
    description=(
        "US rare-earth imports by tariff line and country: gross tonnes as printed, tonnes REO by the line's "
        "ratio (methods, sections 2 and 4). WLD is the line's total."
    ),
)
