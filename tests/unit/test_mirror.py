"""Mirror reconciliation on small frames: what must hold whatever the reports say."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.countries import countries
from ingest.errors import BadInput, UnmappedValue
from ingest.mapping import reference
from ingest.sources.comtrade import MEASURED
from ingest.transforms.mirror import FLOW_SCHEMA, KEY, reconcile, reconcile_with_counts
from ingest.transforms.mirror_parameters import parameters
from ingest.transforms.mirror_reports import COUNTRY_FILE, country_codes

# World, Germany, Japan, USA, China, Taiwan ("other Asia"), areas n.e.s.
CODES = (0, 276, 392, 842, 156, 490, 899)
ISO3 = {276: "DEU", 392: "JPN", 842: "USA", 156: "CHN", 490: "TWN"}
DE, JP, US, CN, TW = 276, 392, 842, 156, 490
HS = "284690"
Row = tuple[int, int, int, str, str, float, float | None]


def frame(rows: list[Row], **more: object) -> pl.DataFrame:
    columns = ["year", "reporter", "partner", "hs6", "flow", "value_usd", "net_weight_kg"]
    kinds = [pl.Int64, pl.Int64, pl.Int64, pl.String, pl.String, pl.Float64, pl.Float64]
    table = pl.DataFrame(rows, schema=dict(zip(columns, kinds, strict=True)), orient="row")
    return table.with_columns(pl.Series(name, values) for name, values in more.items())


def exported(value: float, exporter: int = CN, importer: int = JP, kg: float | None = None, hs6: str = HS) -> Row:
    return (2022, exporter, importer, hs6, "X", value, kg)


def imported(value: float, exporter: int = CN, importer: int = JP, kg: float | None = None, hs6: str = HS) -> Row:
    return (2022, importer, exporter, hs6, "M", value, kg)


def only(rows: list[Row], **more: object) -> dict[str, object]:
    found = reconcile(frame(rows, **more))
    assert found.height == 1
    return found.row(0, named=True)


reports_strategy = st.lists(
    st.tuples(
        st.sampled_from([2021, 2022]),
        st.sampled_from(list(ISO3)),
        st.sampled_from(CODES),
        st.sampled_from([HS, "850511"]),
        st.sampled_from(["M", "X"]),
        st.floats(1, 1e9, allow_nan=False),
        st.one_of(st.none(), st.just(0.0), st.floats(1e-3, 1e7, allow_nan=False)),
    ),
    max_size=40,
)


@given(reports_strategy, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_changes_nothing(rows: list[Row], random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert reconcile(frame(rows)).equals(reconcile(frame(shuffled)))


@given(reports_strategy, st.floats(0.01, 1))
@settings(max_examples=60, deadline=None)
def test_breakdown_rows_beside_their_totals_change_nothing(rows: list[Row], part: float) -> None:
    parts = [(*row[:5], row[5] * part, row[6]) for row in rows]
    # At the total's own value the heavier row stands for both, so the parts carry its weight.
    assert reconcile(frame(rows)).equals(reconcile(frame([*rows, *parts, *rows])))


@given(reports_strategy, st.sampled_from([0.25, 2.0, 1024.0]))
@settings(max_examples=60, deadline=None)
def test_values_in_another_unit_give_the_result_in_that_unit(rows: list[Row], factor: float) -> None:
    plain = reconcile(frame(rows))
    scaled = reconcile(frame([(*row[:5], row[5] * factor, row[6]) for row in rows]))
    measures = ["value_usd", "value_low_usd", "value_high_usd"]
    assert plain.drop(*measures, "quantity_t").equals(scaled.drop(*measures, "quantity_t"))
    for name in measures:
        ratio = scaled[name] / plain[name]
        assert ((ratio / factor - 1).abs() < 1e-9).all()


@given(reports_strategy)
@settings(max_examples=80, deadline=None)
def test_every_result_keeps_its_contract(rows: list[Row]) -> None:
    result = reconcile_with_counts(frame(rows))
    flows = result.flows
    assert dict(flows.schema) == FLOW_SCHEMA
    assert not flows.select(KEY).is_duplicated().any()
    assert (flows["exporter"] != flows["importer"]).all()
    assert set(flows["exporter"]) | set(flows["importer"]) <= set(ISO3.values())
    assert (flows["value_low_usd"] <= flows["value_usd"]).all()
    assert (flows["value_usd"] <= flows["value_high_usd"]).all()
    assert (flows["value_low_usd"] > 0).all()
    assert (flows["quantity_t"].drop_nulls() > 0).all()
    assert (flows["quantity_t"].is_null() == flows["flags"].str.contains("no_weight")).all()
    assert result.reporters["log_error"].is_finite().all() and (result.reporters["log_error"] > 0).all()
    assert result.markup["markup"].is_between(1, parameters().markup_cap).all()
    used = flows["reports"].replace_strict({"both": 2, "exporter": 1, "importer": 1}, return_dtype=pl.Int64).sum()
    assert used + result.dropped["rows"].sum() == len(rows)


@given(st.floats(1e3, 1e9), st.floats(1, 1e3))
@settings(max_examples=50, deadline=None)
def test_the_value_lies_between_the_sides_and_wide_gaps_are_flagged(value: float, fold: float) -> None:
    row = only([exported(value), imported(value * fold)])
    assert value * (1 - 1e-9) <= row["value_usd"] <= value * fold * (1 + 1e-9)
    assert row["value_low_usd"] <= value and row["value_high_usd"] >= value * fold
    assert ("sides_disagree" in row["flags"]) == (value * fold / value > 2)
    assert row["reports"] == "both"


def test_sides_that_differ_by_the_mark_up_only_agree_within_it() -> None:
    row = only([exported(100.0), imported(105.0)])
    assert 100 <= row["value_usd"] <= 105
    assert (row["value_low_usd"], row["value_high_usd"], row["flags"]) == (100, 105, "no_weight")
    fob = reconcile(frame([exported(100.0), imported(105.0)]), given=replace(parameters(), markup_removed=1.0))
    assert fob["value_usd"].to_list() == pytest.approx([100.0])


@pytest.mark.parametrize(("row", "side"), [(exported(50.0), "exporter"), (imported(50.0), "importer")])
def test_a_flow_that_one_side_reports_is_kept_and_flagged(row: Row, side: str) -> None:
    found = only([row])
    assert (found["value_usd"], found["reports"]) == (50.0, side)
    assert "one_sided" in found["flags"]
    assert found["value_low_usd"] < 50 < found["value_high_usd"]


def noisy_world(worst: int) -> list[Row]:
    """Return reports of five countries in many codes; what ``worst`` exports its partners see a thousandth of."""
    rows = []
    for number, (exporter, importer) in enumerate(itertools.permutations(ISO3, 2)):
        for code in range(12):
            hs6, value = f"{280000 + 100 * code:06d}", 1e6 * (1 + (number + code) % 7)
            gap = 1000.0 if exporter == worst else 1.1
            rows += [
                exported(value, exporter, importer, hs6=hs6),
                imported(value / gap, exporter, importer, hs6=hs6),
            ]
    return rows


def test_the_report_of_the_more_reliable_side_weighs_more() -> None:
    flows = reconcile(frame(noisy_world(worst=US)))
    worst = flows.filter(exporter="USA")
    # A plain mean of the roots would be a quarter of the larger report.
    assert (worst["value_usd"] < 0.02 * worst["value_high_usd"]).all()
    result = reconcile_with_counts(frame(noisy_world(worst=US)))
    errors = dict(result.reporters.filter(side="exporter").select("iso3", "log_error").iter_rows())
    assert errors["USA"] > 5 * errors["CHN"]


def test_an_exporter_typically_off_tenfold_alone_establishes_no_flow_to_a_country_that_reports() -> None:
    claim = exported(9e8, US, JP, hs6="850511")
    unheard = (2022, US, 36, "850511", "X", 9e8, None)
    result = reconcile_with_counts(frame([*noisy_world(worst=US), claim, unheard]))
    kept = result.flows.filter(hs6="850511")
    assert kept["importer"].to_list() == ["AUS"]
    assert result.dropped.filter(pl.col("reason").str.contains("exporter off"))["rows"].to_list() == [1]
    trusted = reconcile_with_counts(frame([*noisy_world(worst=DE), claim]))
    assert trusted.flows.filter(hs6="850511").height == 1


def test_former_codes_are_the_country_that_continues_them_or_dropped_with_a_reason() -> None:
    west, east = (1990, 280, JP, HS, "X", 70.0, None), (1990, 278, JP, HS, "X", 30.0, None)
    within = (1990, 280, 278, HS, "X", 5.0, None)
    dissolved = (1990, 810, JP, HS, "X", 5.0, None)
    result = reconcile_with_counts(frame([west, east, within, dissolved]))
    assert result.flows.select("exporter", "value_usd").rows() == [("DEU", 100.0)]
    reasons = dict(result.dropped.select("reason", "rows").iter_rows())
    assert reasons["reporter and partner are one country"] == 1
    assert sum(rows for reason, rows in reasons.items() if "dissolved" in reason) == 1


def test_codes_may_be_numbers_or_text_with_zeros_and_blanks() -> None:
    row = pl.DataFrame(
        {"year": ["2022"], "reporter": [" 036"], "partner": ["156"], "hs6": [90111], "flow": ["Export"]}
        | {"value_usd": ["12"], "net_weight_kg": [None]}
    )
    assert reconcile(row).select("exporter", "importer", "hs6").rows() == [("AUS", "CHN", "090111")]


@pytest.mark.parametrize("flow", ["RX", "DX", "RM", "re-Export"])
def test_a_part_of_a_flow_is_dropped_because_the_flow_holds_it(flow: str) -> None:
    part = (2022, CN, JP, HS, flow, 40.0, None)
    result = reconcile_with_counts(frame([exported(100.0), part]))
    assert result.flows["value_usd"].to_list() == [100.0]
    assert result.dropped["rows"].sum() == 1


def test_the_marked_total_is_kept_even_where_a_part_is_larger() -> None:
    rows = [exported(100.0), exported(120.0)]
    assert only(rows, partner2=[0, 842], customs=["C00", "C00"], mot=[0, 0])["value_usd"] == 100.0


def test_weights_of_both_sides_meet_and_one_side_alone_keeps_its_unit_value() -> None:
    both = only([exported(1000.0, kg=100.0), imported(1000.0, kg=200.0)])
    assert 0.1 < both["quantity_t"] < 0.2
    one = only([exported(1000.0, kg=100.0), imported(4000.0)])
    assert one["quantity_t"] == pytest.approx(one["value_usd"] / 10 / 1000)
    assert "imputed_weight" not in one["flags"]


def with_weights(odd_kg: float | None) -> pl.DataFrame:
    """Return exports at 10 USD per kg by China, 40 by Germany, and one more by China with the given weight."""
    china = [exported(1000.0, CN, importer, 100.0) for importer in (JP, US, DE)]
    germany = [exported(1000.0, DE, importer, 25.0) for importer in (JP, US, CN)]
    return frame([*china, *germany, exported(2000.0, CN, TW, odd_kg)])


@pytest.mark.parametrize("kg", [None, 0.0])
def test_a_missing_or_zero_weight_comes_from_the_exporters_unit_value(kg: float | None) -> None:
    row = reconcile(with_weights(kg)).filter(importer="TWN").row(0, named=True)
    assert row["quantity_t"] == pytest.approx(0.2)
    assert "imputed_weight" in row["flags"]


def test_a_weight_the_publisher_estimated_is_imputed() -> None:
    table = with_weights(7.0).with_columns(is_net_weight_estimated=pl.col("net_weight_kg") == 7.0)
    row = reconcile(table).filter(importer="TWN").row(0, named=True)
    assert (row["quantity_t"], row["flags"]) == (pytest.approx(0.2), "one_sided;imputed_weight")


def test_an_exporter_without_weights_takes_the_unit_value_of_the_code() -> None:
    rows = [exported(1000.0, CN, importer, 100.0) for importer in (JP, US, DE)]
    row = reconcile(frame([*rows, exported(50.0, TW, JP)])).filter(exporter="TWN").row(0, named=True)
    assert row["quantity_t"] == pytest.approx(0.005)


def test_an_implausible_unit_value_is_flagged_and_its_weight_imputed() -> None:
    row = reconcile(with_weights(0.001)).filter(importer="TWN").row(0, named=True)
    assert row["quantity_t"] == pytest.approx(0.2)
    assert {"odd_unit_value", "imputed_weight"} < set(row["flags"].split(";"))


def test_nothing_known_of_weights_leaves_the_quantity_missing() -> None:
    row = only([exported(10.0)])
    assert row["quantity_t"] is None and "no_weight" in row["flags"]


def test_no_reports_give_no_flows_in_the_right_schema() -> None:
    result = reconcile_with_counts(frame([]))
    assert dict(result.flows.schema) == FLOW_SCHEMA and not result.flows.height
    assert not result.dropped.height


@pytest.mark.parametrize("column", ["year", "reporter", "partner", "hs6", "flow", "value_usd", "net_weight_kg"])
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(BadInput, match=f"missing columns \\['{column}'\\]"):
        reconcile(frame([exported(1.0)]).drop(column))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"reporter": 333}, UnmappedValue, "reporter code: '333'.*mirror_country_codes.csv"),
        ({"partner": 333}, UnmappedValue, "partner code: '333'.*mirror_country_codes.csv"),
        ({"flow": "Z"}, UnmappedValue, "flow code: 'z'.*mirror_flow_codes.csv"),
        ({"hs6": "2846"}, BadInput, "hs6 holds \\['2846'\\]"),
        ({"value_usd": -1.0}, BadInput, "value_usd holds \\[-1.0\\]"),
        ({"value_usd": float("nan")}, BadInput, "value_usd holds"),
        ({"net_weight_kg": -1.0}, BadInput, "net_weight_kg holds"),
        ({"year": "soon"}, BadInput, "year holds \\['soon'\\] in 1 rows; expected a number"),
        ({"year": 2022.7}, BadInput, "year holds \\[2022.7\\] in 1 rows; expected a whole year"),
        ({"year": date(2022, 1, 1)}, BadInput, "year holds \\['2022-01-01'\\]"),
        ({"year": True}, BadInput, "year holds \\['true'\\]"),
        ({"value_usd": "abc\ndef"}, BadInput, "value_usd holds .*expected a number"),
        ({"value_usd": [1.0]}, BadInput, "value_usd is of type List"),
        ({"value_usd": 5e-324}, BadInput, "value_usd holds"),
        ({"value_usd": 1e300}, BadInput, "value_usd holds"),
        ({"net_weight_kg": float("inf")}, BadInput, "net_weight_kg holds"),
        ({"hs6": [1]}, BadInput, "hs6 is of type List"),
        ({"is_net_weight_estimated": 0.5}, BadInput, "is_net_weight_estimated holds"),
        ({"classification": "S4"}, BadInput, "classification: \\['S4'\\] is no edition"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(change: dict, error: type, message: str) -> None:
    table = frame([exported(1.0)]).with_columns(**{name: pl.lit(value) for name, value in change.items()})
    with pytest.raises(error, match=message) as caught:
        reconcile(table)
    assert "\n" not in str(caught.value)


def test_what_is_no_frame_in_memory_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadInput, match="a LazyFrame; expected a polars DataFrame"):
        reconcile(frame([exported(1.0)]).lazy())  # type: ignore[arg-type]


ESTABLISHED = {"hs_edition": "HS2022", "classification": "H6", "is_net_weight_estimated": False}
ESTABLISHED |= {"partner2": 0, "customs": "C00", "mot": 0}
# Every name that the steps of the reconciliation give a column, and some of their results.
MADE_INSIDE = (
    *("reporter_iso3", "partner_iso3", "side", "reason", "total", "split_code", "exporter", "importer", "iso3"),
    *("to_hs6", "weight", "parts", "weight_kg", "unit", "away", "odd_weight", "code", "drop_reason", "rows", "found"),
    *("export_usd", "import_usd", "markup", "variance", "imputed", "hs6_right", "reason_right", "literal", "flags"),
)


@pytest.mark.parametrize("edition", [{}, {"classification": "H6"}, {"hs_edition": "HS2022"}], ids=str)
@pytest.mark.parametrize("name", MADE_INSIDE)
def test_a_further_column_changes_nothing_even_under_a_name_that_is_used_inside(name: str, edition: dict) -> None:
    plain = frame([*noisy_world(worst=US)[:60], exported(5.0, hs6="811291"), imported(7.0, hs6="811291")])
    plain = plain.with_columns(**{column: pl.lit(value) for column, value in edition.items()})
    for value in ("zzz", 1.0, True, None):
        assert reconcile(plain.with_columns(pl.lit(value).alias(name))).equals(reconcile(plain))


@given(st.text(max_size=12).filter(lambda name: name not in {*frame([]).columns, *ESTABLISHED}), st.integers())
@settings(max_examples=40, deadline=None)
def test_a_further_column_of_any_name_changes_nothing(name: str, value: int) -> None:
    plain = frame([exported(5.0), imported(7.0, kg=2.0)], hs_edition=["HS2022"] * 2)
    assert reconcile(plain.with_columns(pl.lit(value % 1000).alias(name))).equals(reconcile(plain))


def test_an_edition_is_taken_from_hs_edition_before_classification() -> None:
    plain = frame([exported(5.0)], hs_edition=["HS2022"])
    assert reconcile(plain.with_columns(classification=pl.lit("zzz"))).equals(reconcile(plain))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["M", "X"]),
            st.sampled_from([CN, JP, US, DE]),
            st.sampled_from([CN, JP, US, DE]),
            st.sampled_from([*MEASURED, 1.0]),
            st.sampled_from([None, *MEASURED, 1.0]),
        ),
        min_size=1,
        max_size=25,
    )
)
@settings(max_examples=60, deadline=None)
def test_the_widest_figures_that_are_let_in_give_finite_results(found: list[tuple]) -> None:
    rows: list[Row] = [(2022, reporter, partner, HS, side, usd, kg) for side, reporter, partner, usd, kg in found]
    result = reconcile_with_counts(frame(rows))
    for table in (result.flows, result.reporters, result.markup):
        for name, kind in table.schema.items():
            if kind == pl.Float64:
                assert table[name].drop_nulls().is_finite().all(), name


@pytest.mark.parametrize("marks", [[True, False], [1, 0], [1.0, 0.0], ["True", "0"]], ids=str)
def test_an_estimate_may_be_marked_by_a_number_or_a_word(marks: list[object]) -> None:
    rows = [exported(10.0, kg=5.0), exported(10.0, DE, kg=5.0)]
    found = reconcile(frame(rows, is_net_weight_estimated=marks)).sort("exporter")
    assert found["flags"].str.contains("imputed_weight").to_list() == [True, False]


def test_totals_are_known_by_their_codes_also_as_decimals() -> None:
    rows = [exported(100.0), exported(120.0)]
    assert only(rows, partner2=[0.0, 842.0], customs=["C00", "C00"], mot=[0.0, 0.0])["value_usd"] == 100.0


def test_values_that_are_no_trade_are_counted_by_reason() -> None:
    rows = [exported(0.0), exported(5.0, partner := CN, 0), exported(5.0, partner, 837), exported(5.0, partner, CN)]
    missing = frame(rows).with_columns(value_usd=pl.lit(None, pl.Float64)).head(1)
    result = reconcile_with_counts(pl.concat([frame(rows), missing]))
    assert dict(result.dropped.select("reason", "rows").iter_rows()) == {
        "partner: World": 1,
        "partner: not a country (bunkers, free zones, special categories)": 1,
        "reporter and partner are one country": 1,
        "value is missing": 1,
        "value is zero": 1,
    }


def test_every_country_code_leads_to_a_known_country_or_a_reason() -> None:
    table = reference(COUNTRY_FILE)
    assert table["code"].is_unique().all()
    assert (table["iso3"].is_null() != table["drop_reason"].is_null()).all()
    assert set(table["iso3"].drop_nulls()) <= set(countries().filter(kind="country")["iso3"])
    assert country_codes()["code"].is_unique().all()
    assert dict(country_codes().select("code", "iso3").iter_rows())["490"] == "TWN"


@pytest.mark.parametrize(("name", "value"), [("mean_power", 2.0), ("markup_cap", 0.9), ("prior_flows", 0.0)])
def test_parameters_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(BadInput, match=r"mirror_parameters\.csv"):
        replace(parameters(), **{name: value})
