"""The one-country test, effective suppliers, allied share and alternatives of a market."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing.benchmarks import benchmarked, consumption
from tracing.chain_networks import ChainNetworks, prepare
from tracing.chains import trace_all
from tracing.diversification import (
    Facts,
    allied,
    alternatives,
    changed,
    diversify,
    mix,
    one_country,
    suppliers,
)
from tracing.economies import Union

LIMIT = 0.65
EU = Union("EUU", ["DEU", "FRA"])
CELL = {"material": "magnesium", "year": 2024, "stage": "metal"}
NOBODY = pl.DataFrame(schema={"importer": pl.String, "ally": pl.String, "since": pl.Int32})
ABROAD = ("CHN", "CHL", "JPN", "DEU", "FRA")


def market(
    importer: str, shares: dict[str, float], width: float = 0.0, made: dict[str, float] | None = None
) -> pl.DataFrame:
    """One market; shares of supply by country, the same at face value and traced, ``width`` to either side."""
    rows = []
    for country in {**shares, **(made or {})}:
        row = {"importer": importer, **CELL, "country": country, "evidence": "reported"}
        for view in ("face_value", "made_in", "processed_in"):
            share = (made if made and view != "face_value" else shares).get(country, 0.0)
            row |= {f"{view}_share": share}
            row |= {f"{view}_share_low": max(0.0, share - width), f"{view}_share_high": min(1.0, share + width)}
        rows.append(row)
    return suppliers(pl.DataFrame(rows).with_columns(pl.col("year").cast(pl.Int32)))


def allies_of(importer: str, *names: str, since: int = 2020) -> pl.DataFrame:
    rows = [(importer, name, since) for name in names]
    return pl.DataFrame(rows, schema=NOBODY.schema, orient="row")


@st.composite
def supplies(draw):
    """Shares of supply of the USA that add up to one, its own among them."""
    weights = draw(
        st.lists(st.floats(0, 1), min_size=len(ABROAD) + 1, max_size=len(ABROAD) + 1).filter(lambda w: sum(w) > 0.01)
    )
    return {name: weight / sum(weights) for name, weight in zip(("USA", *ABROAD), weights, strict=True)}


@pytest.mark.parametrize(
    ("share", "width", "verdict"),
    [
        (0.65, 0.0, "pass"),
        (math.nextafter(0.65, 0), 0.0, "pass"),
        (0.13 + 0.52, 0.0, "pass"),
        (0.650001, 0.0, "fail"),
        (0.65, 0.01, "uncertain"),
        (0.66, 0.01, "uncertain"),
        (0.64, 0.01, "pass"),
        (0.6701, 0.02, "fail"),
    ],
)
def test_exactly_the_limit_passes_and_an_interval_across_it_is_uncertain(share, width, verdict):
    row = one_country(market("USA", {"CHN": share, "USA": 1 - share}, width), EU, LIMIT).row(0, named=True)
    assert row["face_value_verdict"] == row["traced_verdict"] == verdict
    assert row["face_value_over_limit"] == (share > LIMIT + 1e-9)


def test_a_country_other_than_the_lead_can_make_the_test_uncertain():
    rows = market("USA", {"CHN": 0.5, "CHL": 0.4, "USA": 0.1})
    wide = rows.with_columns(
        face_value_share_high=pl.when(pl.col("country") == "CHL").then(0.7).otherwise("face_value_share_high")
    )
    row = one_country(wide, EU, LIMIT).row(0, named=True)
    assert (row["face_value_lead"], row["face_value_verdict"], row["traced_verdict"]) == ("CHN", "uncertain", "pass")


@pytest.mark.parametrize(("importer", "lead"), [("DEU", "CHN"), ("EUU", "CHN"), ("USA", "FRA")])
def test_a_member_of_the_union_is_a_third_country_to_outsiders_only(importer, lead):
    row = one_country(market(importer, {"FRA": 0.7, "CHN": 0.2, importer: 0.1}), EU, LIMIT).row(0, named=True)
    assert row["face_value_lead"] == lead
    assert row["face_value_verdict"] == ("fail" if lead == "FRA" else "pass")


def test_unnamed_and_unexplained_supply_is_nobodys_and_own_output_no_third_country():
    row = one_country(market("USA", {"OTH": 0.7, "USA": 0.3}), EU, LIMIT).row(0, named=True)
    assert (row["face_value_lead"], row["face_value_share"], row["face_value_verdict"]) == (None, 0.0, "pass")


def test_dependence_that_only_tracing_shows_is_flagged():
    rows = market("USA", {"JPN": 0.9, "USA": 0.1}, made={"CHN": 0.8, "JPN": 0.1, "USA": 0.1})
    hidden = one_country(rows.filter(pl.col("country") != "JPN"), EU, LIMIT).row(0, named=True)
    assert (hidden["face_value_over_limit"], hidden["traced_over_limit"]) == (False, True)
    assert hidden["only_traced_over_limit"]
    assert not one_country(rows, EU, LIMIT)["only_traced_over_limit"].item()


@given(supplies())
def test_the_lead_has_the_largest_share_and_passes_only_if_it_may(shares):
    row = one_country(market("USA", shares), EU, LIMIT).row(0, named=True)
    largest = max(shares[name] for name in ABROAD)
    assert row["face_value_share"] == largest
    assert row["face_value_verdict"] == ("pass" if largest <= LIMIT + 1e-12 else "fail")


@given(st.integers(1, 5), st.floats(0.05, 1))
def test_equal_suppliers_count_as_many_as_they_are(number, imported):
    shares = dict.fromkeys(ABROAD[:number], imported / number) | {"USA": 1 - imported}
    row = mix(market("USA", shares), EU).row(0, named=True)
    assert row["face_value_effective_suppliers"] == pytest.approx(number)
    assert row["made_in_effective_suppliers"] == pytest.approx(number)
    assert row["own_share"] == pytest.approx(1 - imported)


@given(supplies())
def test_effective_suppliers_lie_between_one_and_the_number_of_suppliers(shares):
    number = mix(market("USA", shares), EU)["face_value_effective_suppliers"].item()
    sellers = sum(shares[name] > 0 for name in ABROAD)
    assert number is None if not sellers else 1 - 1e-9 <= number <= sellers + 1e-9


@given(supplies(), st.sets(st.sampled_from(ABROAD)))
def test_allied_share_is_within_0_and_1_and_the_sum_over_allies(shares, names):
    row = allied(market("USA", shares), allies_of("USA", *names), EU).row(0, named=True)
    if not names:
        assert row["face_value_allied_share"] is None
    else:
        assert 0 <= row["face_value_allied_share"] <= 1
        assert row["face_value_allied_share"] == pytest.approx(sum(shares[name] for name in names))


@given(supplies(), st.floats(0, 1))
def test_with_every_country_an_ally_the_share_is_what_own_output_and_unnamed_supply_leave(shares, unnamed):
    shares = {name: share * (1 - unnamed) for name, share in shares.items()} | {"OTH": unnamed}
    row = allied(market("USA", shares), allies_of("USA", *ABROAD), EU).row(0, named=True)
    for view in ("face_value", "made_in"):
        assert row[f"{view}_allied_share"] == pytest.approx(1 - shares["USA"] - unnamed, abs=1e-12)


def test_the_union_in_the_ally_table_stands_for_its_members_on_both_sides():
    shares = {"DEU": 0.3, "FRA": 0.2, "JPN": 0.4, "CHN": 0.1}
    assert allied(market("USA", shares), allies_of("USA", "EUU"), EU)[
        "face_value_allied_share"
    ].item() == pytest.approx(0.5)
    for importer in ("EUU", "DEU"):
        row = allied(market(importer, {"JPN": 0.4, "CHN": 0.6}), allies_of("EUU", "JPN"), EU).row(0, named=True)
        assert row["face_value_allied_share"] == pytest.approx(0.4)
    inside = allied(market("DEU", {"FRA": 0.2, "CHN": 0.8}), NOBODY, EU).row(0, named=True)
    assert (inside["face_value_allied_share"], inside["allies"]) == (pytest.approx(0.2), 1)


def test_an_ally_counts_from_its_first_year():
    shares = {"JPN": 0.4, "CHN": 0.6}
    pairs = pl.concat([allies_of("USA", "JPN", since=2025), allies_of("USA", "CHL", since=2024)])
    row = allied(market("USA", shares), pairs, EU).row(0, named=True)
    assert (row["face_value_allied_share"], row["allies"]) == (0.0, 1)


def test_alternatives_have_five_percent_and_are_neither_lead_nor_importer_nor_unnamed():
    output = {"CHN": 60.0, "CHL": 5.0, "JPN": 4.99, "USA": 20.0, "OTH": 10.01}
    rows = [{**CELL, "country": country, "quantity_t": tonnes} for country, tonnes in output.items()]
    made = pl.DataFrame(rows).with_columns(pl.col("year").cast(pl.Int32))
    markets = pl.DataFrame([{"importer": name, **CELL, "lead": "CHN"} for name in ("USA", "FRA")])
    found = alternatives(markets.with_columns(pl.col("year").cast(pl.Int32)), made, EU)
    assert dict(found.select("importer", "alternatives").iter_rows()) == {"USA": 1, "FRA": 2}


def test_what_changed_is_null_without_the_year_before():
    rows = pl.DataFrame(
        {"importer": "USA", "material": "magnesium", "year": [2023, 2024], "stage": "metal"}
        | {"face_value_lead": ["CHN", "CHL"], "face_value_share": [0.7, 0.4]}
        | {"traced_lead": ["CHN", "CHN"], "traced_share": [0.8, 0.6]}
    )
    first, second = changed(rows).sort("year").iter_rows(named=True)
    assert first["face_value_lead_before"] is None and first["traced_share_change"] is None
    assert (second["face_value_lead_before"], second["face_value_share_change"]) == ("CHN", pytest.approx(-0.3))


def tables(
    output: dict[str, float], trade: list[tuple[str, str, float]], spread: float = 0.0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Canonical output and trade of magnesium metal in 2024."""

    def bounds(tonnes: float) -> dict[str, float]:
        return {
            "quantity_t": tonnes,
            "quantity_t_low": tonnes * (1 - spread),
            "quantity_t_high": tonnes * (1 + spread),
        }

    base = {**CELL, "source": "toy", "evidence": "reported"}
    made = [{**base, "iso3": country, "method": "reported", **bounds(tonnes)} for country, tonnes in output.items()]
    moved = [{**base, "exporter": a, "importer": b, "hs_codes": "8104", **bounds(t)} for a, b, t in trade]
    return pl.DataFrame(made), pl.DataFrame(moved)


def network(output: dict[str, float], trade: list[tuple[str, str, float]], spread: float = 0.0) -> ChainNetworks:
    return prepare(*tables(output, trade, spread), None, None, None, (2024,))


BENCHMARKS = pl.DataFrame(
    {
        "benchmark": ["one_country", "extraction", "processing", "recycling"],
        "stage": ["all", "mine", "metal", "all"],
        "value": [0.65, 0.1, 0.4, 0.25],
    }
)
RATES = pl.DataFrame(schema={"material": pl.String, "value": pl.Float64})


def union_row(parts: ChainNetworks, rates: pl.DataFrame = RATES) -> dict:
    rows = consumption(parts, EU)
    return benchmarked(rows, BENCHMARKS, rates, EU).filter(importer="EUU").row(0, named=True)


def test_own_output_is_held_against_consumption_of_the_whole_union():
    # The union makes 40 and buys 60 net of what it sells; trade among members is none.
    trade = [("CHN", "DEU", 70.0), ("DEU", "FRA", 30.0), ("FRA", "USA", 10.0)]
    row = union_row(network({"CHN": 500.0, "DEU": 30.0, "FRA": 10.0}, trade))
    assert row["consumption_t"] == pytest.approx(100)
    assert (row["own_output_share"], row["benchmark"], row["benchmark_verdict"]) == (0.4, "processing", "met")


@pytest.mark.parametrize(("bought", "verdict"), [(60.0, "uncertain"), (30.0, "met"), (200.0, "not_met")])
def test_a_benchmark_inside_the_interval_is_not_decided(bought, verdict):
    assert (
        union_row(network({"CHN": 900.0, "DEU": 40.0}, [("CHN", "DEU", bought)], 0.1))["benchmark_verdict"] == verdict
    )


@given(st.floats(1, 100), st.floats(1, 100), st.floats(0, 300), st.floats(0, 0.3))
def test_own_output_share_lies_in_its_interval(made, bought, sold, spread):
    row = union_row(network({"CHN": 900.0, "DEU": made}, [("CHN", "DEU", bought), ("DEU", "USA", sold)], spread))
    share, low, high = (row[f"own_output_share{end}"] for end in ("", "_low", "_high"))
    if made + bought - sold > 1e-9:
        assert low <= share * (1 + 1e-9)
        assert high is None or high >= share * (1 - 1e-9)
    elif made + bought - sold < -1e-9:
        assert share is None and row["benchmark_reason"] == "exports take all of output and imports"


def test_a_benchmark_that_cannot_be_computed_says_why():
    parts = network({"CHN": 900.0, "USA": 5.0}, [("CHN", "DEU", 20.0), ("CHN", "USA", 5.0)])
    row = union_row(parts)
    assert (row["own_output_share"], row["benchmark_reason"]) == (None, "no output of its own in the figures")
    assert (row["recycling_verdict"], row["recycling_share"]) == (None, None) and row["recycling_reason"]
    other = benchmarked(consumption(parts, EU), BENCHMARKS, RATES, EU).filter(importer="USA").row(0, named=True)
    assert other["benchmark_reason"] == other["recycling_reason"] == "set for the Union as a whole"
    assert other["own_output_share"] == pytest.approx(0.5)


@pytest.mark.parametrize(("rate", "verdict"), [(0.25, "met"), (0.24, "not_met")])
def test_a_recycling_rate_stands_in_where_no_tonnes_are_recorded(rate, verdict):
    rates = pl.DataFrame({"material": ["magnesium"], "value": [rate]})
    row = union_row(network({"CHN": 900.0}, [("CHN", "DEU", 20.0)]), rates)
    assert (row["recycling_verdict"], row["recycling_basis"]) == (verdict, "end-of-life recycling input rate")


def test_the_union_is_one_market_beside_its_members():
    output, trade = {"CHN": 100.0, "DEU": 10.0}, [("CHN", "DEU", 30.0), ("DEU", "FRA", 20.0), ("CHN", "USA", 5.0)]
    made, moved = tables(output, trade)
    facts = Facts(
        exposure=trace_all(made, moved, years=(2024,), draws=2).exposure,
        networks=network(output, trade),
        union=EU,
        allies=allies_of("USA", "JPN"),
        allies_origin="user",
        benchmarks=BENCHMARKS,
        recycling=RATES,
    )
    rows = {row["importer"]: row for row in diversify(facts, draws=2, seed=1).iter_rows(named=True)}
    assert set(rows) == {"CHN", "DEU", "EUU", "FRA", "USA"}
    assert (rows["EUU"]["face_value_lead"], rows["EUU"]["face_value_share"]) == ("CHN", pytest.approx(0.75))
    # France buys from Germany alone, which is no third country; three quarters of that was made in China.
    assert (rows["FRA"]["face_value_lead"], rows["FRA"]["largest_supplier"]) == (None, "DEU")
    assert (rows["FRA"]["traced_lead"], rows["FRA"]["only_traced_over_limit"]) == ("CHN", True)
    assert rows["FRA"]["traced_share"] == pytest.approx(0.75)
    assert (rows["USA"]["allies_origin"], rows["CHN"]["allies_origin"]) == ("user", None)
