"""Guards that tables of shares have in common.

What belongs here: holding the sums of listed shares to what is known of them. What does not: the
tables themselves.
"""

from __future__ import annotations

import polars as pl

from ingest.errors import SourceChanged
from ingest.mapping import reference

GAPS = "eu_crm_known_gaps.csv"
# Whole percents of up to twenty lines, and lines below 0.1 % read at their middle.
LOWEST_SUM, HIGHEST_SUM = 0.98, 1.025
_KEY = ("scope", "name", "step")


def check_sums(frame: pl.DataFrame) -> None:
    """Hold each group's listed shares to 1, except the groups listed with their sum in ``GAPS``.

    Args:
        frame: ``scope, name, step, vintage, share``, one row per listed line.

    Raises:
        SourceChanged: a sum off 1 that is not listed, or listed with another sum.
    """
    sums = frame.group_by(*_KEY, "vintage").agg(found=pl.col("share").sum().round(4)).sort(*_KEY, "vintage")
    known = reference(GAPS).select(*_KEY, expected=pl.col("listed_share").cast(pl.Float64))
    sums = sums.join(known, on=_KEY, how="left", nulls_equal=True, validate="m:1")
    regular = pl.col("found").is_between(LOWEST_SUM, HIGHEST_SUM)
    as_listed = (pl.col("found") - pl.col("expected")).abs() < 1e-6
    odd = sums.filter(~pl.when(pl.col("expected").is_null()).then(regular).otherwise(as_listed))
    if odd.height:
        row = odd.row(0, named=True)
        expected = "1" if row["expected"] is None else f"{row['expected']} as listed"
        raise SourceChanged(
            f"EU shares: {odd.height} groups do not add up, first {row['scope']} {row['name']} {row['step'] or ''}: "
            f"{row['found']}, expected {expected}. If the publisher's table says so, put the sum into "
            f"ingest/reference/{GAPS}."
        )
