"""Yearbook sheets are read by their layout; oxide content is spread over a line's countries."""

from __future__ import annotations

import polars as pl
import pytest

from ingest.errors import SourceChanged, UnmappedValue
from ingest.sources.usgs_myb import SOURCE, trade_lines, world_mine
from ingest.transforms.import_line import build

BLANK = ["", "", ""]
SHEET = [
    ["", "", "", "", "2021", "", "", "", "2022", "", ""],
    ["Compounds:", *BLANK, *[""] * 7],
    ["Cerium oxides:", "", "2846.10.0010", "", *[""] * 7],
    ["China ", *BLANK, "300", "", "9", "", "--", "", "--"],
    ["Other", *BLANK, "100", "r", "1", "", "50", "", "2"],
    ["Total", *BLANK, "400", "", "10", "", "50", "", "2"],
    ["Total estimated REO equivalent content", *BLANK, "200", "", "XX", "", "25", "", "XX"],
    ["Ferrocerium:", "", "3606.90.3000,", "", *[""] * 7],
    ["", "", "3606.90.3090", "", *[""] * 7],
    ["Spain", *BLANK, "10", "", "1", "", "10", "", "1"],
    ["Total", *BLANK, "10", "", "1", "", "10", "", "1"],
    ["Total estimated REO equivalent content", *BLANK, "9", "", "XX", "", "9", "", "XX"],
    ["Grand total", *BLANK, "410", "", "11", "", "60", "", "3"],
    ["Grand total estimated REO equivalent content", *BLANK, "209", "", "XX", "", "34", "", "XX"],
]


def lines(sheet: list[list[str]]) -> pl.DataFrame:
    schema = dict(SOURCE.tables["raw_usgs_myb__re_trade"])
    rows = [{**row, "source": "usgs_myb", "vintage": "2022"} for row in trade_lines(sheet, "M", "a sheet")]
    return pl.DataFrame(rows, schema=schema)


def test_a_block_gives_its_countries_and_its_total_and_grand_totals_are_left() -> None:
    table = lines(SHEET)
    assert table.filter(year=2021).select("line", "country", "gross_kg", "reo_kg").rows() == [
        ("2846.10.0010", "China", "300", None),
        ("2846.10.0010", "Other", "100", None),
        ("2846.10.0010", "Total", "400", "200"),
        ("3606.90.30", "Spain", "10", None),
        ("3606.90.30", "Total", "10", "9"),
    ]


def test_a_sheet_without_years_has_changed() -> None:
    with pytest.raises(SourceChanged, match="a sheet: no row with the years"):
        lines([row[:4] for row in SHEET])


def test_oxide_content_follows_gross_weight_within_the_line() -> None:
    table, _ = build({"raw_usgs_myb__re_trade": lines(SHEET)})
    china = table.filter(line="2846.10.0010", iso3="CHN").sort("year")
    assert china["quantity_t"].to_list() == pytest.approx([0.15, 0.0])
    assert china.select("stage", "evidence", "token").row(0) == ("compound", "estimated", "300")
    total = table.filter(line="3606.90.30", iso3="WLD", year=2021)
    assert total.select("stage", "evidence").row(0) == ("alloy", "reported")
    assert total["quantity_t"].item() == pytest.approx(0.009)


def test_a_line_of_an_unknown_code_names_the_reference_file() -> None:
    sheet = [[cell.replace("2846.10.0010", "9999.10.0010") for cell in row] for row in SHEET]
    with pytest.raises(UnmappedValue, match=r"'999910'.*hs_stage\.csv"):
        build({"raw_usgs_myb__re_trade": lines(sheet)})


def test_a_figure_that_looks_like_a_year_is_still_a_figure() -> None:
    rows = [
        ["", "", "2018", "", "2019", ""],
        ["Madagascare", "", "2000", "", "4000", ""],
        ["Total", "", "9000", "", "9000", "r"],
    ]
    found = [(row["country"], row["year"], row["reo_t"], row["mark"]) for row in world_mine(rows, "a sheet")]
    assert found[:2] == [("Madagascar", 2018, "2000", "e"), ("Madagascar", 2019, "4000", "e")]
    assert found[3] == ("Total", 2019, "9000", "r")
