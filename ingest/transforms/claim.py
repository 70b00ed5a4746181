"""Canonical ``claim``: published statements, and which canonical rows each is recomputed from.

What belongs here: the statements of ``reference/claims.csv`` and one statement per series of the
net import reliance identity. What does not: the recomputation, which is made by dbt
(``int_claims__inputs``) so that a reader of the warehouse can follow it row by row.

A claim takes rows of ``data_table`` (``data_source``, ``data_vintage``) whose ``measure``,
``lines``, importer, material, stage, commodity and years match; empty means any. ``traced_exposure`` of
source ``tracing`` is the look-through of the same run. ``metric`` says what is made of them:

``share_of_countries``  100 x rows of ``country`` / all rows but the world total
``share_of_world``      100 x rows of ``country`` / the printed world total
``top_share``           100 x largest country / all rows but the world total
``top3_share``          100 x three largest countries / all rows but the world total
``ratio_to_rest``       rows of ``country`` / rows of all other countries
``sum_of_countries``    sum of all rows but the world total (of ``country`` only, where given)
``net_import_reliance`` 100 x (apparent consumption - production) / apparent consumption
``traced_share``        100 x sum of the traced shares of ``country`` (several separated by ``;``)
``largest_difference``  largest absolute value of the rows
``not_measurable``      no row here can tell; ``reason`` says why
"""

from __future__ import annotations

import polars as pl

from ingest.errors import OretraceError
from ingest.mapping import reference
from ingest.schemas import CANONICAL, conform
from ingest.transforms.base import Frames, Transform, nothing_dropped
from ingest.transforms.nir_identity import PRINT_ROUNDING_PP, TOLERANCE_PP, identities

_FILE = "claims.csv"
_IDENTITY_EDITION = "2025"
METRICS = (
    "share_of_countries",
    "share_of_world",
    "top_share",
    "top3_share",
    "ratio_to_rest",
    "sum_of_countries",
    "net_import_reliance",
    "traced_share",
    "largest_difference",
    "not_measurable",
)


def typed_statements(rows: pl.DataFrame) -> pl.DataFrame:
    """Give statements their types and refuse what cannot be used.

    Args:
        rows: columns of the canonical table as text, empty fields null.

    Returns:
        The same rows, typed.

    Raises:
        OretraceError: an unknown metric, or a statement that is not measurable without a reason.
    """
    typed = rows.select(pl.col(name).cast(kind) for name, kind in CANONICAL["claim"].columns.items())
    wrong = typed.filter(~pl.col("metric").is_in(METRICS))
    if wrong.height:
        raise OretraceError(
            f"ingest/reference/{_FILE}: {wrong['claim'][0]} has the metric {wrong['metric'][0]!r}, "
            f"not one of {', '.join(METRICS)}."
        )
    silent = typed.filter(pl.col("metric") == "not_measurable", pl.col("reason").is_null())
    if silent.height:
        raise OretraceError(f"ingest/reference/{_FILE}: {silent['claim'][0]} is not measurable but gives no reason.")
    return typed


def from_identity(nir_identity: pl.DataFrame, edition: str = _IDENTITY_EDITION) -> pl.DataFrame:
    """State the identity of each series that can fail.

    Args:
        nir_identity: the canonical table.
        edition: edition of the Mineral Commodity Summaries.

    Returns:
        One claim per commodity and printed line of that edition which is not trivial: the largest
        difference between printed and recomputed net import reliance is within one percentage
        point, plus the half point that the print itself is rounded by.
    """
    series = nir_identity.filter(pl.col("vintage") == edition, ~pl.col("trivial"))
    series = series.group_by("commodity", "detail", maintain_order=True).agg(
        pl.col("material", "source").first(), first_year=pl.col("year").min(), year=pl.col("year").max()
    )
    reasons = identities().filter(pl.col("vintage") == edition).select("commodity", "detail", "reason")
    named = series.join(reasons, on=["commodity", "detail"], how="left").with_columns(
        label=pl.when(pl.col("detail") == "all")
        .then("commodity")
        .otherwise(pl.format("{} ({})", "commodity", "detail"))
        .str.replace_all("_", " ")
    )
    text = (
        "US net import reliance for {} as printed for {}-{} equals 1 - production / apparent consumption "
        "of the same edition in every year."
    )
    filled: dict[str, pl.Expr] = {
        "claim": pl.format("nir_identity_{}_{}", "commodity", "detail").str.strip_suffix("_all"),
        "statement": pl.format(text, "label", "first_year", "year"),
        "metric": pl.lit("largest_difference"),
        "data_table": pl.lit("nir_identity"),
        "data_source": pl.col("source"),
        "data_vintage": pl.lit(edition),
        "measure": pl.lit("difference_pp"),
        "lines": pl.col("detail"),
        "importer": pl.lit("USA"),
        "published": pl.lit(0.0),
        "unit": pl.lit("percentage points"),
        "tolerance": pl.lit(TOLERANCE_PP + PRINT_ROUNDING_PP),
        "claim_source": pl.lit("USGS MCS"),
        "claim_vintage": pl.lit(edition),
        "citation": pl.lit(f"USGS ({edition}), Mineral Commodity Summaries {edition}, salient statistics"),
    }
    columns = CANONICAL["claim"].columns
    present = {name: pl.col(name) for name in named.columns if name in columns}
    return named.select(
        (filled.get(name) if name in filled else present.get(name, pl.lit(None))).cast(kind).alias(name)  # type: ignore[union-attr]
        for name, kind in columns.items()
    )


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make ``claim``.

    Args:
        frames: has ``nir_identity``.

    Returns:
        The canonical table; no row is dropped.

    Raises:
        OretraceError: a statement of the reference file cannot be used.
    """
    claims = pl.concat([typed_statements(reference(_FILE)), from_identity(frames["nir_identity"])])
    return conform(claims, "claim"), nothing_dropped()


TRANSFORM = Transform(
    table="claim",
    inputs=("nir_identity",),
    build=build,
    description=(
        "Published headline figures with tolerance, unit and citation, and the canonical rows each one is recomputed "
        "from (methods, section 7)."
    ),
)
