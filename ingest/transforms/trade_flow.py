"""Canonical ``trade_flow``: trade by commodity code, gross, one row per flow and source.

What belongs here: countries, units, and which of two overlapping rows of one source is kept. What
does not: what a code holds (``stage_flow.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from ingest.ahead import ahead
from ingest.countries import countries, with_iso3
from ingest.errors import UnmappedValue
from ingest.home import REFERENCE
from ingest.schemas import conform
from ingest.tables import rows_by_year, years_together
from ingest.transforms import trade_flow_comtrade as comtrade
from ingest.transforms.base import Built, Frames, Scans, Transform, count_dropped, of_years

TABLE = "trade_flow"
INPUTS = (
    "raw_baci__flows",
    "raw_baci__network",
    "raw_baci__totals",
    "raw_usitc__trade",
    "raw_census__imports_hs10",
    comtrade.RAW,
)
_COLUMNS = [
    "year",
    "exporter",
    "importer",
    "hs_code",
    "hs_level",
    "hs_edition",
    "flow",
    "value_usd",
    "quantity_gross_t",
    "scope",
    "source",
    "vintage",
    "evidence",
]
# Of two rows for one flow of one source the wider scope is kept.
_WIDTH = {"all_pairs": 0, "main_flows": 1, "top_links": 2}
# Tonnes per unit of a national quantity that is a gross weight; other units are not.
_TONNES = {"kilograms": 1e-3, "metric tons": 1.0}
# A residual below this share of the importer's total is rounding between editions.
_RESIDUAL = 0.01
Parts = tuple[pl.DataFrame, list[pl.DataFrame]]


def _iso3(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Bring alpha-3 codes of the release to ours: known codes stay, the rest go through the aliases."""
    known = set(countries()["iso3"])
    odd = frame.select(pl.col(column).unique()).filter(~pl.col(column).is_in(known))
    mapped = dict(with_iso3(odd, column).select(column, "iso3").iter_rows()) if odd.height else {}
    return frame.with_columns(pl.col(column).replace(mapped))


def _reconciled(flows: pl.DataFrame, links: pl.DataFrame) -> Parts:
    """Keep one row per reconciled flow: all pairs, else main flows, else the largest links."""
    rows = pl.concat([flows.with_columns(evidence=pl.lit("estimated")), links], how="diagonal_relaxed")
    rows = _iso3(_iso3(rows, "exporter"), "importer").with_columns(width=pl.col("scope").replace_strict(_WIDTH))
    itself = rows.filter(pl.col("exporter") == pl.col("importer")).with_columns(reason=pl.lit("trade with itself"))
    rows = rows.filter(pl.col("exporter") != pl.col("importer"))
    widest = pl.col("width").min().over("year", "hs_code", "source", "vintage")
    narrow = rows.filter(pl.col("width") > widest).with_columns(
        reason=pl.lit("a wider extract of the same release holds this code and year")
    )
    return rows.filter(pl.col("width") == widest), [itself, narrow]


def _links(network: pl.DataFrame) -> Parts:
    """Name the code of the largest links; a link whose code cannot be told is dropped."""
    codes = pl.read_csv(REFERENCE / "baci_network_codes.csv", schema_overrides={"hs_code": pl.String})
    rows = network.join(codes.drop("source"), on=["layer", "exporter", "importer", "rank"], how="left").with_columns(
        scope=pl.lit("top_links")
    )
    lost = rows.filter(pl.col("hs_code").is_null())
    if (new := lost.filter(pl.col("layer") == 2)).height:
        pairs = [f"layer 2 {a}-{b} rank {r}" for a, b, r in new.select("exporter", "importer", "rank").iter_rows()]
        raise UnmappedValue("link of the compounds and metals layer", pairs, "baci_network_codes.csv")
    return rows.filter(pl.col("hs_code").is_not_null()), [
        lost.with_columns(reason=pl.lit("link of a layer that mixes codes: code not known"))
    ]


def _totals(totals: pl.DataFrame) -> pl.DataFrame:
    world = pl.col("role") == "world"
    return totals.with_columns(
        exporter=pl.when(pl.col("role") == "exporter").then("iso3").otherwise(pl.lit("WLD")),
        importer=pl.when(pl.col("role") == "importer").then("iso3").otherwise(pl.lit("WLD")),
        scope=pl.when(world).then(pl.lit("world_total")).otherwise(pl.lit("country_total")),
        evidence=pl.lit("estimated"),
    )


def _residuals(links: pl.DataFrame, totals: pl.DataFrame) -> pl.DataFrame:
    """Imports of a large importer that the largest links leave out, as exporter OTH (USD)."""
    linked = (
        links.filter(pl.col("scope") == "top_links")
        .group_by("year", "hs_code", "importer")
        .agg(linked=pl.col("value_usd").sum())
    )
    whole = totals.filter((pl.col("scope") == "country_total") & (pl.col("exporter") == "WLD"))
    rest = whole.join(linked, on=["year", "hs_code", "importer"], how="inner").with_columns(
        value_usd=pl.col("value_usd") - pl.col("linked"),
        share=1 - pl.col("linked") / pl.col("value_usd"),
    )
    return rest.filter(pl.col("share") > _RESIDUAL).with_columns(
        exporter=pl.lit("OTH"), scope=pl.lit("top_links"), evidence=pl.lit("derived")
    )


def _baci(frames: Frames) -> Parts:
    links, unknown = _links(frames["raw_baci__network"])
    flows, dropped = _reconciled(frames["raw_baci__flows"], links)
    totals = _iso3(_totals(frames["raw_baci__totals"]), "exporter").pipe(_iso3, "importer")
    rows = pl.concat([flows, totals, _residuals(flows, totals)], how="diagonal_relaxed")
    return rows.with_columns(flow=pl.lit("R"), hs_level=pl.lit(6)).select(_COLUMNS), unknown + dropped


def _both_ends(partner: pl.DataFrame) -> pl.DataFrame:
    """Put exporter and importer to rows of the USA with ``iso3`` the partner and ``flow`` M or X."""
    arrives = pl.col("flow") == "M"
    return partner.with_columns(
        exporter=pl.when(arrives).then("iso3").otherwise(pl.lit("USA")),
        importer=pl.when(arrives).then(pl.lit("USA")).otherwise("iso3"),
        scope=pl.lit("selected_partners"),
        evidence=pl.lit("reported"),
    )


def _usitc(raw: pl.DataFrame) -> Parts:
    """Sum a heading over its units; its weight counts only where every part is a gross weight."""
    partial = raw.filter(pl.col("period") != "year").with_columns(reason=pl.lit("year to date, not a full year"))
    weight = pl.col("quantity") * pl.col("unit").replace_strict(_TONNES, default=None, return_dtype=pl.Float64)
    whole = weight.is_not_null().all() & (pl.col("suppressed") == 0).all() & (weight > 0).all()
    rows = (
        with_iso3(raw.filter(pl.col("period") == "year"), "country")
        .group_by("flow", "iso3", "year", "source", "vintage", hs_code="hts4")
        .agg(value_usd=pl.col("value_usd").sum(), quantity_gross_t=pl.when(whole).then(weight.sum()))
    )
    rows = _both_ends(rows).with_columns(hs_level=pl.lit(4), hs_edition=pl.lit("HTS"))
    return rows.select(_COLUMNS), [partial]


def _census(raw: pl.DataFrame) -> Parts:
    """Imports by ten-digit line; a member of a group that its edition lists is inside the group's row."""
    partial = pl.col("month") != 12
    rows = with_iso3(raw.filter(~partial), "country")
    members = countries().filter(pl.col("eu_member"))["iso3"].to_list()
    grouped = (pl.col("iso3") == "EUU").any().over("source", "vintage", "year")
    reason = (
        pl.when(pl.col("iso3") == "USA")
        .then(pl.lit("trade with itself"))
        .when(grouped & pl.col("iso3").is_in(members))
        .then(pl.lit("member of a country group that is listed too"))
    )
    rows = rows.with_columns(reason=reason)
    dropped = [
        raw.filter(partial).with_columns(reason=pl.lit("year to date, not a full year")),
        rows.filter(pl.col("reason").is_not_null()),
    ]
    # Several of the publisher's codes may be one country, such as Gaza and the West Bank.
    kept = (
        rows.filter(pl.col("reason").is_null())
        .group_by("hs10", "iso3", "year", "source", "vintage")
        .agg(pl.col("value_usd").sum())
        .with_columns(flow=pl.lit("M"))
    )
    kept = _both_ends(kept).with_columns(
        hs_code="hs10", hs_level=pl.lit(10), hs_edition=pl.lit("HTS"), quantity_gross_t=pl.lit(None, pl.Float64)
    )
    return kept.select(_COLUMNS), dropped


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Build the table.

    ``flow`` is R for reconciled trade (BACI; UN Comtrade, reconciled here, with the span of the two
    reports as bounds of the value), else M or X as the USA report it. ``scope`` is
    all_pairs, main_flows, top_links, selected_partners, or a total that is no flow: country_total
    and world_total have WLD on one or both ends.

    Raises:
        UnmappedValue: a country or a link that no reference file covers.
    """
    parts = [_baci(frames), _usitc(frames["raw_usitc__trade"]), _census(frames["raw_census__imports_hs10"])]
    pairs, counted = comtrade.flows(frames[comtrade.RAW])
    table = pl.concat([*[rows for rows, _ in parts], pairs], how="diagonal_relaxed")
    dropped = [rows.select("source", "vintage", "reason") for _, lost in parts for rows in lost]
    counts = [count_dropped(pl.concat(dropped), TABLE), counted.with_columns(table=pl.lit(TABLE))]
    return conform(table, TABLE), pl.concat(counts, how="diagonal")


def pieces(scans: Scans) -> Iterator[Built]:
    """Build the table a few years at a time: nothing in it looks beyond its year."""
    years = years_together(rows_by_year([*scans.values()]))
    return ahead(lambda few: build(of_years(scans, few)), years)


TRANSFORM = Transform(
    table=TABLE,
    inputs=INPUTS,
    build=build,
    pieces=pieces,
    description=(
        "Trade by commodity code (4, 6 or 10 digits) in US dollars and gross tonnes, one row per flow, source and "
        "vintage (methods, section 4). Totals carry WLD and a scope that ends in _total."
    ),
)
