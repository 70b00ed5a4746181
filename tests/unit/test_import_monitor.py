"""The monthly monitor: what is computed from months held, and when an alert is raised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import OretraceError
from ingest.schemas import CANONICAL
from ingest.transforms import import_monitor, monitor_alerts
from ingest.transforms.monitor_lines import held

MAGNETS, GERMANIUM = "8505110070", "8112926000"
Months = Sequence[float | None]


def trade(
    partners: Mapping[str, Months],
    *,
    hs10: str = MAGNETS,
    kilograms: Mapping[str, Months] | None = None,
    first: tuple[int, int] = (2022, 8),
    whole: bool = True,
    flow: str = "M",
    skip: Sequence[int] = (),
    unit: str | None = "KG",
) -> pl.DataFrame:
    """Canonical ``trade_month`` of one line: values by partner and month, with their total where ``whole``."""
    kilograms = kilograms or {}
    length = max(len(values) for values in partners.values())
    rows: list[dict[str, Any]] = []
    for n in (n for n in range(length) if n not in skip):
        year, month = divmod(first[0] * 12 + first[1] - 1 + n, 12)
        when = {"year": year, "month": month + 1, "flow": flow, "hs10": hs10, "unit_printed": unit}
        known = {"source": "census_monthly", "vintage": f"{year}-{month + 1:02}", "evidence": "reported"}
        known["scope"] = "all_countries" if whole else "selected_partners"
        listed = {
            partner: (values[n], kilograms[partner][n] if partner in kilograms else None)
            for partner, values in partners.items()
            if values[n] is not None
        }
        if whole:
            weights = [kg for _, kg in listed.values()]
            total = None if None in weights else sum(weights)
            listed["WLD"] = (sum(usd for usd, _ in listed.values()), total)
        rows += [
            {**when, **known, "partner": partner, "value_usd": usd, "quantity_kg": kg}
            for partner, (usd, kg) in listed.items()
        ]
    return pl.DataFrame(rows, schema=CANONICAL["trade_month"].columns)


def control(**said: Any) -> pl.DataFrame:
    usual = {
        "authority_no": "No. 23",
        "imposer": "CHN",
        "material": "germanium",
        "stage": None,
        "announced": date(2023, 7, 3),
        "effective": date(2023, 8, 1),
        "status": "in_force",
        "suspended": None,
        "hs_codes": None,
        "source": "policy",
        "vintage": "2025",
        "evidence": "reported",
    }
    return pl.DataFrame([usual | said], schema=CANONICAL["restriction"].columns)


NO_CONTROL = control().clear()


def monitor(months: pl.DataFrame, restriction: pl.DataFrame = NO_CONTROL) -> pl.DataFrame:
    return import_monitor.monitor(months, restriction)[0]


def raised(table: pl.DataFrame, alert: str) -> list[tuple[str, str]]:
    """Partner and month of each row with the alert; one per material."""
    hit = table.filter(pl.col("alerts").str.split(";").list.contains(alert))
    return sorted(set(hit.select("partner", "period").iter_rows()))


def test_figures_of_a_month_beside_the_year_before() -> None:
    made = monitor(trade({"CHN": [100.0] * 6 + [0.0] * 6 + [75.0], "JPN": [25.0] * 13}))
    last = made.filter(partner="CHN", period="2023-08", material="rare_earths").row(0, named=True)
    assert last["mean_12m_usd"] == 50
    assert last["change_on_12m_mean"] == pytest.approx(0.5)
    assert last["change_on_year"] == pytest.approx(-0.25)
    assert last["partner_share"] == pytest.approx(0.75)
    assert last["partner_share_12m"] == pytest.approx(575 / 875)
    assert (last["months_available"], last["months_traded"]) == (12, 6)
    assert last["is_lead_partner"] is True
    assert last["share_reason"] is None
    assert made.filter(partner="JPN", period="2023-08")["is_lead_partner"].to_list() == [False, False]
    total = made.filter(partner="WLD", period="2023-08", material="rare_earths").row(0, named=True)
    assert (total["value_usd"], total["partner_share"], total["is_lead_partner"]) == (100, None, None)


def test_a_month_without_a_row_is_zero_only_where_the_month_was_pulled() -> None:
    made = monitor(trade({"CHN": [100.0] * 12 + [None, 60.0], "JPN": [10.0] * 14}))
    gap = made.filter(partner="CHN", period="2023-08", material="rare_earths").row(0, named=True)
    assert (gap["value_usd"], gap["quantity_kg"], gap["evidence"]) == (0, 0, "derived")
    assert gap["change_on_12m_mean"] == -1
    unpulled = monitor(trade({"CHN": [100.0] * 13 + [60.0], "JPN": [10.0] * 14}, skip=[12]))
    assert unpulled.filter(period="2023-08").is_empty()
    after = unpulled.filter(partner="CHN", period="2023-09", material="rare_earths").row(0, named=True)
    assert after["months_available"] == 11
    assert after["mean_12m_usd"] is None
    assert after["change_on_12m_mean"] is None
    assert after["partner_share_12m"] is None
    assert after["change_on_year"] == pytest.approx(-0.4)


def test_the_change_on_a_year_ago_is_open_where_that_month_was_not_pulled() -> None:
    made = monitor(trade({"CHN": [100.0] * 14}, skip=[1]))
    last = made.filter(partner="CHN", period="2023-09", material="rare_earths").row(0, named=True)
    assert last["change_on_year"] is None
    assert last["months_available"] == 11


def test_a_partner_is_shown_for_a_year_after_its_last_trade() -> None:
    made = monitor(trade({"CHN": [100.0] + [0.0] * 20, "JPN": [10.0] * 21}))
    shown = made.filter(partner="CHN", material="rare_earths")["period"].sort().to_list()
    assert (shown[0], shown[-1], len(shown)) == ("2022-08", "2023-08", 13)


def test_no_month_is_invented_after_the_newest() -> None:
    assert monitor(trade({"CHN": [100.0] * 3}))["period"].max() == "2022-10"


def test_selected_partners_have_no_share_and_say_why() -> None:
    made = monitor(trade({"VNM": [100.0] * 13}, whole=False, flow="X"))
    assert made["partner_share"].null_count() == made.height
    assert set(made["share_reason"]) == {"selected partners only: the vintages hold no total to divide by"}
    assert "WLD" not in made["partner"]
    assert made.filter(period="2023-08")["change_on_12m_mean"].to_list() == [0, 0]


def test_unit_values_are_those_of_what_is_weighed() -> None:
    weighed = trade({"CHN": [100.0] * 13}, kilograms={"CHN": [4.0] * 12 + [2.0]})
    last = monitor(weighed).filter(partner="CHN", period="2023-08", material="rare_earths").row(0, named=True)
    assert (last["unit_value_usd_kg"], last["unit_value_12m_usd_kg"]) == (50, 25)
    assert last["share_by_quantity"] == 1


@pytest.mark.parametrize(("usd", "kilograms"), [(5.0, 10.0), (6.0, None)])
def test_a_line_is_weighed_where_95_percent_of_its_value_is(usd: float, kilograms: float | None) -> None:
    parts = [
        trade({"CHN": [95.0]}, kilograms={"CHN": [10.0]}),
        trade({"CHN": [usd]}, hs10="8505110050", unit="NO"),
    ]
    china = monitor(pl.concat(parts)).filter(partner="CHN", material="rare_earths").row(0, named=True)
    assert china["line"] == "850511"
    assert china["value_usd"] == 95 + usd
    assert china["quantity_kg"] == kilograms
    assert china["evidence"] == "derived"


def test_weights_of_goods_and_of_contents_are_not_added() -> None:
    parts = [
        trade({"CHN": [50.0]}, kilograms={"CHN": [10.0]}),
        trade({"CHN": [50.0]}, hs10="8505110050", kilograms={"CHN": [10.0]}, unit="CKG"),
    ]
    assert monitor(pl.concat(parts)).filter(partner="CHN")["quantity_kg"].null_count() == 2


def test_a_named_import_line_stands_on_its_own_and_an_export_line_does_not() -> None:
    imports = monitor(trade({"CHN": [1.0]}, hs10=GERMANIUM))
    assert imports.select("line", "material", "stage", "basket").unique().rows() == [
        (GERMANIUM, "germanium", "metal", False)
    ]
    exports = monitor(trade({"CHN": [1.0]}, hs10=GERMANIUM, flow="X"))
    assert set(exports["line"]) == {"811292"}
    assert exports["basket"].all()


def test_us_concentrate_sold_to_china_is_a_mine_product() -> None:
    keys = pl.DataFrame({"flow": "X", "line": "284690", "partner": ["CHN", "JPN"], "year": 2022})
    stages = held(keys)[0].filter(material="rare_earths")
    assert dict(stages.select("partner", "stage").iter_rows()) == {"CHN": "mine", "JPN": "compound"}


def test_a_line_without_a_material_is_counted() -> None:
    made, dropped = import_monitor.monitor(trade({"CHN": [1.0]}, hs10="0202203550"), NO_CONTROL)
    assert made.is_empty()
    assert dropped.select("reason", "rows").rows() == [("no material mapped to the line", 2)]


@pytest.mark.parametrize(("china", "partners"), [(65.0, []), (65.1, ["CHN"])])
def test_a_lead_share_is_raised_above_65_percent_over_a_year(china: float, partners: list[str]) -> None:
    made = monitor(trade({"CHN": [china * 1e4] * 12, "JPN": [(100 - china) * 1e4] * 12}))
    assert raised(made, "lead_share_above_65") == [(partner, "2023-07") for partner in partners]


def test_a_lead_share_needs_a_whole_year_and_a_million_dollars() -> None:
    assert not raised(monitor(trade({"CHN": [1e6] * 11})), "lead_share_above_65")
    assert not raised(monitor(trade({"CHN": [1e6] * 13}, skip=[5])), "lead_share_above_65")
    assert not raised(monitor(trade({"CHN": [83_333.0] * 12})), "lead_share_above_65")
    assert raised(monitor(trade({"CHN": [83_334.0] * 12})), "lead_share_above_65")


@pytest.mark.parametrize(("small", "partners"), [(10.0, ["MYS"]), (9.9, [])])
def test_a_supplier_of_a_tenth_that_sells_nothing_is_gone(small: float, partners: list[str]) -> None:
    made = monitor(trade({"MYS": [small * 1e4] * 12 + [0.0], "JPN": [(100 - small) * 1e4] * 13}))
    assert raised(made, "supplier_gone") == [(partner, "2023-08") for partner in partners]


def test_a_supplier_that_still_sells_a_little_or_was_rarely_there_is_not_gone() -> None:
    japan = [1e6] * 13
    assert not raised(monitor(trade({"MYS": [5e5] * 12 + [1.0], "JPN": japan})), "supplier_gone")
    assert not raised(monitor(trade({"MYS": [0.0] * 7 + [5e6] * 5 + [0.0], "JPN": japan})), "supplier_gone")
    assert raised(monitor(trade({"MYS": [0.0] * 6 + [5e6] * 6 + [0.0], "JPN": japan})), "supplier_gone")


def test_the_only_supplier_can_be_gone() -> None:
    assert raised(monitor(trade({"CHN": [1e6] * 12 + [0.0]})), "supplier_gone") == [("CHN", "2023-08")]


@pytest.mark.parametrize(
    ("now", "alert"), [(15.0, None), (15.1, "price_jump"), (6.6, "price_fall"), (6.7, None), (10.0, None)]
)
def test_a_price_moves_beyond_half_as_high_again_or_two_thirds(now: float, alert: str | None) -> None:
    made = monitor(trade({"CHN": [1e5] * 12 + [now * 1e4]}, kilograms={"CHN": [1e4] * 13}))
    for kind in ("price_jump", "price_fall"):
        expected = [(partner, "2023-08") for partner in ("CHN", "WLD")] if kind == alert else []
        assert raised(made, kind) == expected


def test_a_price_of_a_small_month_or_without_weights_is_not_judged() -> None:
    small = trade({"CHN": [1e5] * 12 + [49_999.0]}, kilograms={"CHN": [1e4] * 12 + [100.0]})
    assert not raised(monitor(small), "price_jump")
    enough = trade({"CHN": [1e5] * 12 + [50_000.0]}, kilograms={"CHN": [1e4] * 12 + [100.0]})
    assert raised(monitor(enough), "price_jump")
    assert not raised(monitor(trade({"CHN": [1e5] * 12 + [1e6]})), "price_jump")


def after_control(
    then: float, weight: float | None = None, *, partner: str = "CHN", whole: bool = True, **said: Any
) -> list[tuple[str, str]]:
    """Alerts of a year at 1e5 USD and 100 kg a month followed by five months at ``then`` and ``weight``."""
    weights = {partner: [100.0] * 12 + [weight] * 5} if weight is not None else None
    months = trade({partner: [1e5] * 12 + [then] * 5}, hs10=GERMANIUM, kilograms=weights, whole=whole)
    return raised(monitor(months, control(**said)), "drop_after_control")


@pytest.mark.parametrize(("then", "weight"), [(49_999.0, 50.0), (5e4, 49.9), (0.0, 0.0)])
def test_a_drop_below_half_after_a_control_is_raised_once_three_months_are_over(then: float, weight: float) -> None:
    assert after_control(then, weight) == [("CHN", "2023-10")]


@pytest.mark.parametrize(
    ("then", "weight", "said"),
    [
        (5e4, 50.0, {}),
        (5e4, None, {}),
        (0.0, 0.0, {"partner": "JPN"}),
        (0.0, 0.0, {"material": "gallium"}),
        (0.0, 0.0, {"stage": "compound"}),
        (0.0, 0.0, {"suspended": date(2023, 10, 31), "status": "suspended"}),
        (0.0, 0.0, {"effective": None}),
        (0.0, 0.0, {"effective": date(2023, 7, 1)}),
    ],
)
def test_no_drop_is_raised_where_a_control_does_not_explain_one(
    then: float, weight: float | None, said: dict[str, Any]
) -> None:
    assert after_control(then, weight, **said) == []


def test_a_control_is_judged_without_a_total_and_even_if_suspended_later() -> None:
    assert after_control(0.0, whole=False) == [("CHN", "2023-10")]
    assert after_control(0.0, suspended=date(2023, 11, 1), status="suspended") == [("CHN", "2023-10")]
    assert after_control(0.0, stage="metal") == [("CHN", "2023-10")]


def test_the_month_in_which_a_control_starts_counts_neither_before_nor_after() -> None:
    late = control(effective=date(2023, 8, 15))
    for then, expected in ((4e4, [("CHN", "2023-11")]), (6e4, [])):
        months = trade({"CHN": [1e5] * 12 + [9e6] + [then] * 4}, hs10=GERMANIUM)
        assert raised(monitor(months, late), "drop_after_control") == expected
        assert not raised(monitor(months, control(effective=date(2023, 8, 1))), "drop_after_control")


def test_an_alert_gives_its_figures() -> None:
    months = trade({"CHN": [1e5] * 12 + [0.0] * 3}, hs10=GERMANIUM)
    hit = monitor(months, control()).filter(partner="CHN", period="2023-10").row(0, named=True)
    assert hit["alerts"] == "supplier_gone;drop_after_control"
    assert hit["alert_reason"] == (
        "100.0 percent of the line in the 12 months before, none now; "
        "0.0 percent of the monthly mean before, in 3 months after No. 23 of 2023-08-01"
    )


@pytest.fixture
def shipped() -> Iterator[None]:
    monitor_alerts.rules.cache_clear()
    yield
    monitor_alerts.rules.cache_clear()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rule": "hunch"}, "needs a rule of share_above"),
        ({"flow": "R"}, "a flow M or X"),
        ({"threshold": "high"}, "a number is missing or none"),
        ({"window_months": None}, "a number is missing or none"),
        ({"threshold": "0"}, "a threshold above 0"),
        ({"alert": "supplier_gone"}, "named twice"),
    ],
)
def test_a_rule_that_cannot_be_applied_is_refused(
    shipped: None, monkeypatch: pytest.MonkeyPatch, change: dict[str, str | None], says: str
) -> None:
    table = monitor_alerts.reference("monitor_rules.csv")
    first = pl.DataFrame([table.row(0, named=True) | change], schema=table.schema)
    monkeypatch.setattr(monitor_alerts, "reference", lambda file: pl.concat([first, table[1:]]))
    with pytest.raises(OretraceError, match=says):
        monitor_alerts.rules()


def test_levels_are_data(shipped: None, monkeypatch: pytest.MonkeyPatch) -> None:
    months = trade({"CHN": [6e5] * 12, "JPN": [4e5] * 12})
    assert not raised(monitor(months), "lead_share_above_65")
    lower = monitor_alerts.reference("monitor_rules.csv").with_columns(pl.col("threshold").replace("0.65", "0.55"))
    monkeypatch.setattr(monitor_alerts, "reference", lambda file: lower)
    monitor_alerts.rules.cache_clear()
    assert raised(monitor(months), "lead_share_above_65") == [("CHN", "2023-07")]


USD = st.integers(0, 10**7).map(float)


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.tuples(USD, USD, USD), min_size=1, max_size=26),
    factor=st.sampled_from([0.5, 2.0, 8.0]),
)
def test_shares_sum_to_one_and_do_not_depend_on_the_currency(
    values: list[tuple[float, float, float]], factor: float
) -> None:
    partners = dict(zip(("CHN", "JPN", "MYS"), map(list, zip(*values, strict=True)), strict=True))
    made = monitor(trade(partners))
    for column in ("partner_share", "partner_share_12m"):
        known = made.filter(pl.col(column).is_not_null())
        sums = known.group_by("material", "period").agg(pl.col(column).sum())
        # A partner without trade for a year has no row; its part of the year is nothing.
        assert all(share == pytest.approx(1) for share in sums[column])
    scaled = monitor(trade({name: [factor * usd for usd in months] for name, months in partners.items()}))
    key = ["partner", "material", "period"]
    for column in ("partner_share", "change_on_year", "change_on_12m_mean"):
        assert scaled.sort(key)[column].to_list() == pytest.approx(made.sort(key)[column].to_list(), nan_ok=True)
