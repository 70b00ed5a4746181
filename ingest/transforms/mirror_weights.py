"""How far each reporter is to be trusted, and the CIF mark-up: both from the flows that two sides report.

What belongs here: the model of disagreement. What does not: applying its weights (``mirror.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.transforms.mirror_parameters import Parameters

MARKUP_SCHEMA = {
    "year": pl.Int32(),
    "markup": pl.Float64(),
    "compared_flows": pl.Int64(),
    "estimated": pl.Boolean(),
    "typical_fold": pl.Float64(),
}
REPORTER_SCHEMA = {
    "year": pl.Int32(),
    "iso3": pl.String(),
    "side": pl.String(),
    "compared_flows": pl.Int64(),
    "log_error": pl.Float64(),
}
# The shares of the two sides settle to three digits in far fewer rounds.
_ROUNDS = 100
# Reports that all agree leave no variance to share out.
_LEAST = 1e-12
Numbers = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Reliability:
    """What the disagreements say.

    Attributes:
        markup: ``MARKUP_SCHEMA``, per year: median CIF mark-up (import over export report), held to
            1..``markup_cap``; median disagreement (ratio, 1 or more) beside it.
        reporters: ``REPORTER_SCHEMA``, per year, country and side it reported as: ``log_error`` is the
            standard error of the logarithm of its reports.
    """

    markup: pl.DataFrame
    reporters: pl.DataFrame


def reliability(flows: pl.DataFrame, given: Parameters) -> Reliability:
    """Estimate mark-up and errors from the flows that both sides report (Gaulier & Zignago 2010).

    The logarithm of export over deflated import report is the sum of an exporter's and an importer's
    error. The squared disagreements are shared out between the two by the expectation-maximisation
    steps of two crossed variance components, each shrunk towards the year's mean by
    ``prior_flows`` flows, so that every error stays above 0 and a country with few flows near the mean.

    Args:
        flows: ``year, exporter, importer, export_usd, import_usd``, null where a side is silent; sorted.
        given: the parameters.

    Returns:
        The estimates; a year without compared flows has the fall-back mark-up, and its countries
        are in none of the rows.
    """
    two = flows.drop_nulls(["export_usd", "import_usd"]).with_columns(
        smaller=pl.min_horizontal("export_usd", "import_usd")
    )
    # An element of the column, not a point between two: the same flows are compared at any scale.
    floor = pl.col("smaller").quantile(given.disagreement_floor_quantile, "lower").over("year")
    compared = two.filter(pl.col("smaller") >= floor)
    ratio = (pl.col("import_usd") / pl.col("export_usd")).log()
    compared = compared.select("year", "exporter", "importer", ratio=ratio)
    markup = _markup(flows.select("year").unique(), compared, given)
    centred = compared.join(markup, on="year", maintain_order="left").with_columns(
        squared=(pl.col("ratio") - pl.col("markup").log()) ** 2
    )
    return Reliability(markup.sort("year"), _errors(centred, given))


def _markup(years: pl.DataFrame, compared: pl.DataFrame, given: Parameters) -> pl.DataFrame:
    found = compared.group_by("year").agg(
        median=pl.col("ratio").median().exp(),
        compared_flows=pl.len().cast(pl.Int64),
        typical_fold=pl.col("ratio").abs().median().exp(),
    )
    enough = pl.col("compared_flows") >= given.markup_min_flows
    return (
        years.join(found, on="year", how="left")
        .with_columns(pl.col("compared_flows").fill_null(0))
        .with_columns(
            markup=pl.when(enough)
            .then(pl.col("median").clip(1.0, given.markup_cap))
            .otherwise(min(given.markup_fallback, given.markup_cap)),
            estimated=enough,
            typical_fold=pl.when(enough).then("typical_fold").otherwise(None).fill_null(given.disagree_fold),
        )
        .select(pl.col(name).cast(kind) for name, kind in MARKUP_SCHEMA.items())
    )


def _errors(compared: pl.DataFrame, given: Parameters) -> pl.DataFrame:
    """Share the squared disagreements out between exporters and importers of each year."""
    if not compared.height:
        return pl.DataFrame(schema=REPORTER_SCHEMA)
    names = {
        side: compared.select("year", iso3=side).unique().sort("year", "iso3") for side in ("exporter", "importer")
    }
    place = {
        side: compared.select("year", iso3=side)
        .join(table.with_row_index("row"), on=["year", "iso3"], maintain_order="left")["row"]
        .to_numpy()
        .astype(np.intp)
        for side, table in names.items()
    }
    mean = compared.select("year", mean=pl.col("squared").mean().over("year").clip(lower_bound=_LEAST)).unique()
    shares = {"exporter": given.exporter_variance_share, "importer": 1 - given.exporter_variance_share}
    prior = {
        side: table.join(mean, on="year", maintain_order="left")["mean"].to_numpy() * shares[side]
        for side, table in names.items()
    }
    squared = compared["squared"].to_numpy()
    variances = _components(squared, place["exporter"], place["importer"], prior["exporter"], prior["importer"], given)
    return pl.concat(
        table.with_columns(
            side=pl.lit(side),
            compared_flows=pl.Series(np.bincount(place[side], minlength=table.height)),
            log_error=pl.Series(np.sqrt(variance)),
        ).select(pl.col(name).cast(kind) for name, kind in REPORTER_SCHEMA.items())
        for (side, table), variance in zip(names.items(), variances, strict=True)
    )


def _components(
    squared: Numbers,
    exporter: Index,
    importer: Index,
    exporter_prior: Numbers,
    importer_prior: Numbers,
    given: Parameters,
) -> tuple[Numbers, Numbers]:
    """Return the variances of exporters and importers; ``squared`` has one entry per compared flow."""

    def settled(part: Numbers, other: Numbers, place: Index, prior: Numbers) -> Numbers:
        # Expected square of this side's error, given the disagreement of both.
        total = part + other
        expected = part * part * squared / total**2 + part * other / total
        number = np.bincount(place, minlength=len(prior))
        summed = np.bincount(place, expected, minlength=len(prior))
        found: Numbers = (summed + given.prior_flows * prior) / (number + given.prior_flows)
        return found

    ours, theirs = exporter_prior, importer_prior
    for _ in range(_ROUNDS):
        here, there = ours[exporter], theirs[importer]
        ours, theirs = (
            settled(here, there, exporter, exporter_prior),
            settled(there, here, importer, importer_prior),
        )
    return ours, theirs
