"""Codes of one Harmonized System edition to another, for the codes that the map uses.

What belongs here: following ``reference/hs_revisions.csv`` step by step. What does not: the
correlations themselves, and which edition a reporter used (its own column says so).
"""

from __future__ import annotations

import polars as pl

from ingest.errors import BadInput
from ingest.mapping import reference

FILE = "hs_revisions.csv"
EDITIONS = ("HS1992", "HS1996", "HS2002", "HS2007", "HS2012", "HS2017", "HS2022")
# Comtrade numbers the editions; the 1988 edition and its 1992 consolidation share a number.
_NAMES = {f"H{number}": edition for number, edition in enumerate(EDITIONS)} | {"HS1988": "HS1992"}
_COLUMNS = ("hs_edition", "classification")


def edition_column(reports: pl.DataFrame) -> str | None:
    """Return the column that names the edition (``hs_edition``, else ``classification``), or None."""
    return next((name for name in _COLUMNS if name in reports.columns), None)


def to_edition(reports: pl.DataFrame, target: str = "HS2017") -> pl.DataFrame:
    """Convert codes to one edition of the Harmonized System (methods, section 4).

    Args:
        reports: has ``hs6``, ``value_usd``, ``net_weight_kg`` and ``hs_edition`` or
            ``classification``: ``H0`` to ``H6`` or ``HS1992`` to ``HS2022``. Other columns stay;
            none may be called ``to_hs6``, ``weight`` or ``parts``.
        target: the edition wanted. From a later edition only one step back, HS2022 to HS2017, is on
            file; from an earlier one all steps are.

    Returns:
        The frame in the target edition, one row per part: value (USD) and net weight (kg) times the
        part's weight, ``split_code`` true where a code was divided. A code without a row in
        ``hs_revisions.csv`` keeps its number.

    Raises:
        BadInput: no edition column, an unknown edition, or steps that are not on file.
    """
    column = edition_column(reports)
    if column is None:
        raise BadInput(f"reports to convert: no column of {list(_COLUMNS)}; found {reports.columns}.")
    if target not in EDITIONS:
        raise BadInput(f"target edition {target!r}: expected one of {list(EDITIONS)}.")
    names = pl.col(column).cast(pl.String).str.strip_chars().replace(_NAMES)
    numbers = pl.col("value_usd", "net_weight_kg").cast(pl.Float64)
    frame = reports.with_columns(names.alias(column), numbers)
    odd = frame.filter(~pl.col(column).is_in(EDITIONS) | pl.col(column).is_null())[column].unique().sort()
    if len(odd):
        raise BadInput(f"column {column}: {odd.to_list()[:10]} is no edition; expected H0 to H6 or {list(EDITIONS)}.")
    if "split_code" not in frame.columns:
        frame = frame.with_columns(split_code=pl.lit(False))
    parts = [_follow(part, column, part[column][0], target) for part in frame.partition_by(column, maintain_order=True)]
    return pl.concat(parts).with_columns(pl.lit(target).alias(column)) if parts else frame


def _follow(frame: pl.DataFrame, column: str, start: str, target: str) -> pl.DataFrame:
    here, there = EDITIONS.index(start), EDITIONS.index(target)
    step = 1 if there > here else -1
    for place in range(here, there, step):
        frame = _step(frame, EDITIONS[place], EDITIONS[place + step])
    return frame


def _step(frame: pl.DataFrame, old: str, new: str) -> pl.DataFrame:
    rows = reference(FILE).filter(pl.col("from_edition") == old, pl.col("to_edition") == new)
    if not rows.height:
        raise BadInput(f"no correlation from {old} to {new} on file. Add its rows to ingest/reference/{FILE}.")
    rows = rows.select("hs6", "to_hs6", pl.col("weight").cast(pl.Float64), parts=pl.len().over("hs6"))
    weight = pl.col("weight").fill_null(1.0)
    return (
        frame.join(rows, on="hs6", how="left", maintain_order="left_right")
        .with_columns(
            hs6=pl.coalesce("to_hs6", "hs6"),
            value_usd=pl.col("value_usd") * weight,
            net_weight_kg=pl.col("net_weight_kg") * weight,
            split_code=pl.col("split_code") | (pl.col("parts").fill_null(1) > 1),
        )
        .drop("to_hs6", "weight", "parts")
    )
