"""Corrections of misprints are applied where they are expected and fail once the misprint is gone."""

from __future__ import annotations

import polars as pl
import pytest

from ingest.corrections import apply_corrections, corrected
from ingest.errors import SourceChanged

CORRECTIONS = pl.DataFrame(
    [
        ("x", "1", "raw_x: name=Gemanium", "name", "Gemanium", "Germanium", "misspelt"),
        ("x", "1", "raw_x: name=Germanium && unit=", "unit", None, "kg", "blank"),
    ],
    schema=["source", "vintage", "where", "column", "expect", "replace", "reason"],
    orient="row",
)
ROWS = pl.DataFrame({"name": ["Gemanium", "Tin"], "unit": [None, "t"]})


def test_corrections_apply_in_order_and_leave_other_rows() -> None:
    assert apply_corrections(ROWS, CORRECTIONS).rows() == [("Germanium", "kg"), ("Tin", "t")]


def test_a_true_or_false_column_is_corrected_as_such() -> None:
    flagged = ROWS.with_columns(estimated=pl.lit(False))
    mark = CORRECTIONS.head(1).with_columns(column=pl.lit("estimated"), expect=pl.lit("false"), replace=pl.lit("true"))
    assert apply_corrections(flagged, mark)["estimated"].to_list() == [True, False]


def test_a_vintage_without_corrections_is_left_alone() -> None:
    assert corrected(ROWS, "usgs_mcs", "1990", "raw_usgs_mcs__world").equals(ROWS)


def test_a_correction_whose_misprint_is_gone_stops_the_run() -> None:
    mended = ROWS.with_columns(name=pl.col("name").replace("Gemanium", "Germanium"))
    with pytest.raises(SourceChanged, match="expects 'Gemanium' and finds no row"):
        apply_corrections(mended, CORRECTIONS)


def test_a_correction_that_meets_another_value_too_stops_the_run() -> None:
    everywhere = CORRECTIONS.tail(1).with_columns(where=pl.lit("raw_x: name=Tin"))
    with pytest.raises(SourceChanged, match=r"expects None and finds \['t'\]"):
        apply_corrections(ROWS, everywhere)
