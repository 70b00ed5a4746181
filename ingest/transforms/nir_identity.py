"""Canonical ``nir_identity``: net import reliance recomputed from its own terms.

``NIR = 1 - (primary + secondary production) / apparent consumption`` (methods, section 2). Which
printed lines are the production of a commodity is data (``reference/nir_identity.csv``), chosen
after the chapter's own definition. What belongs here: the recomputation and the comparison with
the print. What does not: a claim about one commodity, and lines chosen because they fit.

A series is **trivial** in an edition when its print is censored, a net exporter's ``E`` or missing
in some year, or 100 in every year: a bound or a missing domestic output then satisfies the identity.
Series measured in dollars or by volume are outside the table, which is in tonnes.
"""

from __future__ import annotations

import polars as pl

from ingest.errors import UnmappedValue
from ingest.mapping import reference
from ingest.schemas import conform
from ingest.transforms.base import Frames, Transform, count_dropped

_FILE = "nir_identity.csv"
TOLERANCE_PP = 1.0
# Reliance is printed in whole percent, so the print itself is known to half a point only.
PRINT_ROUNDING_PP = 0.5
_SERIES = ["vintage", "commodity", "detail"]
_CELL = ["source", "vintage", "commodity", "year"]


def identities() -> pl.DataFrame:
    """Return what is recorded for each printed series of an edition.

    One row per ``vintage, commodity, detail``. ``production_lines`` are ``statistic:detail`` of ``us_salient`` to
    add, separated by ``;``, and ``consumption_line`` is what they are divided by; both null where the
    identity cannot be tested. ``reason`` says why it fails or cannot be tested.
    """
    return reference(_FILE)


def _printed(us_salient: pl.DataFrame) -> pl.DataFrame:
    printed = us_salient.filter(pl.col("statistic") == "net_import_reliance")
    return printed.with_columns(
        trivial=pl.col("value").is_null().any().over("source", *_SERIES)
        | (pl.col("value") == 100).all().over("source", *_SERIES)
    )


def _lines(us_salient: pl.DataFrame) -> pl.DataFrame:
    """Return tonnes by ``line`` (``statistic:detail``)."""
    in_tonnes = us_salient.filter(pl.col("unit") == "t", pl.col("value").is_not_null())
    return in_tonnes.select(*_CELL, line=pl.format("{}:{}", "statistic", "detail"), tonnes="value")


def _production(us_salient: pl.DataFrame, identity: pl.DataFrame) -> pl.DataFrame:
    """Add the production lines of each series; a withheld line is left out and not named as used."""
    wanted = identity.select(*_SERIES, line=pl.col("production_lines").str.split(";")).explode("line")
    found = wanted.join(_lines(us_salient), on=["vintage", "commodity", "line"], how="inner", maintain_order="left")
    return found.group_by("source", *_SERIES, "year", maintain_order=True).agg(
        production_t=pl.col("tonnes").sum(), production_used=pl.col("line").str.join("+")
    )


def recompute_nir(us_salient: pl.DataFrame, identity: pl.DataFrame) -> pl.DataFrame:
    """Recompute every net import reliance whose terms are printed.

    Args:
        us_salient: the canonical table.
        identity: as ``identities()``, rows with ``production_lines`` only.

    Returns:
        One row per printed figure of those series: ``source, vintage, commodity, detail, material,
        year, production_t, apparent_consumption_t`` (tonnes), ``recomputed_pct, printed_pct,
        printed_low_pct, printed_high_pct, token, difference_pp, within, trivial, columns_used``.
        ``difference_pp`` is recomputed minus printed. ``within`` holds when a printed number
        is met within 1 point and the half point of its rounding, or a censored print's bounds are met within
        that half point; it is null where a term is withheld or nothing is printed.
    """
    consumption = _lines(us_salient).rename({"line": "consumption_line", "tonnes": "apparent_consumption_t"})
    rows = (
        _printed(us_salient)
        .join(identity.select(*_SERIES, "consumption_line"), on=_SERIES, how="inner", validate="m:1")
        .join(_production(us_salient, identity), on=["source", *_SERIES, "year"], how="left", validate="1:1")
        .join(consumption, on=[*_CELL, "consumption_line"], how="left", validate="m:1")
        .rename({"value": "printed_pct", "value_low": "printed_low_pct", "value_high": "printed_high_pct"})
        .with_columns(recomputed_pct=_nir_pct("production_t", "apparent_consumption_t"))
        .with_columns(difference_pp=pl.col("recomputed_pct") - pl.col("printed_pct"))
    )
    return rows.select(
        *_CELL,
        "detail",
        "material",
        "production_t",
        "apparent_consumption_t",
        "recomputed_pct",
        "printed_pct",
        "printed_low_pct",
        "printed_high_pct",
        "token",
        "difference_pp",
        _within(),
        "trivial",
        columns_used=pl.format("{} / {}", pl.col("production_used").fill_null("none"), "consumption_line"),
    )


def _nir_pct(production: str, consumption: str) -> pl.Expr:
    return pl.when(pl.col(consumption) > 0).then(100 * (1 - pl.col(production) / pl.col(consumption)))


def _within() -> pl.Expr:
    low = pl.col("printed_low_pct").fill_null(float("-inf")) - PRINT_ROUNDING_PP
    high = pl.col("printed_high_pct").fill_null(float("inf")) + PRINT_ROUNDING_PP
    bounded = pl.col("printed_low_pct").is_not_null() | pl.col("printed_high_pct").is_not_null()
    return (
        pl.when(pl.col("printed_pct").is_not_null())
        .then(pl.col("difference_pp").abs() <= TOLERANCE_PP + PRINT_ROUNDING_PP)
        .when(bounded)
        .then(pl.col("recomputed_pct").is_between(low, high))
        .alias("within")
    )


def _untested(us_salient: pl.DataFrame, identity: pl.DataFrame) -> pl.DataFrame:
    """Return the printed figures that are not recomputed, with their reason.

    Raises:
        UnmappedValue: a series of a recorded edition that the reference file does not hold.
    """
    printed = _printed(us_salient)
    recorded = pl.col("vintage").is_in(identity["vintage"].unique().to_list())
    lost = printed.filter(recorded).join(identity, on=_SERIES, how="anti").select(_SERIES).unique(maintain_order=True)
    if lost.height:
        raise UnmappedValue(
            "net import reliance (edition, commodity, detail)", [str(row) for row in lost.rows()], _FILE
        )
    without = identity.filter(pl.col("production_lines").is_null()).select(*_SERIES, "reason")
    return pl.concat(
        [
            printed.join(without, on=_SERIES, how="inner").select("source", "vintage", "reason"),
            printed.filter(~recorded).select(
                "source", "vintage", reason=pl.lit("no identity is recorded for this edition")
            ),
        ]
    )


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make ``nir_identity``.

    Args:
        frames: has ``us_salient``.

    Returns:
        The canonical table, and the printed figures that are not recomputed, counted by reason.

    Raises:
        UnmappedValue: a series of a recorded edition that the reference file does not hold.
    """
    us_salient, identity = frames["us_salient"], identities()
    dropped = count_dropped(_untested(us_salient, identity), "nir_identity")
    testable = identity.filter(pl.col("production_lines").is_not_null())
    table = recompute_nir(us_salient, testable).with_columns(evidence=pl.lit("derived"))
    return conform(table, "nir_identity"), dropped


TRANSFORM = Transform(
    table="nir_identity",
    inputs=("us_salient",),
    build=build,
    description=(
        "US net import reliance recomputed as 1 - production / apparent consumption beside the printed figure, in "
        "percent, with the lines used; within 1 percentage point of the rounded print or not (methods, section 2)."
    ),
)
