"""Canonical ``claim``: published statements, and which canonical rows each is recomputed from.

What belongs here: the statements of ``reference/claims*.csv``, their tolerance by the rules of
``reference/claim_tolerances.csv``, and one statement per series of the net import reliance
identity. What does not: the recomputation, which is made by dbt (``int_claims__inputs``) so that a
reader of the warehouse can follow it row by row.

A claim takes rows of ``data_table`` (``data_source``, ``data_vintage``) whose ``measure``,
``lines``, importer, material, stage, commodity and years match; empty means any. ``traced_exposure`` of
source ``tracing`` is the look-through of the same run. ``metric`` says what is made of them:

``share_of_countries``  100 x rows of ``country`` / all rows but the world total
``share_of_world``      100 x rows of ``country`` / the printed world total
``top_share``           100 x largest country / all rows but the world total
``top3_share``          100 x three largest countries / all rows but the world total
``ratio_to_rest``       rows of ``country`` / rows of all other countries
``sum_of_countries``    sum of all rows but the world total (of ``country`` only, where given)
``sum_of_lines``        sum of all rows, whatever their country
``net_import_reliance`` 100 x (apparent consumption - production) / apparent consumption
``traced_share``        100 x sum of the traced shares of ``country`` (several separated by ``;``)
``largest_difference``  largest absolute value of the rows
``not_measurable``      no row here can tell; ``reason`` says why

A tolerance is never typed beside a claim: it follows from the rule the claim names and from how the
figure was printed (column ``rounding``: the unit of its last printed digit), so that it cannot be
widened for one figure after its result is known.
"""

from __future__ import annotations

import polars as pl

from ingest.errors import OretraceError
from ingest.mapping import reference
from ingest.schemas import CANONICAL, conform
from ingest.transforms.base import Frames, Transform, nothing_dropped
from ingest.transforms.nir_identity import PRINT_ROUNDING_PP, TOLERANCE_PP, identities

_FILES = ("claims.csv", "claims_production.csv", "claims_trade.csv", "claims_reliance.csv")
_RULES = "claim_tolerances.csv"
_IDENTITY_EDITION = "2025"
METRICS = (
    "share_of_countries",
    "share_of_world",
    "top_share",
    "top3_share",
    "ratio_to_rest",
    "sum_of_countries",
    "sum_of_lines",
    "net_import_reliance",
    "traced_share",
    "largest_difference",
    "not_measurable",
)
_RECOMPUTED_FROM = ("components", "other_source")
_CITATION_BASIS = ("seen", "unverified")


def typed_statements(rows: pl.DataFrame, file: str) -> pl.DataFrame:
    """Give statements their types and their tolerance, and refuse what cannot be used.

    Args:
        rows: columns of the reference file as text, empty fields null.
        file: its name, for the messages.

    Returns:
        Columns of the canonical table; ``tolerance`` in the unit of the statement, 0 where nothing is measured.

    Raises:
        OretraceError: an unknown metric, rule or other word, a statement that is not measurable without a
            reason, or one that cannot be given its tolerance.
    """
    measured = pl.col("metric") != "not_measurable"
    words = {
        "metric": (METRICS, pl.lit(True)),
        "recomputed_from": (_RECOMPUTED_FROM, measured),
        "tolerance_rule": (tuple(reference(_RULES)["rule"]), measured),
        "citation_basis": (_CITATION_BASIS, pl.lit(True)),
    }
    for column, (allowed, where) in words.items():
        wrong = rows.filter(where, ~pl.col(column).is_in(allowed).fill_null(value=False))
        if wrong.height:
            raise OretraceError(
                f"ingest/reference/{file}: {wrong['claim'][0]} has the {column} {wrong[column][0]!r}, "
                f"not one of {', '.join(allowed)}."
            )
    silent = rows.filter(~measured, pl.col("reason").is_null())
    if silent.height:
        raise OretraceError(f"ingest/reference/{file}: {silent['claim'][0]} is not measurable but gives no reason.")
    ruled = with_tolerance(rows)
    loose = ruled.filter(measured, ~(pl.col("tolerance") > 0).fill_null(value=False))
    if loose.height:
        raise OretraceError(
            f"ingest/reference/{file}: {loose['claim'][0]} gets no tolerance by the rule "
            f"{loose['tolerance_rule'][0]!r}: it needs a rounding or a published figure ({_RULES})."
        )
    return ruled.select(pl.col(name).cast(kind) for name, kind in CANONICAL["claim"].columns.items())


def with_tolerance(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the tolerance that each statement's rule gives.

    Args:
        rows: ``tolerance_rule``, ``published`` and ``rounding`` as text.

    Returns:
        The rows with ``tolerance``: half the printed unit, a fixed amount, or a part of the published figure;
        0 without a rule, null where the rule lacks what it needs.
    """
    rules = reference(_RULES).select("kind", pl.col("amount").cast(pl.Float64), tolerance_rule="rule")
    joined = rows.join(rules, on="tolerance_rule", how="left", maintain_order="left")
    published, rounding = (pl.col(name).cast(pl.Float64) for name in ("published", "rounding"))
    tolerance = (
        pl.when(pl.col("kind") == "half_rounding")
        .then(rounding / 2)
        .when(pl.col("kind") == "absolute")
        .then("amount")
        .when(pl.col("kind") == "relative")
        .then(published.abs() * pl.col("amount"))
        .otherwise(pl.when(pl.col("tolerance_rule").is_null()).then(0.0))
    )
    return joined.with_columns(tolerance=tolerance)


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
        "tolerance_rule": pl.lit("identity"),
        "recomputed_from": pl.lit("components"),
        "claim_source": pl.lit("USGS MCS"),
        "claim_vintage": pl.lit(edition),
        "citation": pl.lit(f"USGS ({edition}), Mineral Commodity Summaries {edition}, salient statistics"),
        "citation_basis": pl.lit("seen"),
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
    stated = [typed_statements(reference(file), file) for file in _FILES]
    claims = pl.concat([*stated, from_identity(frames["nir_identity"])])
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
