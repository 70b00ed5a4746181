"""Canonical ``stage_production``: one figure of output per material, stage, country and year.

What belongs here: choosing between sources by the stated order, showing where they disagree, and
keeping the sum to what the leading table allows. What does not: each source's figures
(``stage_candidates.py``), world tables as printed (``production``).
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from ingest.mapping import reference
from ingest.tables import rows_by_year, years_together
from ingest.transforms.base import Built, Frames, Scans, Transform, count_dropped
from ingest.transforms.stage_candidates import (
    CANDIDATE,
    CELL,
    GROUP,
    carried,
    equivalents,
    net_exports,
    published_shares,
    published_tonnes,
    salient,
    shares_of_total,
    source_order,
    world_tables,
    world_totals,
)

TABLE = "stage_production"
CONFLICT = 0.10
"""Figures further apart than this share of the chosen one are in conflict."""

_TONNES = ["quantity_t", "quantity_t_low", "quantity_t_high"]
_NO_ROOM = "the leading table is whole and leaves no room for a country it does not list"
_ANOTHER = "another source comes first"


def candidates(frames: Frames, balances: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All figures of all sources, ranked, with bounds no narrower than the source's spread.

    Args:
        frames: holds ``production``, ``us_salient`` and ``supply_share``.
        balances: as ``net_exports``.

    Returns:
        ``CANDIDATE`` columns with ``rank`` and ``same_year`` (false: carried over, or the share of
        an older window), and the rows left out.
    """
    bases = reference("materials.csv").select("material", "basis")
    tables, lost = world_tables(frames["production"])
    # A material's basis as a world table words it goes before the general one.
    first = pl.concat([tables, equivalents(tables), salient(frames["us_salient"])])
    printed = pl.concat([first, published_tonnes(frames["supply_share"], bases)])
    shares = shares_of_total(frames["supply_share"], world_totals(printed), bases)
    own = pl.concat([printed, published_shares(bases), balances])
    lent = carried(own)
    every = pl.concat(
        [
            own.with_columns(same_year=pl.lit(True), lent=pl.lit(False)),
            shares.with_columns(same_year=pl.lit(False), lent=pl.lit(False)),
            lent.with_columns(same_year=pl.lit(False), lent=pl.lit(True)),
        ]
    )
    every = every.join(source_order(), on=["source", "method"], how="left", validate="m:1")
    return _spread(every), lost


def _spread(rows: pl.DataFrame) -> pl.DataFrame:
    """Widen bounds to the spread of the source; never below zero."""
    spread = pl.when("lent").then("carried_spread").otherwise("spread")
    centre = pl.col("quantity_t")
    return rows.with_columns(
        quantity_t_low=pl.min_horizontal("quantity_t_low", centre * (1 - spread)).clip(lower_bound=0),
        quantity_t_high=pl.max_horizontal("quantity_t_high", centre * (1 + spread)),
    ).drop("spread", "carried_spread", "lent")


def chosen(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One figure per cell, by rank, held to the room that the leading table leaves.

    A table is whole where it prints a world total or a line for other countries. What other
    sources say of countries it does not list comes out of that line: they are scaled to fit its
    upper bound, and the line keeps the rest.

    Returns:
        The chosen rows, and those left out with ``source, vintage, reason``.
    """
    figures = rows.filter((pl.col("iso3") != "WLD") & pl.col("quantity_t").is_not_null())
    best = figures.sort("rank").unique(CELL, keep="first", maintain_order=True)
    lost = figures.join(best, on=[*CELL, "source"], how="anti").with_columns(reason=pl.lit(_ANOTHER))
    ends = pl.col("iso3").is_in(["WLD", "OTH"]) | (pl.col("method") == "share_x_total")
    lead = rows.filter(ends).group_by(GROUP).agg(lead=pl.col("rank").min())
    listed = rows.join(lead, on=GROUP).filter(pl.col("rank") == pl.col("lead"))
    listed = listed.select(*CELL, listed=pl.lit(True)).unique()
    rest = best.filter(iso3="OTH").select(*GROUP, room=pl.col("quantity_t_high"))
    best = (
        best.join(lead, on=GROUP, how="left").join(listed, on=CELL, how="left").join(rest, on=GROUP, how="left")
    ).with_columns(
        stranger=pl.col("lead").is_not_null() & pl.col("listed").is_null() & (pl.col("iso3") != "OTH"),
        room=pl.col("room").fill_null(0.0),
    )
    # Sorted, so that sums are the same to the last bit in every run.
    fitted = _fitted(best.sort(CELL))
    none = fitted.filter((pl.col("fit") == 0) & (pl.col("quantity_t") == 0) & pl.col("stranger"))
    lost = pl.concat(
        [
            lost.select("source", "vintage", "reason"),
            none.select("source", "vintage", reason=pl.lit(_NO_ROOM)),
        ]
    )
    return fitted.join(none, on=CELL, how="anti").select(*CANDIDATE, "rank"), lost


def _fitted(best: pl.DataFrame) -> pl.DataFrame:
    """Scale unlisted countries to the room of the line for others, and take them out of it.

    Figures of a source that comes before the leading table stay as they are.
    """
    firm = pl.col("stranger") & (pl.col("rank") < pl.col("lead"))
    soft = pl.col("stranger") & ~firm
    asked = pl.col("quantity_t").filter(soft).sum().over(GROUP)
    room = (pl.col("room") - pl.col("quantity_t").filter(firm).sum().over(GROUP)).clip(lower_bound=0)
    rows = best.with_columns(fit=pl.when(soft & (asked > 0)).then((room / asked).clip(0, 1)).otherwise(1.0))
    rows = rows.with_columns(
        quantity_t=pl.col("quantity_t") * pl.col("fit"),
        quantity_t_low=pl.when(pl.col("fit") < 1).then(0.0).otherwise("quantity_t_low"),
    )
    gone = pl.col("quantity_t").filter(pl.col("stranger")).sum().over(GROUP)
    other = (pl.col("iso3") == "OTH") & (gone > 0)
    return rows.with_columns(
        pl.when(other).then((pl.col(name) - gone).clip(lower_bound=0)).otherwise(name).alias(name) for name in _TONNES
    )


def _figure(value: pl.Expr) -> pl.Expr:
    return value.round_sig_figs(4).cast(pl.String).str.strip_suffix(".0")


def with_alternatives(picked: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Add ``alternatives`` and ``conflict``.

    An alternative is a figure of a source that comes later and lies more than ``CONFLICT`` away; net
    exports are a least amount and speak up only when they exceed the figure. Only figures for the
    same year make a conflict; shares of older windows and carried figures are shown.
    """
    cells = picked.select(*CELL, "rank", centre="quantity_t")
    others = rows.filter(pl.col("quantity_t").is_not_null()).select(
        *CELL, "rank", "source", "method", "quantity_t", "same_year"
    )
    apart = pl.col("quantity_t") - pl.col("centre")
    wide = pl.when(pl.col("method") == "derived_balance").then(apart).otherwise(apart.abs()) > CONFLICT * pl.col(
        "centre"
    )
    met = cells.join(others, on=CELL, suffix="_other").filter((pl.col("rank_other") > pl.col("rank")) & wide)
    met = met.filter(pl.col("iso3") != "OTH").sort(*CELL, "rank_other")
    said = pl.concat_str([pl.col("source"), _figure(pl.col("quantity_t"))], separator=" ")
    found = met.group_by(CELL).agg(
        alternatives=said.str.join("; "),
        conflict=pl.col("same_year").any(),
    )
    return picked.join(found, on=CELL, how="left").with_columns(pl.col("conflict").fill_null(False))


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Build the table.

    Args:
        frames: holds ``production``, ``us_salient``, ``supply_share`` and ``stage_flow``.

    Returns:
        The canonical table (no WLD rows; OTH keeps the rest of the world, so that shares of the
        others are not inflated), and the figures not used, counted by reason.
    """
    return _build(frames, net_exports(frames["stage_flow"]))


def pieces(scans: Scans) -> Iterator[Built]:
    """Build the table in one piece, with the trade read a few years at a time."""
    trade = scans["stage_flow"]
    parts = [
        net_exports(trade.filter(pl.col("year").is_in(years)).collect())
        for years in years_together(rows_by_year([trade]))
    ]
    balances = pl.concat(parts) if parts else net_exports(trade.collect())
    # They bear the newest vintage of all years.
    balances = balances.with_columns(vintage=pl.col("vintage").max())
    yield _build({name: scan.collect() for name, scan in scans.items() if name != "stage_flow"}, balances)


def _build(frames: Frames, balances: pl.DataFrame) -> Built:
    rows, left_out = candidates(frames, balances)
    picked, lost = chosen(rows)
    table = with_alternatives(picked, rows).drop("rank")
    lost = pl.concat([left_out, lost])
    return table, count_dropped(lost, TABLE)


TRANSFORM = Transform(
    table=TABLE,
    inputs=("production", "us_salient", "supply_share", "stage_flow"),
    build=build,
    pieces=pieces,
    description=(
        "Output by material, stage, country and year in tonnes contained with bounds, one figure per cell chosen by "
        "the stated order of sources, other sources' figures shown where they differ by more than 10 % (methods, "
        "sections 3 and 4). OTH is the rest of the world; net exports stand in where nothing is published."
    ),
)
