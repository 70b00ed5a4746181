"""Publishers' trade rows become one row per flow."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ingest.errors import UnmappedValue
from ingest.sources import baci, census, comtrade, usitc
from ingest.transforms.trade_flow import build

SCHEMAS = {**baci.SOURCE.tables, **usitc.SOURCE.tables, **census.SOURCE.tables, **comtrade.SOURCE.tables}


def frames(**rows: list[dict[str, Any]]) -> dict[str, pl.DataFrame]:
    found = {
        name: [{"vintage": "1", "source": name.split("_")[1], **row} for row in rows.get(name, [])] for name in SCHEMAS
    }
    return {name: pl.DataFrame(found[name], schema=dict(schema)) for name, schema in SCHEMAS.items()}


def pair(
    scope: str, exporter: str, importer: str, value: float, code: str = "850511", year: int = 2024
) -> dict[str, Any]:
    return {
        "year": year,
        "exporter": exporter,
        "importer": importer,
        "hs_code": code,
        "hs_edition": "HS2017",
        "value_usd": value,
        "quantity_gross_t": None,
        "scope": scope,
    }


def reasons(dropped: pl.DataFrame) -> dict[str, int]:
    return dict(dropped.select("reason", "rows").iter_rows())


def test_all_pairs_win_over_main_flows_of_the_same_year_and_code() -> None:
    rows = [
        pair("all_pairs", "CHN", "USA", 100),
        pair("main_flows", "CHN", "USA", 90),
        pair("main_flows", "CHN", "USA", 80, year=2023),
    ]
    table, dropped = build(frames(raw_baci__flows=rows))
    assert table.select("year", "value_usd").rows() == [(2023, 80.0), (2024, 100.0)]
    assert reasons(dropped) == {"a wider extract of the same release holds this code and year": 1}


def test_trade_with_itself_is_no_flow_and_other_asia_is_taiwan() -> None:
    table, dropped = build(
        frames(raw_baci__flows=[pair("all_pairs", "CHN", "CHN", 5), pair("all_pairs", "S19", "JPN", 7)])
    )
    assert table.select("exporter", "importer").rows() == [("TWN", "JPN")]
    assert reasons(dropped) == {"trade with itself": 1}


def test_a_country_nobody_mapped_stops_the_run() -> None:
    with pytest.raises(UnmappedValue, match=r"'XQX'.*country_aliases\.csv"):
        build(frames(raw_baci__flows=[pair("all_pairs", "XQX", "JPN", 7)]))


def test_links_take_their_code_from_the_reference_and_leave_a_residual() -> None:
    links = [
        {"year": 2023, "layer": 2, "exporter": "CHN", "importer": "JPN", "rank": rank, "value_usd": value}
        for rank, value in ((1, 60.0), (2, 50.0))
    ]
    links.append({"year": 2023, "layer": 3, "exporter": "CHN", "importer": "JPN", "rank": 1, "value_usd": 9.0})
    total = {
        "year": 2023,
        "hs_code": "284690",
        "hs_edition": "HS2017",
        "role": "importer",
        "iso3": "JPN",
        "value_usd": 100.0,
    }
    table, dropped = build(frames(raw_baci__network=links, raw_baci__totals=[total]))
    flows = table.filter(scope="top_links").select("exporter", "hs_code", "value_usd", "evidence").rows()
    assert sorted(flows) == [
        ("CHN", "280530", 50.0, "derived"),
        ("CHN", "284690", 60.0, "derived"),
        ("OTH", "284690", 40.0, "derived"),
    ]
    assert reasons(dropped) == {"link of a layer that mixes codes: code not known": 1}


def test_a_new_link_of_the_compounds_layer_stops_the_run() -> None:
    link = {"year": 2023, "layer": 2, "exporter": "PER", "importer": "CHL", "rank": 1, "value_usd": 1.0}
    with pytest.raises(UnmappedValue, match=r"PER-CHL rank 1.*baci_network_codes\.csv"):
        build(frames(raw_baci__network=[link]))


def heading(unit: str, quantity: float, **more: Any) -> dict[str, Any]:
    base = {
        "flow": "M",
        "country": "China",
        "hts4": "8505",
        "year": 2024,
        "period": "year",
        "value_usd": 10.0,
        "suppressed": 0,
    }
    return {**base, "unit": unit, "quantity": quantity, **more}


@pytest.mark.parametrize(
    ("rows", "tonnes"),
    [
        ([heading("kilograms", 5000), heading("metric tons", 2)], 7.0),
        ([heading("kilograms", 5000), heading("number", 2)], None),
        ([heading("kilograms", 5000, suppressed=1)], None),
        ([heading("kilograms", 0)], None),
    ],
)
def test_a_headings_weight_counts_only_when_all_of_it_is_weighed(
    rows: list[dict[str, Any]], tonnes: float | None
) -> None:
    table, _ = build(frames(raw_usitc__trade=rows))
    assert table["quantity_gross_t"].to_list() == [tonnes]
    assert table["value_usd"].to_list() == [10.0 * len(rows)]


def test_months_of_a_running_year_are_no_year() -> None:
    rows = [heading("kilograms", 1, year=2026, period="year_to_date")]
    table, dropped = build(frames(raw_usitc__trade=rows))
    assert table.is_empty()
    assert reasons(dropped) == {"year to date, not a full year": 1}


def test_a_member_of_a_listed_group_is_not_counted_beside_it() -> None:
    base = {"hs10": "8505110070", "year": 2024, "month": 12, "value_usd": 1.0}
    rows = [
        {**base, "country": name, "country_code": code}
        for name, code in (("EUROPEAN UNION", "0003"), ("SLOVAKIA", "4359"), ("CHINA", "5700"))
    ]
    table, dropped = build(frames(raw_census__imports_hs10=rows))
    assert sorted(table["exporter"]) == ["CHN", "EUU"]
    assert reasons(dropped) == {"member of a country group that is listed too": 1}
