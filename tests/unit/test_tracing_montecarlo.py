"""Intervals: reproducible, correlated where told, never without the central figure."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from tests.unit.networks import networks
from tracing import RULES, look_through, monte_carlo

MEASURES = ("face_value_share", "made_in_share", "processed_in_share")
IMPORTED = "import_made_in_share"
MADE = pl.DataFrame(
    {"stage": ["mine", "mine", "metal", "metal"], "country": ["A", "B", "A", "B"], "quantity_t": [9.0, 5.0, 4.0, 6.0]}
)
MOVED = pl.DataFrame(
    {
        "stage": ["mine", "metal", "metal", "metal"],
        "exporter": ["A", "A", "B", "A"],
        "importer": ["B", "B", "C", "C"],
        "quantity_t": [3.0, 2.0, 3.0, 1.0],
    }
)


def uncertain(frame, down=0.7, up=1.6):
    return frame.with_columns(quantity_t_low=pl.col("quantity_t") * down, quantity_t_high=pl.col("quantity_t") * up)


def row(frame, **where):
    return frame.row(by_predicate=pl.all_horizontal(pl.col(name) == value for name, value in where.items()), named=True)


def test_the_same_seed_gives_the_same_figures_and_another_does_not():
    one, same, other = (monte_carlo(uncertain(MADE), uncertain(MOVED), draws=20, seed=seed) for seed in (7, 7, 8))
    assert one.equals(same)
    assert not one.equals(other)


def test_neither_row_order_nor_other_batches_change_a_draw():
    made, moved = (uncertain(frame).with_columns(material=pl.lit("cobalt")) for frame in (MADE, MOVED))
    alone = monte_carlo(made, moved, draws=20)
    more = [pl.concat([frame.with_columns(material=pl.lit("antimony")), frame]).reverse() for frame in (made, moved)]
    assert monte_carlo(*more, draws=20).filter(material="cobalt").equals(alone)


def test_the_interval_is_the_union_of_draws_centre_and_rules():
    found = monte_carlo(uncertain(MADE), uncertain(MOVED), draws=50)
    by_rule = [look_through(MADE, MOVED, mixing=rule) for rule in RULES]
    for line in found.iter_rows(named=True):
        place = {name: line[name] for name in ("stage", "importer", "country")}
        for measure in MEASURES:
            known = [
                dict(zip(frame.columns, next(iter(frame.filter(**place).rows()), ()), strict=False))
                for frame in by_rule
            ]
            values = [found_.get(measure, 0.0) for found_ in known]
            assert line[measure] == pytest.approx(values[0])
            assert line[f"{measure}_mixing_low"] == pytest.approx(min(values))
            assert line[f"{measure}_mixing_high"] == pytest.approx(max(values))
            assert line[f"{measure}_low"] == min(line[f"{measure}_p05"], line[f"{measure}_mixing_low"])
            assert line[f"{measure}_high"] == max(line[f"{measure}_p95"], line[f"{measure}_mixing_high"])
            assert line[f"{measure}_p05"] <= line[f"{measure}_p50"] <= line[f"{measure}_p95"]


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(networks(max_countries=12, max_stages=4))
def test_the_interval_contains_the_centre_on_any_network(network):
    made, moved, recycled = (uncertain(f, 0.2, 1.0) for f in (network.production, network.flows, network.secondary))
    found = monte_carlo(made, moved, secondary=recycled, stages=network.stages, draws=5).filter(
        ~pl.col("country").is_in(["SECONDARY", "UNEXPLAINED"])
    )
    for measure in (*MEASURES, IMPORTED):
        assert found.select((pl.col(f"{measure}_low") <= pl.col(measure)).all()).item()
        assert found.select((pl.col(measure) <= pl.col(f"{measure}_high")).all()).item()
        assert found[f"{measure}_high"].is_between(0, 1 + 1e-9).all()


def test_the_central_figures_are_those_of_the_look_through():
    found = monte_carlo(uncertain(MADE), uncertain(MOVED), draws=3)
    plain = look_through(MADE, MOVED)
    both = plain.join(found, on=["stage", "importer", "country"], suffix="_mc")
    assert both.height == plain.height
    for measure in (*MEASURES, "mine_origin_share"):
        assert both[measure].equals(both[f"{measure}_mc"], check_names=False)


def test_who_made_the_imports_is_asked_of_imports_alone():
    found = monte_carlo(uncertain(MADE), uncertain(MOVED), draws=3).filter(stage="metal")
    # C buys 1 t of A and 3 t of B, a quarter of whose metal came from A.
    assert row(found, importer="C", country="A")[IMPORTED] == pytest.approx((1 + 3 * 0.25) / 4)
    assert row(found, importer="C", country="B")[IMPORTED] == pytest.approx(3 * 0.75 / 4)
    # B makes most of its metal itself and imports none but of A.
    assert row(found, importer="B", country="A")[IMPORTED] == pytest.approx(1)
    assert row(found, importer="B", country="A")["made_in_share"] == pytest.approx(0.25)
    # A imports nothing: there is no answer, which is not none.
    assert found.filter(importer="A")[IMPORTED].null_count() == found.filter(importer="A").height == 1


def test_what_was_sold_and_bought_back_is_the_importer_s_own_among_imports():
    sold = pl.DataFrame(
        {"stage": ["metal"] * 2, "exporter": ["A", "B"], "importer": ["B", "A"], "quantity_t": [2.0, 1.0]}
    )
    found = monte_carlo(MADE.filter(pl.col("stage") == "metal"), sold, draws=2)
    makers = found.filter(importer="A")
    assert makers[IMPORTED].sum() == pytest.approx(1)
    assert 0 < row(found, importer="A", country="A")[IMPORTED] < 1


def test_exact_tonnes_have_no_spread():
    found = monte_carlo(MADE, MOVED.with_columns(quantity_t_low=None, quantity_t_high=None), draws=4)
    for measure in MEASURES:
        for percentile in ("p05", "p50", "p95"):
            assert (found[measure] - found[f"{measure}_{percentile}"]).abs().max() < 1e-12


def test_one_group_moves_together():
    """With one content factor for all metal flows the mix of a pure importer is certain; without, it is not."""
    together = monte_carlo(MADE, uncertain(MOVED).with_columns(group=pl.col("stage")), draws=40)
    apart = monte_carlo(MADE, uncertain(MOVED), draws=40)
    spread = [
        (line := row(frame, stage="metal", importer="C", country="A"))["face_value_share_p95"]
        - line["face_value_share_p05"]
        for frame in (together, apart)
    ]
    assert spread[0] == pytest.approx(0, abs=1e-12)
    assert spread[1] > 0.05


@pytest.mark.parametrize(
    ("distribution", "low", "high", "expected"),
    [
        ("lognormal", 0.5, 4.0, (0.5, 1.0, 4.0)),
        ("triangular", 1.0, 2.0, (2 - 0.95**0.5, 2 - 0.5**0.5, 2 - 0.05**0.5)),
        ("triangular", 0.5, 2.0, (0.5 + 1.5 * (0.05 / 3) ** 0.5, 2 - 1.5 * (1 / 3) ** 0.5, 2 - 1.5 * (0.1 / 3) ** 0.5)),
    ],
)
def test_draws_follow_the_distribution(distribution, low, high, expected):
    """One uncertain flow around 1 tonne beside 1 tonne made: its share tells its tonnes."""
    made = pl.DataFrame({"stage": ["metal"] * 2, "country": ["A", "B"], "quantity_t": [50.0, 1.0]})
    moved = pl.DataFrame({"stage": ["metal"], "exporter": ["A"], "importer": ["B"], "quantity_t": [1.0]})
    moved = moved.with_columns(quantity_t_low=low, quantity_t_high=high)
    found = monte_carlo(made, moved, draws=4000, distribution=distribution)
    line = row(found, stage="metal", importer="B", country="A")
    tonnes = [share / (1 - share) for share in (line[f"face_value_share_{p}"] for p in ("p05", "p50", "p95"))]
    assert tonnes == pytest.approx(expected, rel=0.04)


def test_a_flow_that_is_nothing_but_may_be_something_has_an_interval():
    perhaps = pl.DataFrame({"stage": ["metal"], "exporter": ["D"], "importer": ["C"], "quantity_t": [0.0]})
    made = pl.concat([MADE, pl.DataFrame({"stage": ["metal"], "country": ["D"], "quantity_t": [9.0]})])
    exact = MOVED.with_columns(quantity_t_high=pl.col("quantity_t"))
    found = monte_carlo(made, pl.concat([exact, perhaps.with_columns(quantity_t_high=2.0)]))
    line = row(found, stage="metal", importer="C", country="D")
    assert line["face_value_share"] == line["face_value_share_low"] == 0
    assert line["face_value_share_high"] > 0.1


def test_a_flow_that_may_be_nothing_is_drawn_between_nothing_and_its_high():
    moved = MOVED.with_columns(quantity_t_low=0.0, quantity_t_high=pl.col("quantity_t") * 2)
    line = row(monte_carlo(MADE, moved, draws=200), stage="metal", importer="B", country="A")
    assert 0 <= line["face_value_share_p05"] < line["face_value_share"] < line["face_value_share_p95"] <= 4 / (4 + 6)
