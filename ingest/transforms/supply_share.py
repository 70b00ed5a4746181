"""Canonical table ``supply_share``: published shares of world supply and of EU sourcing by country.

What belongs here: the EU study's shares and the IEA's mining and refining by country, with the
residual of each group under OTH so that no group loses part of its supply. What does not:
concentration, which is computed from them.
"""

from __future__ import annotations

import polars as pl

from ingest.countries import with_iso3
from ingest.errors import SourceChanged
from ingest.mapping import reference, split_dropped, with_figures, with_mapping
from ingest.transforms.base import Frames, Transform
from ingest.transforms.shares import check_sums

TABLE = "supply_share"
OVERLAPS = "iea_overlaps.csv"
_GROUP = ("material", "stage", "form", "scope", "first_year", "last_year", "source", "vintage")
_SHARES = ("share", "share_low", "share_high")
_COLUMNS = (
    "material",
    "stage",
    "form",
    "scope",
    "iso3",
    "first_year",
    "last_year",
    *_SHARES,
    "quantity_t",
    "token",
    "trade_factor",
    "source",
    "vintage",
    "evidence",
)
# Lines of one group may miss the printed total by its rounding, in thousand tonnes.
_IEA_ROUNDING_KT = 0.01
_IEA_GROUP = ("source", "vintage", "product", "step", "year")
_NO_TEXT, _NO_NUMBER = pl.lit(None, pl.String), pl.lit(None, pl.Float64)


def _eu_lines(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the mapped lines of both EU tables, shares in 0..1; ``<0.1%`` counts as its middle."""
    scopes = {"global": "raw_eu_crm__global_supply", "eu": "raw_eu_crm__eu_supply"}
    lines = pl.concat([frames[table].with_columns(scope=pl.lit(scope)) for scope, table in scopes.items()])
    lines = with_mapping(lines, "eu_crm_stage_map.csv", ["name", "step"], "EU material and step")
    lines = with_mapping(lines, "eu_crm_windows.csv", ["vintage"], "EU study")
    kept, dropped = split_dropped(lines, TABLE)
    kept = with_figures(with_iso3(kept, "country"), "share", ceiling=100, unit="%")
    kept = kept.with_columns(
        pl.col("first_year", "last_year").cast(pl.Int32),
        share=pl.coalesce("value", (pl.col("low") + pl.col("high")) / 2) / 100,
        share_low=pl.col("low") / 100,
        share_high=pl.col("high") / 100,
    )
    check_sums(kept)
    return kept, dropped


def _eu_residual(lines: pl.DataFrame) -> pl.DataFrame:
    """Return an OTH row for each group whose listed shares leave part of the supply unlisted."""
    rest = lines.group_by(_GROUP).agg(
        share=1 - pl.col("share").sum(),
        share_low=(1 - pl.col("share_high").sum()).clip(0, 1),
        share_high=(1 - pl.col("share_low").sum()).clip(0, 1),
    )
    return rest.filter(pl.col("share") > 1e-9).with_columns(
        iso3=pl.lit("OTH"), token=_NO_TEXT, trade_factor=_NO_NUMBER, evidence=pl.lit("derived")
    )


def _eu(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    lines, dropped = _eu_lines(frames)
    columns = [name for name in _COLUMNS if name != "quantity_t"]
    lines = lines.with_columns(evidence=pl.lit("reported"))
    both = pl.concat([lines.select(columns), _eu_residual(lines).select(columns)])
    return both.with_columns(quantity_t=_NO_NUMBER), dropped


def _iea_lines(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the base year's lines with the printed total and what the lines exceed it by (``excess``)."""
    supply = with_mapping(frames["raw_iea__supply"], "iea_map.csv", ["product", "step"], "IEA product and step")
    base = pl.col("year").min().over("vintage")
    reason = (
        pl.when(line_kind="footnote")
        .then(pl.lit("footnote parsed as a country"))
        .when(pl.col("year") > base)
        .then(pl.lit("projection, not a record"))
    )
    kept, dropped = split_dropped(supply.with_columns(drop_reason=reason), TABLE)
    totals = kept.filter(line_kind="total").select(*_IEA_GROUP, total="quantity_kt")
    lines = kept.filter(pl.col("line_kind") != "total").join(totals, on=_IEA_GROUP, how="left", validate="m:1")
    lines = lines.with_columns(excess=pl.col("quantity_kt").sum().over(_IEA_GROUP) - pl.col("total"))
    return _with_overlap(lines), dropped


def _with_overlap(lines: pl.DataFrame) -> pl.DataFrame:
    """Hold each group's excess over its total to the overlap listed for it, and set small ones to zero.

    Raises:
        SourceChanged: lines and total differ and no overlap explains it, or a listed one is gone.
    """
    known = reference(OVERLAPS).select("product", "step", pl.col("year").cast(pl.Int32), "line", listed=pl.lit(True))
    lines = lines.join(known, on=["product", "step", "year", "line"], how="left", validate="m:1")
    overlap = pl.when(pl.col("listed")).then(pl.col("quantity_kt")).otherwise(0.0).sum().over(_IEA_GROUP)
    lines = lines.with_columns(overlap=overlap)
    odd = lines.filter((pl.col("excess") - pl.col("overlap")).abs() > _IEA_ROUNDING_KT)
    if odd.height or lines["excess"].null_count():
        row = (odd if odd.height else lines.filter(pl.col("excess").is_null())).row(0, named=True)
        raise SourceChanged(
            f"IEA {row['product']} {row['step']} {row['year']}: lines exceed the total {row['total']} by "
            f"{row['excess']} thousand tonnes, expected {row['overlap']}; see ingest/reference/{OVERLAPS}."
        )
    return lines


def _iea(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the IEA's shares of the printed world total, thousand tonnes to tonnes.

    Where the lines exceed the total by a country, the rest of the world is taken to hold it too
    (low end); the other reading, a total that misses it, gives the other end of the interval.
    """
    lines, dropped = _iea_lines(frames)
    residual = pl.col("line_kind") == "residual"
    own = pl.col("quantity_kt") - pl.when(residual).then("overlap").otherwise(0.0)
    shared = own / pl.col("total")
    other_reading = pl.col("quantity_kt") / (pl.col("total") + pl.col("overlap"))
    lines = with_iso3(lines, "line").with_columns(
        scope=pl.lit("global"),
        first_year="year",
        last_year="year",
        share=shared,
        share_low=pl.min_horizontal(shared, other_reading),
        share_high=pl.max_horizontal(shared, other_reading),
        quantity_t=own * 1000,
        token=_NO_TEXT,
        trade_factor=_NO_NUMBER,
        evidence=pl.when(residual & (pl.col("overlap") > 0)).then(pl.lit("derived")).otherwise(pl.lit("reported")),
    )
    return lines.select(_COLUMNS), dropped


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return shares (0..1) by material, stage, scope (``global`` | ``eu``) and country.

    IEA rows carry tonnes contained and add up to 1 and to the printed world total; EU rows carry the
    study's trade factor and add up to 1 within the printed rounding.

    Raises:
        UnmappedValue: a material, step or country that the reference files do not cover.
        SourceChanged: shares or totals do not add up in a way not listed.
    """
    eu, eu_dropped = _eu(frames)
    iea, iea_dropped = _iea(frames)
    return pl.concat([eu.select(_COLUMNS), iea]), pl.concat([eu_dropped, iea_dropped])


TRANSFORM = Transform(
    table=TABLE,
    inputs=("raw_eu_crm__global_supply", "raw_eu_crm__eu_supply", "raw_iea__supply"),
    build=build,
    description="Published shares of world supply (EU study, IEA) and of EU sourcing (EU study) by country, 0..1, with "
    "residuals under OTH, tonnes contained where the publisher gives tonnes, and the EU's trade factor.",
)
