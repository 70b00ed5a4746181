"""UN Comtrade: how a year is asked for, what makes it complete, and how its rows become trade."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.clients.base import Plan
from ingest.clients.comtrade import Comtrade, mapped_codes
from ingest.clients.comtrade_requests import KEYED, Request, roots
from ingest.errors import BadInput, IncompletePull, SourceChanged, UnmappedValue
from ingest.schemas import CANONICAL
from ingest.sources import comtrade
from ingest.transforms import stage_flow, trade_flow_comtrade
from ingest.transforms.unit_value import with_weights
from tests.publishers.comtrade import Row, envelope, row, with_world

FOLDER = "M/283691"


def keep(folder: Path, rows: list[Row], name: str = f"{FOLDER}/156.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    body = envelope(rows).body
    assert isinstance(body, bytes)
    path.write_bytes(body)
    return path


def prove(folder: Path, rows: list[Row]) -> str:
    keep(folder, rows)
    client = Comtrade(codes=("283691",), reporters=(156,), flows=("M",))
    return client.prove(Plan("2023", (), {"limit": 500}), folder).checks[-1]


def read(folder: Path, rows: list[Row]) -> pl.DataFrame:
    keep(folder, rows)
    return comtrade.SOURCE.read_vintage(folder, "2023")[comtrade.TABLE]


def leaves(request: Request, reporters: frozenset[int]) -> list[Request]:
    parts = request.parts(reporters)
    return [leaf for part in parts for leaf in leaves(part, reporters)] if parts else [request]


@given(
    st.sets(st.integers(100000, 999999), min_size=1, max_size=20),
    st.frozensets(st.integers(1, 999), min_size=1, max_size=30),
    st.integers(1, 16),
)
def test_splitting_to_the_end_asks_for_every_code_and_reporter_once(
    codes: set[int], reporters: frozenset[int], at_once: int
) -> None:
    begun = roots(2023, [str(code) for code in codes], ("M", "X"), None, at_once)
    ends = [leaf for root in begun for leaf in leaves(root, reporters)]
    met = Counter(
        (leaf.flow, code, reporter) for leaf in ends for code in leaf.codes for reporter in _of(leaf, reporters)
    )
    assert set(met) == {(flow, str(code), reporter) for flow in "MX" for code in codes for reporter in reporters}
    assert set(met.values()) == {1}
    assert len({leaf.path for leaf in ends}) == len(ends)


def _of(leaf: Request, reporters: frozenset[int]) -> tuple[int, ...]:
    return tuple(reporters) if leaf.reporters is None else leaf.reporters


def test_six_digit_codes_are_asked_for_with_those_of_other_editions_and_no_heading() -> None:
    codes = mapped_codes()
    assert {"284690", "850511", "811292", "811231", "854140", "854142"} <= set(codes)
    assert "283693" in codes, "strontium carbonate until 1996, now inside 283699"
    assert {len(code) for code in codes} == {6}
    for request in roots(2023, codes, ("M", "X"), None, KEYED.codes):
        assert len("&".join(f"{name}={value}" for name, value in request.params(KEYED.limit).items())) < 2000


def test_only_years_that_are_over_can_be_asked_for() -> None:
    client = Comtrade()
    assert client.editions([2022, 2023], [], date(2024, 1, 1)) == ["2022", "2023"]
    assert client.editions([], [], date(2024, 1, 1)) == []
    for years, months in (([2024], []), ([1987], []), ([], ["2023-01"])):
        with pytest.raises(BadInput):
            client.editions(years, months, date(2024, 1, 1))


def test_partners_may_differ_from_world_by_what_rounding_to_dollars_allows(tmp_path: Path) -> None:
    parts = [row(156, partner, "283691", "M", 20.0) for partner in range(1, 6)]
    assert prove(tmp_path, [*parts, row(156, 0, "283691", "M", 98.0)]).endswith("1 of 1 sums")
    with pytest.raises(IncompletePull, match=r"within 1 %.*flow M, hs6 283691, partners 100\.0, world 104\.0"):
        prove(tmp_path, [*parts, row(156, 0, "283691", "M", 104.0)])


def test_areas_that_are_no_country_count_in_the_sum_of_partners(tmp_path: Path) -> None:
    parts = [row(156, 899, "283691", "M", 5e6), row(156, 490, "283691", "M", 1e6), row(156, 156, "283691", "M", 2e6)]
    assert prove(tmp_path, [*parts, row(156, 0, "283691", "M", 8e6)]).endswith("1 of 1 sums")


def test_a_gap_that_is_known_with_a_reason_is_let_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.clients import comtrade as module

    rows = [row(156, 32, "283691", "M", 5e6), row(156, 0, "283691", "M", 8e6)]
    with pytest.raises(IncompletePull, match="comtrade_world_gaps"):
        prove(tmp_path, rows)
    known = {"year": ["2023"], "reporter_m49": ["156"], "flow": ["M"], "hs_code": ["283691"], "reason": ["stated"]}
    monkeypatch.setattr(module, "reference", lambda file: _known(file, known))
    assert prove(tmp_path, rows).endswith("0 of 1 sums")
    known["year"] = ["2022"]
    with pytest.raises(IncompletePull, match="comtrade_world_gaps"):
        prove(tmp_path, rows)


def _known(file: str, known: dict[str, Any]) -> pl.DataFrame:
    assert file == "comtrade_world_gaps.csv"
    return pl.DataFrame(known)


def test_a_weight_of_zero_is_missing_and_an_estimate_is_marked(tmp_path: Path) -> None:
    rows = [
        row(156, 32, "283691", "M", 5.0, 0.0),
        row(156, 40, "283691", "M", 5.0, 2.5, isNetWgtEstimated=True),
        row(156, 56, "283691", "M", 5.0),
    ]
    found = read(tmp_path, rows).sort("partner_m49")
    assert found["net_weight_kg"].to_list() == [None, 2.5, None]
    assert found["net_weight_estimated"].to_list() == [False, True, False]
    assert found.select("cif_usd", "fob_usd", "hs_edition", "vintage").row(0) == (5.0, None, "HS2022", "2023")


def test_a_number_that_comes_without_decimals_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, [row(156, 32, "283691", "M", 5), row(156, 40, "283691", "M", 5.5)])["value_usd"].sum() == 10.5


def test_an_hs_edition_that_nobody_named_stops_the_reader(tmp_path: Path) -> None:
    with pytest.raises(UnmappedValue, match=r"'H7'.*comtrade_classifications\.csv"):
        read(tmp_path, [row(156, 32, "283691", "M", 5.0, classificationCode="H7")])


def test_a_flow_in_two_replies_stops_the_reader(tmp_path: Path) -> None:
    keep(tmp_path, [row(156, 32, "283691", "M", 5.0)], f"{FOLDER}/4-156.json")
    with pytest.raises(SourceChanged, match="a flow comes twice"):
        read(tmp_path, [row(156, 32, "283691", "M", 5.0)])


def test_a_new_and_a_missing_column_are_named() -> None:
    one = row(156, 32, "283691", "M", 5.0)
    del one["netWgt"]
    body = envelope([one | {"portCode": 1}]).body
    assert isinstance(body, bytes)
    with pytest.raises(SourceChanged, match=r"new columns \['portCode'\], missing columns \['netWgt'\]"):
        comtrade.reply_rows(body.decode(), "here")


def test_the_columns_on_file_are_the_47_of_the_recorded_replies(shared_data: Path) -> None:
    path = shared_data / "comtrade" / "china_2846_preview" / "2024.json"
    assert list(json.loads(path.read_text())["data"][0]) == list(comtrade.columns())


def reports(tmp_path: Path, *rows: Row) -> pl.DataFrame:
    return read(tmp_path, with_world(rows))


def test_both_reports_become_one_flow_with_the_span_of_the_two(tmp_path: Path) -> None:
    raw = reports(
        tmp_path,
        row(156, 152, "283691", "M", 1.2e6, 1000.0),
        row(152, 156, "283691", "X", 0.9e6, 1000.0),
        row(156, 899, "283691", "M", 3e5, 10.0),
    )
    trade, dropped = trade_flow_comtrade.flows(raw)
    one = trade.row(0, named=True)
    assert (one["exporter"], one["importer"], one["flow"], one["scope"]) == ("CHL", "CHN", "R", "all_pairs")
    assert one["value_low_usd"] == 0.9e6 < one["value_usd"] < 1.2e6 == one["value_high_usd"]
    assert one["quantity_gross_t"] == pytest.approx(1.0)
    assert (one["evidence"], one["source"], one["vintage"]) == ("estimated", "comtrade", "2023")
    reasons = dict(dropped.select("reason", "rows").iter_rows())
    assert reasons == {"partner: World": 2, "partner: area not elsewhere specified": 1}
    assert raw.height == sum(reasons.values()) + 2


def test_a_weight_that_nobody_reported_is_imputed_with_bounds(tmp_path: Path) -> None:
    raw = reports(
        tmp_path,
        row(156, 152, "283691", "M", 1.2e6, 9999.0, isNetWgtEstimated=True),
        *[row(importer, 152, "283691", "M", 1e6, 100_000.0) for importer in (392, 410, 56, 276, 842)],
    )
    trade, _ = trade_flow_comtrade.flows(raw)
    weights = dict(trade.select("importer", "quantity_gross_t").iter_rows())
    assert weights["CHN"] is None
    assert weights["JPN"] == pytest.approx(100.0)
    weighed = with_weights(trade, trade).filter(importer="CHN").row(0, named=True)
    assert weighed["weight_t"] == pytest.approx(120.0)
    assert weighed["weight_low_t"] < 120 / 1.49 < 120 * 1.49 < weighed["weight_high_t"]


def test_a_heading_is_counted_and_not_reconciled(tmp_path: Path) -> None:
    raw = reports(tmp_path, row(156, 152, "2846", "M", 1e6), row(156, 152, "284690", "M", 1e6))
    trade, dropped = trade_flow_comtrade.flows(raw)
    assert trade["hs_code"].to_list() == ["284690"]
    assert dict(dropped.select("reason", "rows").iter_rows())[trade_flow_comtrade.HEADING] == 2


def test_no_reports_make_no_flows() -> None:
    trade, dropped = trade_flow_comtrade.flows(pl.DataFrame(schema=dict(comtrade.TRADE)))
    assert trade.is_empty()
    assert dropped.is_empty()


def flow(source: str, scope: str, code: str = "283691", **more: Any) -> dict[str, Any]:
    known = {"year": 2023, "exporter": "CHL", "importer": "CHN", "hs_code": code, "hs_level": 6, "flow": "R"}
    known |= {"value_usd": 1e6, "quantity_gross_t": 100.0, "vintage": "1", "evidence": "estimated"}
    return {**known, "source": source, "scope": scope, **more}


def trade_of(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=CANONICAL["trade_flow"].columns)


@pytest.mark.parametrize(
    ("there", "used"),
    [
        ((("baci", "all_pairs"), ("comtrade", "all_pairs")), "baci"),
        ((("baci", "main_flows"), ("comtrade", "all_pairs")), "comtrade"),
        ((("baci", "top_links"), ("comtrade", "all_pairs")), "comtrade"),
        ((("baci", "main_flows"),), "baci"),
        ((("comtrade", "all_pairs"),), "comtrade"),
    ],
)
def test_one_reconciliation_serves_a_code_and_year(there: tuple[tuple[str, str], ...], used: str) -> None:
    trade = trade_of(*[flow(source, scope) for source, scope in there])
    table, dropped = stage_flow.build({"trade_flow": trade})
    assert table["source"].to_list() == [used]
    counted = dropped.filter(pl.col("reason") == "another reconciliation serves this code and year")
    assert counted["rows"].sum() == len(there) - 1
    assert used not in counted["source"].to_list()


def test_another_code_or_year_keeps_its_own_reconciliation() -> None:
    trade = trade_of(
        flow("baci", "all_pairs"),
        flow("comtrade", "all_pairs", "282520"),
        flow("comtrade", "all_pairs", year=2022),
        flow("baci", "world_total", "282520", exporter="WLD", importer="WLD"),
    )
    kept, unused = stage_flow.one_reconciled(trade)
    assert unused.is_empty()
    assert kept.equals(trade)


def test_what_is_unsure_in_dollars_is_as_unsure_in_tonnes() -> None:
    sure = flow("baci", "all_pairs")
    unsure = flow("comtrade", "all_pairs", year=2022, value_low_usd=8e5, value_high_usd=1.5e6)
    weighed = with_weights(trade_of(sure, unsure), trade_of(sure, unsure))
    bounds = weighed.select("weight_low_t", "weight_t", "weight_high_t").rows()
    assert bounds == [(100.0, 100.0, 100.0), (80.0, 100.0, 150.0)]
