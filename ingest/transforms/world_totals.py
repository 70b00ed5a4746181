"""Do the countries of a world table make up its printed total?

What belongs here: the comparison, in tonnes, and the guard that every gap is a known one
(``reference/known_total_gaps.csv``, each row with the two figures it was written for). What does
not: mending a print; a gap that is known stays in the data.
"""

from __future__ import annotations

import polars as pl

from ingest.errors import SourceChanged
from ingest.mapping import reference

GROUP = ["material", "stage", "form", "measure", "year", "vintage"]
_FILE = "known_total_gaps.csv"
_FIGURES = ["printed_world", "sum"]


def world_gaps(production: pl.DataFrame) -> pl.DataFrame:
    """List the groups whose countries do not make up the printed world total.

    A total and its parts are rounded independently, so they agree when they differ by no more than
    the half-widths of all of them together. A part that is withheld or not available counts for
    nothing: MCS totals leave those out. A part known only within bounds (``<100``) counts with the
    middle of them and widens the tolerance. Totals printed as a bound (``>90,000,000``) are not held.

    Args:
        production: the canonical table.

    Returns:
        Group columns, ``printed_world``, ``sum`` and ``tolerance`` (t), ``unknown`` (number of parts
        without a figure).
    """
    parts = production.filter(pl.col("iso3") != "WLD")
    middle = pl.coalesce("quantity_t", (pl.col("quantity_t_low") + pl.col("quantity_t_high")) / 2)
    spread = pl.when(pl.col("quantity_t").is_null()).then((pl.col("quantity_t_high") - pl.col("quantity_t_low")) / 2)
    sums = parts.group_by(GROUP).agg(
        sum=middle.sum(),
        slack=pl.col("rounding_t").sum() + spread.sum(),
        unknown=middle.is_null().sum(),
        known=middle.is_not_null().sum(),
    )
    totals = production.filter(pl.col("iso3") == "WLD", pl.col("quantity_t").is_not_null())
    both = totals.select(*GROUP, pl.col("quantity_t").alias("printed_world"), "rounding_t").join(sums, on=GROUP)
    both = both.filter(pl.col("known") > 0).with_columns(tolerance=pl.col("rounding_t") + pl.col("slack"))
    apart = (pl.col("sum") - pl.col("printed_world")).abs()
    return (
        both.filter(apart > pl.col("tolerance") * (1 + 1e-9))
        .select(*GROUP, *_FIGURES, "tolerance", "unknown")
        .sort(GROUP)
    )


def known_gaps() -> pl.DataFrame:
    """Return the known gaps: group columns, ``printed_world`` and ``sum`` in tonnes, ``reason``."""
    table = reference(_FILE).select(*GROUP, *_FIGURES, "reason")
    return table.with_columns(pl.col("year").cast(pl.Int32), pl.col(_FIGURES).cast(pl.Float64))


def require_known_gaps(production: pl.DataFrame, recorded: pl.DataFrame | None = None) -> None:
    """Hold the gaps of a table to the known ones.

    Args:
        production: the canonical table, whole or a part of it.
        recorded: known gaps as ``known_gaps`` gives them; those of the file when left out.

    Raises:
        SourceChanged: a gap that the file does not hold, or a row of the file whose group is in the
            table but whose figures are not (any more) those of the gap.
    """
    found = world_gaps(production).with_columns(pl.col(_FIGURES).round(3))
    recorded = known_gaps() if recorded is None else recorded
    known = recorded.join(production.select(GROUP).unique(), on=GROUP, how="semi")
    key = [*GROUP, *_FIGURES]
    new, gone = found.join(known, on=key, how="anti"), known.join(found, on=key, how="anti")
    if new.height:
        row = new.row(0, named=True)
        raise SourceChanged(
            f"{new.height} world total(s) are not made up by their countries, first {row}. "
            f"Explain each in ingest/reference/{_FILE}, or correct the misprint in corrections.csv."
        )
    if gone.height:
        raise SourceChanged(
            f"{gone.height} known gap(s) of world totals are no longer as recorded, first {gone.row(0, named=True)}. "
            f"Renew or remove the row in ingest/reference/{_FILE}."
        )
