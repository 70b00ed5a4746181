"""Trade by code becomes trade by material and stage."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ingest.errors import OretraceError
from ingest.schemas import CANONICAL
from ingest.transforms.hs_stage import stage_map, stage_overrides
from ingest.transforms.stage_flow import build, stage_flows

SCHEMA = CANONICAL["trade_flow"].columns
BASE: dict[str, Any] = {
    "year": 2024,
    "hs_edition": "HS2017",
    "flow": "R",
    "scope": "all_pairs",
    "source": "baci",
    "vintage": "V1",
    "evidence": "estimated",
}


def trade(*rows: dict[str, Any]) -> pl.DataFrame:
    full = [{"hs_level": len(row["hs_code"]), "quantity_gross_t": None, **BASE, **row} for row in rows]
    return pl.DataFrame(full, schema=SCHEMA)


def flow(exporter: str, importer: str, code: str, value: float, weight: float | None, **more: Any) -> dict[str, Any]:
    found = {"exporter": exporter, "importer": importer, "hs_code": code, "value_usd": value}
    return {**found, "quantity_gross_t": weight, **more}


def of(table: pl.DataFrame, material: str, stage: str, **where: Any) -> dict[str, Any]:
    found = table.filter(material=material, stage=stage, **where)
    assert found.height == 1, found
    return found.row(0, named=True)


def reasons(dropped: pl.DataFrame) -> dict[str, int]:
    return dict(dropped.group_by("reason").agg(pl.col("rows").sum()).iter_rows())


def test_contained_tonnes_are_gross_times_factor_with_bounds() -> None:
    table, _ = build({"trade_flow": trade(flow("CHL", "CHN", "283691", 9e6, 1000))})
    row = of(table, "lithium", "compound")
    assert (row["quantity_t"], row["quantity_t_low"], row["quantity_t_high"]) == pytest.approx((187.9, 180, 188))
    assert (row["basis"], row["hs_codes"], row["value_usd"], row["evidence"]) == ("Li", "283691", 9e6, "derived")


def test_codes_of_one_stage_are_summed_and_the_worst_evidence_stays() -> None:
    table, _ = build(
        {
            "trade_flow": trade(
                flow("CHN", "JPN", "284690", 1e6, 100), flow("CHN", "JPN", "284610", 1e6, 10, evidence="assumed")
            )
        }
    )
    row = of(table, "rare_earths", "compound")
    assert row["quantity_t"] == pytest.approx(100 * 0.61 + 10 * 0.77)
    assert (row["hs_codes"], row["evidence"]) == ("284610;284690", "assumed")


def test_us_concentrate_counts_at_the_mine_only_with_the_override() -> None:
    rows = trade(
        flow("USA", "CHN", "2846", 2e8, 70_000, flow="X", source="usitc", scope="selected_partners"),
        flow("CHN", "USA", "2846", 1e8, 10_000, flow="M", source="usitc", scope="selected_partners"),
    )

    def net_imports(overrides: pl.DataFrame) -> float:
        table = stage_flows(rows, stage_map(), overrides)[0].filter(material="rare_earths", stage="compound")
        arrives = table.filter(importer="USA")["quantity_t"].sum()
        return float(arrives - table.filter(exporter="USA")["quantity_t"].sum())

    assert net_imports(stage_overrides()) > 0
    assert net_imports(stage_overrides().clear()) < 0
    mined = of(build({"trade_flow": rows})[0], "rare_earths", "mine", exporter="USA", importer="CHN")
    assert mined["quantity_t"] == pytest.approx(70_000 * 0.58)


def test_australian_2530_90_to_china_is_lithium_and_no_rare_earth() -> None:
    rows = trade(flow("AUS", "CHN", "253090", 1e10, 3e6), flow("AUS", "DEU", "253090", 1e6, 3e3))
    table, dropped = build({"trade_flow": rows})
    assert of(table, "lithium", "mine")["quantity_t"] == pytest.approx(3e6 * 0.0279)
    assert set(table["material"]) == {"lithium"}
    assert reasons(dropped)["basket without a documented share"] == 2  # DEU: lithium and rare earths


def test_us_ore_booked_by_china_under_2530_90_is_not_counted_twice() -> None:
    table, dropped = build({"trade_flow": trade(flow("USA", "CHN", "253090", 1e8, 1e4))})
    assert table.is_empty()
    assert reasons(dropped) == {"the same cargo is counted under another code": 1}


def test_a_basket_is_split_by_unit_value_where_the_map_gives_two() -> None:
    dear, cheap, middle = (
        flow("CHN", to, "850511", price * 1e6, 1000) for to, price in (("JPN", 90), ("IND", 3), ("DEU", 26.18))
    )
    table, _ = build({"trade_flow": trade(dear, cheap, middle)})
    magnets = {row["importer"]: row for row in table.filter(material="rare_earths").iter_rows(named=True)}
    assert magnets["JPN"]["quantity_t"] == pytest.approx(350)
    assert magnets["IND"]["quantity_t"] == 0
    assert magnets["DEU"]["quantity_t"] == pytest.approx(175)
    assert magnets["DEU"]["quantity_t_low"] < 175 < magnets["DEU"]["quantity_t_high"]


def test_a_missing_weight_comes_from_the_exporters_median_then_the_codes() -> None:
    rows = trade(
        flow("CHL", "CHN", "283691", 10e6, 1000),
        flow("CHL", "JPN", "283691", 20e6, 1000),
        flow("CHL", "KOR", "283691", 30e6, 1000),
        flow("ARG", "CHN", "283691", 80e6, 1000),
        flow("CHL", "USA", "283691", 20e6, None),
        flow("BOL", "USA", "283691", 50e6, None),
    )
    table, _ = build({"trade_flow": rows})
    own = of(table, "lithium", "compound", exporter="CHL", importer="USA")
    other = of(table, "lithium", "compound", exporter="BOL", importer="USA")
    assert own["quantity_t"] == pytest.approx(1000 * 0.1879)
    assert other["quantity_t"] == pytest.approx(2000 * 0.1879)
    assert own["quantity_t_low"] < 0.8 * own["quantity_t"] and own["quantity_t_high"] > 1.2 * own["quantity_t"]


def test_a_year_without_weights_borrows_a_near_year_moved_by_the_worlds_unit_value() -> None:
    world = {"scope": "world_total"}
    rows = trade(
        flow("CHN", "USA", "850511", 42e6, 1000),
        flow("CHN", "USA", "850511", 50.4e6, None, year=2023, scope="main_flows"),
        flow("WLD", "WLD", "850511", 25e6, 1000, **world),
        flow("WLD", "WLD", "850511", 30e6, 1000, year=2023, **world),
    )
    table, _ = build({"trade_flow": rows})
    now, then = (of(table, "rare_earths", "component", year=year) for year in (2024, 2023))
    assert then["quantity_t"] == pytest.approx(now["quantity_t"])
    assert then["quantity_t_high"] > now["quantity_t_high"]


def test_without_any_unit_value_the_weight_stays_unknown_and_the_value_stays() -> None:
    table, _ = build({"trade_flow": trade(flow("CHL", "CHN", "283691", 9e6, None, year=2010))})
    row = of(table, "lithium", "compound")
    assert (row["quantity_t"], row["value_usd"]) == (None, 9e6)


def test_reconciled_trade_wins_unless_it_lacks_a_part_of_the_heading() -> None:
    us = {"flow": "M", "source": "usitc", "scope": "selected_partners"}
    complete = trade(flow("ZAF", "USA", "260200", 1e6, 1000), flow("ZAF", "USA", "2602", 9e6, 9000, **us))
    table, dropped = build({"trade_flow": complete})
    assert of(table, "manganese", "mine")["source"] == "baci"
    assert reasons(dropped) == {"reconciled trade holds the heading": 1}

    partial = trade(
        flow("CHN", "USA", "284690", 1e6, None, scope="top_links"),
        flow("OTH", "USA", "284690", 1e6, None, scope="top_links"),
        flow("CHN", "JPN", "284690", 1e6, None, scope="top_links"),
        flow("CHN", "USA", "2846", 9e6, 9000, **us),
    )
    table, dropped = build({"trade_flow": partial})
    compounds = table.filter(material="rare_earths")
    assert set(compounds.select("importer", "source").iter_rows()) == {("USA", "usitc"), ("JPN", "baci")}
    assert reasons(dropped) == {"national heading holds the pair in full": 2}


def test_totals_and_unmapped_codes_are_dropped_with_a_count() -> None:
    rows = trade(
        flow("WLD", "WLD", "284690", 1e9, 1e5, scope="world_total"),
        flow("CHN", "WLD", "284690", 1e8, None, scope="country_total"),
        flow("CHN", "USA", "010121", 1e6, 10),
    )
    table, dropped = build({"trade_flow": rows})
    assert table.is_empty()
    assert reasons(dropped) == {"a total, not a flow": 2, "no material mapped to the code": 1}


def test_two_overrides_for_one_flow_are_refused() -> None:
    twice = stage_overrides().filter(hs_code="810520", reporter="COD")
    mirrored = twice.with_columns(flow=pl.lit("M"), reporter=pl.lit("CHN"))
    rows = trade(flow("COD", "CHN", "810520", 1e6, 100))
    with pytest.raises(OretraceError, match="two rows hold for one flow"):
        stage_flows(rows, stage_map(), pl.concat([twice, mirrored]))
