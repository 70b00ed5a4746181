"""One figure of output per stage, country and year: the stated order, conflicts, and what is left of the world."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ingest.mapping import reference
from ingest.schemas import CANONICAL, conform
from ingest.transforms.stage_candidates import source_order
from ingest.transforms.stage_production import TABLE, TRANSFORM

DEFAULTS: dict[str, dict[str, Any]] = {
    "production": {
        **{"material": "copper", "stage": "metal", "form": "all", "measure": "production", "year": 2024},
        **{"rounding_t": 0.0, "basis": "Cu", "source": "usgs_mcs", "vintage": "2026", "evidence": "reported"},
    },
    "supply_share": {
        **{"material": "copper", "stage": "metal", "form": "all", "scope": "global", "first_year": 2024},
        **{"last_year": 2024, "source": "iea", "vintage": "2025", "evidence": "reported"},
    },
    "stage_flow": {
        **{"material": "copper", "stage": "metal", "year": 2024, "basis": "Cu", "hs_codes": "740311"},
        **{"source": "baci", "vintage": "V1", "evidence": "estimated"},
    },
    "us_salient": {},
}
EU = {"source": "eu_crm", "vintage": "2023", "first_year": 2016, "last_year": 2020}


def made(iso3: str, tonnes: float | None, **more: Any) -> dict[str, Any]:
    return {"iso3": iso3, "quantity_t": tonnes, "quantity_t_low": tonnes, "quantity_t_high": tonnes, **more}


def share(iso3: str, part: float, tonnes: float | None = None, **more: Any) -> dict[str, Any]:
    return {"iso3": iso3, "share": part, "share_low": part, "share_high": part, "quantity_t": tonnes, **more}


def moved(exporter: str, importer: str, tonnes: float | None, **more: Any) -> dict[str, Any]:
    bounds = {"quantity_t": tonnes, "quantity_t_low": tonnes, "quantity_t_high": tonnes}
    return {"exporter": exporter, "importer": importer, **bounds, **more}


def build(**tables: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of copper metal in 2024 (the table also holds what ``published_shares.csv`` says of others)."""
    frames = {
        name: pl.DataFrame([usual | row for row in tables.get(name, [])], schema=CANONICAL[name].columns)
        for name, usual in DEFAULTS.items()
    }
    table = conform(TRANSFORM.build(frames)[0], TABLE)
    assert table.filter(pl.col("quantity_t_low") < 0).is_empty()
    assert table.filter(~pl.col("quantity_t").is_between("quantity_t_low", "quantity_t_high")).is_empty()
    return table.filter(material="copper", stage="metal", year=2024)


def cell(table: pl.DataFrame, iso3: str) -> dict[str, Any]:
    found = table.filter(iso3=iso3)
    assert found.height == 1, table
    return found.row(0, named=True)


def test_the_stated_order_is_mcs_yearbook_iea_eu_published_net_exports_bgs() -> None:
    order = source_order().sort("rank")["source"].to_list()
    assert order == ["usgs_mcs", "usgs_myb", "iea", "eu_crm", "published", "stage_flow", "bgs"]


def test_a_printed_figure_goes_before_tonnes_of_another_publisher_and_the_difference_shows() -> None:
    table = build(production=[made("CHL", 100)], supply_share=[share("CHL", 0.5, 120)])
    row = cell(table, "CHL")
    assert (row["quantity_t"], row["source"], row["method"]) == (100, "usgs_mcs", "reported")
    assert (row["alternatives"], row["conflict"]) == ("iea 120", True)


def test_figures_within_ten_percent_are_no_conflict() -> None:
    row = cell(build(production=[made("CHL", 100)], supply_share=[share("CHL", 0.5, 109)]), "CHL")
    assert (row["alternatives"], row["conflict"]) == (None, False)


def test_the_latest_edition_counts() -> None:
    rows = [made("CHL", 100), made("CHL", 70, vintage="2025")]
    assert cell(build(production=rows), "CHL")["quantity_t"] == 100


def test_forms_are_added_up_and_a_form_counted_elsewhere_adds_nothing() -> None:
    rows = [made("CHL", 60), made("CHL", 40, form="b"), made("CHL", None, form="c")]
    assert cell(build(production=rows), "CHL")["quantity_t"] == 100


def test_a_withheld_figure_is_filled_by_the_next_source_of_the_order() -> None:
    table = build(
        production=[made("USA", None), made("CHL", 80), made("WLD", 80)], supply_share=[share("USA", 0.25, **EU)]
    )
    row = cell(table, "USA")
    assert (row["quantity_t"], row["method"], row["evidence"]) == (20, "share_x_total", "estimated")
    assert row["conflict"] is False


def test_a_share_of_an_older_window_is_shown_but_makes_no_conflict() -> None:
    table = build(production=[made("CHL", 100), made("WLD", 100)], supply_share=[share("CHL", 0.5, **EU)])
    assert (cell(table, "CHL")["alternatives"], cell(table, "CHL")["conflict"]) == ("eu_crm 50", False)


def test_the_world_is_no_country_and_others_keep_their_line() -> None:
    table = build(production=[made("CHL", 70), made("OTH", 30), made("WLD", 100)])
    assert dict(table.select("iso3", "quantity_t").iter_rows()) == {"CHL": 70, "OTH": 30}


def test_countries_that_a_whole_table_does_not_list_come_out_of_its_line_for_others() -> None:
    table = build(
        production=[made("CHL", 70), made("OTH", 30), made("WLD", 100)], supply_share=[share("PER", 0.2, **EU)]
    )
    assert cell(table, "PER")["quantity_t"] == pytest.approx(20)
    assert cell(table, "OTH")["quantity_t"] == pytest.approx(10)


def test_what_others_say_never_exceeds_the_line_for_others() -> None:
    table = build(
        production=[made("CHL", 70), made("OTH", 30), made("WLD", 100)],
        supply_share=[share("PER", 0.6, **EU), share("MEX", 0.2, **EU)],
    )
    others = [cell(table, iso3)["quantity_t"] for iso3 in ("PER", "MEX")]
    assert sum(others) <= 30 * 1.05 + 1e-9
    assert others[0] == pytest.approx(3 * others[1])


def test_a_whole_table_without_others_leaves_no_room_for_a_reexporter() -> None:
    table = build(
        production=[made("CHL", 100), made("WLD", 100)],
        stage_flow=[moved("CHL", "NLD", 5), moved("NLD", "DEU", 20)],
    )
    assert table["iso3"].to_list() == ["CHL"]


def test_net_exports_stand_in_where_nothing_is_published() -> None:
    flows = [moved("CHL", "DEU", 50), moved("DEU", "CHL", 10), moved("DEU", "FRA", 30)]
    table = build(stage_flow=flows)
    row = cell(table, "CHL")
    assert (row["quantity_t"], row["evidence"], row["method"]) == (40, "derived", "derived_balance")
    assert table["iso3"].to_list() == ["CHL"], "a country that imports more than it ships made nothing that is known"


def test_net_exports_take_neither_unweighed_trade_nor_world_totals_nor_one_countrys_own_statistics() -> None:
    flows = [
        moved("CHL", "DEU", None),
        moved("WLD", "DEU", 50),
        moved("OTH", "DEU", 50),
        moved("USA", "DEU", 50, year=2023, source="usitc"),
    ]
    assert build(stage_flow=flows).is_empty()


def test_net_exports_are_a_least_amount_and_speak_up_only_above_the_figure() -> None:
    quiet = build(production=[made("CHL", 100)], stage_flow=[moved("CHL", "DEU", 20)])
    loud = build(production=[made("CHL", 100)], stage_flow=[moved("CHL", "DEU", 150)])
    assert (cell(quiet, "CHL")["alternatives"], cell(quiet, "CHL")["conflict"]) == (None, False)
    assert (cell(loud, "CHL")["alternatives"], cell(loud, "CHL")["conflict"]) == ("stage_flow 150", True)


def test_tonnes_of_one_year_serve_the_year_beside_it_with_a_wider_interval() -> None:
    lent = cell(build(supply_share=[share("CHL", 0.5, 100, first_year=2023, last_year=2023)]), "CHL")
    own = cell(build(supply_share=[share("CHL", 0.5, 100)]), "CHL")
    assert (lent["quantity_t"], lent["evidence"], own["evidence"]) == (100, "assumed", "reported")
    assert lent["quantity_t_high"] > own["quantity_t_high"]


def test_published_shares_are_cited_add_up_and_bound_their_centre() -> None:
    table = reference("published_shares.csv").with_columns(
        pl.col("share", "share_low", "share_high", "world_t", "world_t_low", "world_t_high").cast(pl.Float64)
    )
    sums = table.group_by("material", "stage", "year").agg(pl.col("share").sum())
    assert sums.filter(~pl.col("share").is_between(0.97, 1.03)).is_empty()
    for name in ("share", "world_t"):
        assert table.filter(~pl.col(name).is_between(f"{name}_low", f"{name}_high")).is_empty()
    assert table["citation"].null_count() == 0
