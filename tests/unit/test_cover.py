"""Days of cover: what a stock is worth against a ban depends on its form and on who can convert it."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.transforms import announced_reserve, stock_target
from ingest.user_stock import SCHEMA
from tracing.chain_networks import ChainNetworks, prepare
from tracing.cover import COLUMNS, ENDS, STOCK, Holdings, cover, needs, nominal_days, usable_tonnes
from tracing.economies import Union, merged
from tracing.routes import ONLY_NET, Need, blind_stages, markets, routes, ways

YEAR = 2024
CHAIN = [("compound", None), ("metal", "compound"), ("component", "metal")]
OUTPUT = [
    ("compound", "CHN", 90.0),
    ("compound", "MYS", 10.0),
    ("metal", "CHN", 92.0),
    ("metal", "JPN", 6.0),
    ("metal", "VNM", 2.0),
    ("component", "CHN", 92.0),
    ("component", "JPN", 7.0),
    ("component", "DEU", 1.0),
]
TRADE = [
    ("compound", "CHN", "JPN", 2.0),
    ("compound", "MYS", "JPN", 6.0),
    ("compound", "CHN", "VNM", 2.0),
    ("metal", "CHN", "JPN", 3.0),
    ("metal", "VNM", "JPN", 1.0),
    ("metal", "CHN", "DEU", 1.0),
    ("component", "CHN", "USA", 7.5),
    ("component", "JPN", "USA", 0.9),
    ("component", "DEU", "USA", 0.4),
    ("component", "CHN", "DEU", 2.0),
]
tonnes = st.floats(0, 1e6)
shares = st.floats(0, 1)


def _usable(stock: float, share: float | None, capacity: float | None, *, needed: bool = False) -> float | None:
    row = pl.DataFrame(
        {"s": [stock], "f": [share], "c": [capacity], "n": [needed]},
        schema={"s": pl.Float64, "f": pl.Float64, "c": pl.Float64, "n": pl.Boolean},
    )
    made = usable_tonnes(pl.col("s"), pl.col("f"), pl.col("c"), pl.col("n"), 365.0)
    value = row.select(made).item()
    return None if value is None else float(value)


def test_stock_in_the_needed_form_is_fully_usable_whatever_the_route() -> None:
    assert _usable(100.0, 1.0, 0.0, needed=True) == 100.0
    assert _usable(100.0, None, None, needed=True) == 100.0


def test_the_same_tonnes_as_oxide_with_no_safe_route_are_of_no_use() -> None:
    assert _usable(100.0, 1.0, 50.0) == 0.0
    assert _usable(100.0, 0.0, 0.0) == 0.0


def test_safe_conversion_over_the_horizon_caps_what_is_usable() -> None:
    assert _usable(100.0, 0.2, 1000.0) == 80.0
    assert _usable(100.0, 0.2, 30.0) == 30.0


def test_an_unknown_route_or_capacity_gives_no_figure() -> None:
    assert _usable(100.0, None, 30.0) is None
    assert _usable(100.0, 0.2, None) is None


def test_days_are_stock_over_daily_need_and_need_of_nothing_gives_none() -> None:
    frame = pl.DataFrame({"s": [100.0, 100.0, 100.0], "n": [365.0, 0.0, None]})
    assert frame.select(nominal_days(pl.col("s"), pl.col("n"))).to_series().to_list() == [100.0, None, None]


@given(tonnes, shares, tonnes, st.booleans())
def test_usable_is_never_more_than_nominal(stock: float, share: float, capacity: float, needed: bool) -> None:
    usable = _usable(stock, share, capacity, needed=needed)
    assert usable is not None
    assert 0 <= usable <= stock


@given(tonnes, shares, shares, tonnes)
def test_usable_falls_with_the_banned_share(stock: float, one: float, other: float, capacity: float) -> None:
    less, more = _usable(stock, min(one, other), capacity), _usable(stock, max(one, other), capacity)
    assert less is not None and more is not None
    assert more <= less


@given(tonnes, shares, tonnes, tonnes)
def test_usable_grows_with_safe_capacity(stock: float, share: float, one: float, other: float) -> None:
    small, large = _usable(stock, share, min(one, other)), _usable(stock, share, max(one, other))
    assert small is not None and large is not None
    assert small <= large


def _networks(output: list[tuple[str, str, float]] = OUTPUT, method: str = "reported") -> ChainNetworks:
    made = pl.DataFrame(output, schema=["stage", "iso3", "quantity_t"], orient="row")
    made = made.with_columns(material=pl.lit("rare_earths"), year=YEAR, source=pl.lit("s"), evidence=pl.lit("reported"))
    made = made.with_columns(
        quantity_t_low=pl.col("quantity_t") * 0.9, quantity_t_high=pl.col("quantity_t") * 1.1, method=pl.lit(method)
    )
    moved = pl.DataFrame(TRADE, schema=["stage", "exporter", "importer", "quantity_t"], orient="row").with_columns(
        material=pl.lit("rare_earths"),
        year=YEAR,
        source=pl.lit("s"),
        evidence=pl.lit("reported"),
        hs_codes=pl.lit(None, pl.String),
        quantity_t_low=pl.col("quantity_t") * 0.9,
        quantity_t_high=pl.col("quantity_t") * 1.1,
    )
    return prepare(made, moved, _chain(), None, None, (YEAR,))


def _chain() -> pl.DataFrame:
    rows = [("rare_earths", stage, before, 1) for stage, before in CHAIN]
    return pl.DataFrame(rows, schema=["material", "stage", "from_stage", "rank"], orient="row")


def _need(*holders: str) -> Need:
    none = pl.DataFrame(schema={"material": pl.String, "form": pl.String})
    return ways(_chain(), {"rare_earths": "component"}, none, holders)


def _route(holder: str, form: str) -> dict[str, object]:
    return routes(_networks(), _need(holder)).filter(form=form).row(0, named=True)


def test_oxide_of_the_usa_passes_china_as_the_worked_example_says() -> None:
    magnet, metal, oxide = (_route("USA", form) for form in ("component", "metal", "compound"))
    # Methods section 3: processed in China 0.9540 over all stages, made in China 0.8826.
    assert (oxide["lead_processor"], oxide["lead_share"]) == ("CHN", pytest.approx(0.9540, abs=5e-5))
    assert metal["route_share"] == pytest.approx(0.8826, abs=5e-5)
    assert magnet["route_share"] == 0
    # After the oxide only metal and magnets count: 0.3 of the metal of Japan is Chinese, and all that of Germany.
    assert oxide["route_share"] == pytest.approx(0.8826 + 0.1023 * 0.3 + 0.0152, abs=1e-4)


def test_plants_of_the_holder_itself_are_safe() -> None:
    japan = _route("JPN", "compound")
    assert japan["lead_processor"] == "CHN"
    assert japan["route_share"] == pytest.approx(0.3)
    china = _route("CHN", "compound")
    assert (china["lead_processor"], china["route_share"]) == (None, 0.0)


def test_the_share_falls_the_nearer_the_form_is_to_the_needed_one() -> None:
    found = routes(_networks(), _need("USA", "JPN", "DEU"))
    for _, rows in found.group_by("holder"):
        ordered = dict(rows.select("form", "route_share").iter_rows())
        assert ordered["component"] <= ordered["metal"] <= ordered["compound"]
        assert (rows["route_share_low"] <= rows["route_share"]).all()
        assert (rows["route_share"] <= rows["route_share_high"]).all()


def test_a_blind_stage_after_the_form_leaves_no_share_and_is_named() -> None:
    parts = _networks([row for row in OUTPUT if row[0] != "metal"])
    need = _need("USA")
    assert set(routes(parts, need)["form"]) == {"component", "metal"}
    named = blind_stages(need, parts.coverage).filter(form="compound")
    assert named["blind"].to_list() == ["metal"]


def test_need_is_output_and_imports_less_exports_with_bounds() -> None:
    germany = markets(_networks(), _need("DEU")).row(0, named=True)
    assert germany["balance_t"] == pytest.approx(1 + 2 - 0.4)
    assert germany["balance_t_low"] == pytest.approx(0.9 + 1.8 - 0.44)
    assert germany["balance_t_high"] == pytest.approx(1.1 + 2.2 - 0.36)
    assert germany["supply_t"] == pytest.approx(3.0)


def test_the_union_is_one_market_of_its_members() -> None:
    parts = merged(_networks(), Union("EUU", ["DEU", "FRA"]))
    union = markets(parts, _need("EUU")).row(0, named=True)
    assert union["balance_t"] == pytest.approx(1 + 2 - 0.4)


def test_output_known_only_as_net_exports_gives_no_need() -> None:
    market = markets(_networks(method="derived_balance"), _need("USA"))
    assert market["only_net"].to_list() == [True]
    row = needs(market, _printed([])).row(0, named=True)
    assert row["need_t"] is None
    assert "net exports" in row["need_reason"]
    assert ONLY_NET in _networks(method="derived_balance").coverage["reason"].to_list()


def _printed(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    schema: dict[str, pl.DataType] = {"holder": pl.String(), "material": pl.String(), "year": pl.Int32()}
    schema |= {f"printed_t{end}": pl.Float64() for end in ENDS} | {"printed_source": pl.String()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_printed_consumption_goes_before_the_balance() -> None:
    market = markets(_networks(), _need("USA", "DEU"))
    rows = needs(market, _printed([("USA", "rare_earths", YEAR, 5.0, 5.0, 5.0, "usgs_mcs 2026")]))
    assert rows.sort("holder").select("holder", "need_method", "need_evidence").rows() == [
        ("DEU", "balance", "derived"),
        ("USA", "printed", "reported"),
    ]


def _table(own: list[tuple[object, ...]]) -> pl.DataFrame:
    parts, need = _networks(), _need("USA", "JPN")
    stock = pl.DataFrame(
        [
            ("USA", "rare_earths", "component", "potential_acquisitions", 2025, 2.0, 1.0, 3.0, "5"),
            ("USA", "rare_earths", "compound", "potential_acquisitions", 2025, 2.0, 2.0, 2.0, "2"),
            ("USA", "rare_earths", "compound", "potential_acquisitions", 2026, None, None, None, "NA"),
            ("USA", "rare_earths", "compound", "shipments", 2021, -3.0, -3.0, -3.0, "-3"),
            ("USA", "rare_earths", "compound", "shipments", 2022, 1.0, 1.0, 1.0, "1"),
            ("USA", "rare_earths", "metal", "shipments", 2021, 5.0, 5.0, 5.0, "5"),
            ("USA", "rare_earths", "metal", "shipments", 2022, None, 0.0, 9.0, "W"),
        ],
        schema=[
            *("holder", "material", "form", "measure", "year"),
            *("quantity_t", "quantity_t_low", "quantity_t_high", "token"),
        ],
        orient="row",
    ).with_columns(source=pl.lit("usgs_stockpile"), vintage=pl.lit("2026"), evidence=pl.lit("reported"))
    says = [(holder, "not_public", "not published", "2023", "word") for holder in ("USA", "JPN")]
    known = Holdings(
        holders=pl.DataFrame(says, schema=["holder", "status", "reason", "as_of", "source"], orient="row"),
        forms=pl.DataFrame({"material": ["rare_earths"], "needed_form": ["component"]}),
        chains=_chain(),
        stock=stock.with_columns(pl.col("year").cast(pl.Int32)),
        own=pl.DataFrame(own, schema=SCHEMA, orient="row"),
        targets=stock_target.build({})[0],
        programmes=announced_reserve.build({})[0],
    )
    need_frame = needs(markets(parts, need), _printed([]))
    blind = blind_stages(need, parts.coverage)
    return cover(known, need_frame, routes(parts, need), blind, years=[YEAR], horizon_days=365.0)


def _own(form: str, quantity: float, holder: str = "USA") -> tuple[object, ...]:
    return (holder, "rare_earths", form, quantity, date(2025, 1, 1), "word", None, "user", "2025-01-01", "reported")


def _row(table: pl.DataFrame, holder: str, form: str) -> dict[str, object]:
    return table.filter(entry=STOCK, holder=holder, form=form).row(0, named=True)


def test_magnets_last_their_nominal_days_and_the_same_tonnes_as_oxide_hardly_any() -> None:
    table = _table([_own("component", 4.4), _own("compound", 4.4)])
    magnet, oxide = _row(table, "USA", "component"), _row(table, "USA", "compound")
    assert magnet["nominal_days"] == oxide["nominal_days"] == pytest.approx(4.4 / 8.8 * 365)
    assert magnet["usable_days"] == magnet["nominal_days"]
    assert oxide["usable_days"] == pytest.approx(4.4 / 8.8 * 365 * (1 - float(str(oxide["route_share"]))))


def test_a_holding_that_is_not_public_stays_empty_and_says_so() -> None:
    row = _row(_table([]), "JPN", "compound")
    assert (row["holding_t"], row["nominal_days"], row["usable_days"]) == (None, None, None)
    assert (row["status"], row["status_reason"], row["source"]) == ("not_public", "not published", "reference")


def test_the_users_figure_replaces_the_statement_and_carries_its_source() -> None:
    row = _row(_table([_own("compound", 3.0, "JPN")]), "JPN", "compound")
    assert (row["holding_t"], row["status"], row["source"], row["vintage"]) == (3.0, "user", "user", "2025-01-01")


def test_a_target_in_days_becomes_tonnes_and_usable_days_of_each_form() -> None:
    table = _table([])
    oxide, magnet = _row(table, "JPN", "compound"), _row(table, "JPN", "component")
    assert oxide["target_days"] == 180
    assert oxide["target_t"] == pytest.approx(180 / 365 * float(str(oxide["need_t"])))
    assert magnet["target_usable_days"] == pytest.approx(180)
    assert oxide["target_usable_days"] == pytest.approx(180 * 0.7)


def test_the_newest_plan_with_a_figure_counts_and_shipments_keep_their_sign() -> None:
    row = _row(_table([]), "USA", "compound")
    assert (row["plan_year"], row["plan_t"], row["plan_printed"]) == (2025, 2.0, "2")
    assert (row["drawdown_t"], row["drawdown_first_year"], row["drawdown_last_year"]) == (-2.0, 2021, 2022)


def test_a_withheld_year_leaves_the_fall_of_the_inventory_unknown_but_bounded() -> None:
    row = _row(_table([]), "USA", "metal")
    assert (row["drawdown_t"], row["drawdown_t_low"], row["drawdown_t_high"]) == (None, 5.0, 14.0)


def test_an_announced_reserve_is_a_row_of_money_without_tonnes() -> None:
    rows = _table([]).filter(entry="programme", holder="USA", material="all")
    assert rows.select("programme_usd", "plan_t", "holding_t", "year").rows() == [(12e9, None, None, 2026)]


def test_every_interval_of_the_table_is_ordered() -> None:
    table = _table([_own("component", 4.4), _own("compound", 4.4), _own("metal", 900.0, "JPN")])
    assert tuple(table.columns) == COLUMNS
    for name in ("need_t", "route_share", "safe_capacity_t", "nominal_days", "usable_days", "target_usable_days"):
        known = table.drop_nulls([f"{name}{end}" for end in ENDS])
        assert known.height
        assert (known[f"{name}_low"] <= known[name] + 1e-9).all()
        assert (known[name] <= known[f"{name}_high"] + 1e-9).all()
