"""The formulas of criticality (methods section 5)."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracing.criticality import economic_importance, governance_risk, quadrant, score, supply_risk, usgs_style
from tracing.trade_factor import trade_factors

INDICATORS = ("cc", "ge", "pv", "rl", "rq", "va")
THRESHOLDS = {"threshold_supply_risk": 1.0, "threshold_economic_importance": 2.8}
some = settings(max_examples=100, deadline=None, derandomize=True)
rates = st.floats(0, 1)
concentrations = st.floats(0, 15)


def estimates(country: str, value: float, indicators: tuple[str, ...] = INDICATORS, year: int = 2020) -> pl.DataFrame:
    rows = [(country, year, name, value) for name in indicators]
    return pl.DataFrame(rows, schema=["iso3", "year", "indicator", "estimate"], orient="row")


def one(expression: pl.Expr):
    return pl.select(expression).item()


def risk(world, sourcing, reliance):
    kind = pl.Float64
    return one(supply_risk(pl.lit(world, kind), pl.lit(sourcing, kind), pl.lit(reliance, kind)))


def test_the_worst_governed_country_has_risk_10_and_the_best_0():
    both = pl.concat([estimates("BAD", -2.5), estimates("GUD", 2.5), estimates("MID", 0.0)])
    assert dict(governance_risk(both, 2020, 2020).iter_rows()) == {"BAD": 10.0, "GUD": 0.0, "MID": 5.0}


def test_a_country_without_all_six_indicators_has_no_risk():
    assert governance_risk(estimates("AAA", 1.0, INDICATORS[:5]), 2020, 2020).is_empty()


def test_governance_is_averaged_over_the_window_and_nothing_outside_it():
    years = pl.concat([estimates("AAA", value, year=year) for year, value in ((2015, 2.5), (2016, -1.0), (2017, 1.0))])
    assert governance_risk(years, 2016, 2017)["risk"].to_list() == [5.0]


@some
@given(concentrations, concentrations, rates)
def test_supply_risk_lies_between_world_and_own_concentration(world, sourcing, reliance):
    assert min(world, sourcing) - 1e-9 <= risk(world, sourcing, reliance) <= max(world, sourcing) + 1e-9


def test_who_imports_nothing_faces_the_own_concentration_alone():
    assert risk(4.0, 1.0, 0.0) == 1.0
    assert risk(4.0, 1.0, 1.0) == 2.5


def test_without_a_sourcing_list_world_supply_stands_alone():
    assert risk(4.0, None, None) == 4.0
    assert risk(4.0, 1.0, None) is None


def test_importance_is_10_for_the_sector_with_the_largest_value_added():
    uses = pl.DataFrame(
        [("EUU", "a", 1.0, 200.0), ("EUU", "b", 0.5, 200.0), ("EUU", "b", 0.5, 100.0)],
        schema=["economy", "material", "share", "value_added_eur"],
        orient="row",
    )
    found = economic_importance(uses, pl.DataFrame({"material": ["basket"] * 2, "member": ["a", "c"]}))
    assert dict(found.select("material", "importance").iter_rows()) == {"a": 10.0, "b": 7.5, "basket": 10.0}
    assert found.filter(material="basket")["importance_reason"].item() == "mean of 1 of 2 elements with end uses"


def test_importance_is_not_given_where_most_of_the_use_has_no_sector():
    uses = pl.DataFrame(
        {
            "economy": ["EUU"] * 3,
            "material": ["a", "b", "b"],
            "share": [1.0, 0.4, 0.6],
            "value_added_eur": [1.0, 1.0, None],
        }
    )
    found = economic_importance(uses, pl.DataFrame(schema={"material": pl.String, "member": pl.String}))
    row = found.filter(material="b").row(0, named=True)
    assert row["importance"] is None and row["importance_reason"] is not None


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, 1), (0.49, 1), (0.5, 2), (1.0, 3), (1.99, 3), (2.0, 4), (9.0, 4), (None, None)]
)
def test_a_score_rises_at_each_cut_point(value, expected):
    assert one(score(pl.lit(value, pl.Float64), (0.5, 1.0, 2.0))) == expected


@pytest.mark.parametrize(
    ("supply", "importance", "expected"),
    [
        *((1.0, 2.8, "critical"), (0.99, 2.8, "importance_only"), (1.0, 2.79, "supply_risk_only")),
        *((0.9, 2.0, "neither"), (None, 5.0, None), (5.0, None, None)),
    ],
)
def test_critical_needs_both_thresholds(supply, importance, expected):
    assert one(quadrant(pl.lit(supply, pl.Float64), pl.lit(importance, pl.Float64), THRESHOLDS)) == expected


@some
@given(rates, rates, rates)
def test_usgs_style_is_a_geometric_mean(potential, exposure, vulnerability):
    found = one(usgs_style(pl.lit(potential), pl.lit(exposure), pl.lit(vulnerability)))
    assert found**3 == pytest.approx(potential * exposure * vulnerability, abs=1e-12)
    assert min(potential, exposure, vulnerability) - 1e-9 <= found <= max(potential, exposure, vulnerability) + 1e-9


LADDER = pl.DataFrame(
    [
        (who, f"trade_factor_{rung}", value)
        for who in ("EUU", "USA")
        for rung, value in (("home", 0.8), ("other", 1.0), ("export_control", 1.1))
    ],
    schema=["economy", "parameter", "value"],
    orient="row",
)
PRINTED = pl.DataFrame(
    [("graphite", "CHN", 1.0), ("graphite", "MDG", 1.2), ("neodymium", "CHN", 1.3)],
    schema=["material", "country", "trade_factor"],
    orient="row",
)
CONTROLS = pl.DataFrame(
    [
        ("CHN", "graphite", "mine", date(2023, 12, 1), None),
        ("CHN", "gallium", None, date(2023, 8, 1), date(2024, 11, 9)),
    ],
    schema={
        **dict.fromkeys(("imposer", "material", "stage"), pl.String),
        **dict.fromkeys(("effective", "suspended"), pl.Date),
    },
    orient="row",
)
BASKETS = pl.DataFrame({"material": ["rare_earths"], "member": ["neodymium"]})


@pytest.mark.parametrize(
    ("economy", "material", "stage", "year", "country", "expected"),
    [
        ("EUU", "graphite", "mine", 2022, "FRA", 0.8),
        ("USA", "graphite", "mine", 2022, "FRA", 1.0),
        ("USA", "graphite", "mine", 2022, "USA", 0.8),
        ("EUU", "graphite", "mine", 2022, "CHN", 1.0),
        ("EUU", "graphite", "mine", 2023, "CHN", 1.1),
        ("EUU", "graphite", "semi", 2023, "CHN", 1.0),
        ("USA", "graphite", "semi", 2023, "MDG", 1.2),
        ("USA", "gallium", "metal", 2023, "CHN", 1.1),
        ("USA", "gallium", "metal", 2024, "CHN", 1.0),
        ("EUU", "rare_earths", "compound", 2024, "CHN", 1.3),
    ],
)
def test_trade_factor_of_a_supplier(economy, material, stage, year, country, expected):
    names = ["economy", "material", "stage", "year", "country"]
    suppliers = pl.DataFrame([(economy, material, stage, year, country)], schema=names, orient="row")
    found = trade_factors(
        suppliers,
        home={"EUU": ["FRA", "DEU"], "USA": ["USA"]},
        ladder=LADDER,
        printed=PRINTED,
        restriction=CONTROLS,
        baskets=BASKETS,
    )
    assert found["factor"].to_list() == [expected]
