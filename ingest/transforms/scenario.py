"""Canonical table ``scenario``: which country stops what, of which material and stage.

What belongs here: the list, made of dated announcements (``scenario_announcements.csv``), the largest producers
of each material and stage, and places of re-export (``scenario_hubs.csv``). What does not: what anybody loses.
"""

from __future__ import annotations

import polars as pl

from ingest.errors import BadInput
from ingest.mapping import reference, with_mapping
from ingest.scenario_inputs import numbers, parameters
from ingest.schemas import CANONICAL
from ingest.transforms.base import Frames, Transform, nothing_dropped

TABLE = "scenario"
_CELL = ["material", "stage"]
_NO_COUNTRY = ("WLD", "OTH")


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row per scenario, material (null = every one) and stage (null = every one).

    Raises:
        UnmappedValue: an announcement that ``scenario_announcements.csv`` does not cover.
        BadInput: a share that is no number in 0..1.
    """
    settings = parameters()
    if not 0 <= settings["stopped_share"] <= 1:
        raise BadInput(
            f"ingest/reference/scenario_parameters.csv: stopped_share {settings['stopped_share']} not in 0..1."
        )
    made = _nearest(frames["stage_production"], int(settings["year"]))
    largest = ranked(made, int(settings["top_countries"]))
    parts = [
        announced(frames["restriction"]),
        n_minus_1(made, frames["secondary_supply"], largest).with_columns(stopped_share=settings["stopped_share"]),
        bans(largest).with_columns(stopped_share=settings["stopped_share"]),
        closures(int(settings["year"])).with_columns(stopped_share=settings["stopped_share"]),
    ]
    rows = pl.concat(parts, how="diagonal_relaxed")
    return rows.select(pl.col(name).cast(kind) for name, kind in CANONICAL[TABLE].columns.items()), nothing_dropped()


def _nearest(production: pl.DataFrame, year: int) -> pl.DataFrame:
    """Output by country of the year, or of the year beside it where the cell has none."""
    rows = production.filter(
        ~pl.col("iso3").is_in(_NO_COUNTRY), pl.col("quantity_t") > 0, (pl.col("year") - year).abs() <= 1
    )
    gap = (pl.col("year") - year).abs() * 2 + (pl.col("year") > year).cast(pl.Int32)
    return rows.filter(gap == gap.min().over(_CELL))


def ranked(production: pl.DataFrame, top: int) -> pl.DataFrame:
    """The ``top`` largest producers of each material and stage, with ``place`` from 1."""
    order = production.sort([*_CELL, "quantity_t", "iso3"], descending=[False, False, True, False])
    place = pl.int_range(1, pl.len() + 1).over(_CELL)
    return order.with_columns(place=place).filter(pl.col("place") <= top)


def announced(restriction: pl.DataFrame) -> pl.DataFrame:
    """Export controls as dated; the share is that of goods that stop (a licence is not a ban)."""
    numbers("scenario_announcements.csv", "stopped_share")
    rows = with_mapping(restriction, "scenario_announcements.csv", ["authority_no"], "announcement")
    rows = rows.with_columns(pl.col("stopped_share").cast(pl.Float64), actor="imposer")
    return rows.with_columns(kind=pl.lit("export_control"), mechanism=pl.lit("ban"))


def n_minus_1(production: pl.DataFrame, secondary: pl.DataFrame, largest: pl.DataFrame) -> pl.DataFrame:
    """Loss of the largest producer of each material and stage.

    ``n_minus_1_ratio = (output - largest) / (output + recycled)``: what is made and recycled stands for demand,
    which no source here gives by stage (methods section 2).
    """
    cell = [*_CELL, "year"]
    world = production.sort([*cell, "iso3"]).group_by(cell).agg(world_t=pl.col("quantity_t").sum())
    scrap = secondary.drop_nulls("quantity_t").sort([*cell, "iso3", "quantity_t"]).group_by(cell)
    rows = (
        largest.filter(place=1)
        .join(world, on=cell)
        .join(scrap.agg(scrap_t=pl.col("quantity_t").sum()), on=cell, how="left")
    )
    return rows.select(
        *_CELL,
        scenario=pl.format("n_minus_1_{}_{}", "material", "stage"),
        title=pl.format(
            "Loss of all output of {} at stage {} in {}, the largest producer", "material", "stage", "iso3"
        ),
        actor="iso3",
        kind=pl.lit("n_minus_1"),
        mechanism=pl.lit("output_lost"),
        n_minus_1_ratio=(pl.col("world_t") - pl.col("quantity_t"))
        / (pl.col("world_t") + pl.col("scrap_t").fill_null(0)),
        confidence=pl.lit("medium"),
        source=pl.lit("stage_production"),
        vintage=pl.col("year").cast(pl.String),
        evidence=pl.lit("derived"),
    )


def bans(largest: pl.DataFrame) -> pl.DataFrame:
    """Ban by each of the largest producers at that stage, and by each of them at every stage of the material."""
    one = largest.with_columns(code=pl.col("iso3").str.to_lowercase())
    whole = one.sort("material", "iso3", "year").unique(["material", "iso3"], keep="last", maintain_order=True)
    rows = pl.concat([one, whole.with_columns(stage=pl.lit(None, pl.String))])
    scope = pl.col("stage").fill_null("all")
    return rows.select(
        *_CELL,
        scenario=pl.format("ban_{}_{}_{}", "code", "material", scope),
        title=pl.format(
            "{} exports no {} at {}",
            "iso3",
            "material",
            pl.when(pl.col("stage").is_null()).then(pl.lit("any stage")).otherwise(pl.format("stage {}", "stage")),
        ),
        actor="iso3",
        kind=pl.lit("ban"),
        mechanism=pl.lit("ban"),
        confidence=pl.lit("medium"),
        source=pl.lit("stage_production"),
        vintage=pl.col("year").cast(pl.String),
        evidence=pl.lit("derived"),
    )


def closures(year: int) -> pl.DataFrame:
    """Closure of places that ship on what they import; every material."""
    return reference("scenario_hubs.csv").select(
        "actor",
        "confidence",
        scenario=pl.format("closure_{}", pl.col("actor").str.to_lowercase()),
        title=pl.format("{} ships on nothing that it imported", "actor"),
        kind=pl.lit("closure"),
        mechanism=pl.lit("closure"),
        source=pl.lit("scenario_hubs"),
        vintage=pl.lit(str(year)),
        evidence=pl.lit("assumed"),
    )


TRANSFORM = Transform(
    table=TABLE,
    inputs=("restriction", "stage_production", "secondary_supply"),
    build=build,
    description="Disruptions to run: announced export controls, N-1, bans by the largest producers of each material "
    "and stage, closed places of re-export (methods section 6).",
)
