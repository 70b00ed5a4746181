"""Recycled supply enters at the stage where its product is sold, once."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ingest.errors import UnmappedValue
from ingest.schemas import CANONICAL, conform
from ingest.transforms.secondary_supply import TABLE, TRANSFORM

LINE: dict[str, Any] = {
    **{"commodity": "lead", "material": "lead", "stage": "secondary", "statistic": "production", "year": 2024},
    **{"detail": "refinery_secondary", "value": 10.0, "value_low": 10.0, "value_high": 10.0, "unit": "t"},
    **{"basis": "Pb", "token": "10", "source": "usgs_mcs", "vintage": "2026", "evidence": "reported"},
}


def build(*rows: dict[str, Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    frame = pl.DataFrame([LINE | row for row in rows], schema=CANONICAL["us_salient"].columns)
    table, dropped = TRANSFORM.build({"us_salient": frame})
    return conform(table, TABLE), dropped


def test_the_latest_edition_gives_the_figure_and_the_stage_is_that_of_the_product() -> None:
    table, _ = build({}, {"vintage": "2025", "value": 8.0})
    assert table.select("material", "stage", "iso3", "quantity_t").rows() == [("lead", "metal", "USA", 10.0)]


def test_refinery_output_from_scrap_that_the_world_table_holds_is_not_counted_twice() -> None:
    table, dropped = build({"commodity": "copper", "material": "copper"})
    assert table.is_empty()
    assert dropped["reason"].to_list() == ["inside the refinery output of the world table"]


def test_a_withheld_figure_stays_unknown() -> None:
    table, _ = build({"value": None, "value_low": None, "value_high": None, "token": "W"})
    assert table.select("quantity_t", "token").rows() == [(None, "W")]


def test_an_unknown_line_is_refused() -> None:
    with pytest.raises(UnmappedValue, match="secondary_supply_map"):
        build({"detail": "from_the_moon"})
