"""What an importer loses when a country stops (methods section 6)."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.unit.networks import Network, networks
from tracing import STAGES, look_through, processed_at
from tracing.cascade import Pool, feed_lost, shortages
from tracing.chain_networks import TONNES, ChainNetworks
from tracing.disruption import DAYS, disrupt
from tracing.economies import Union

YEAR = 2024
CLOSE = 1e-9
some = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
shares = st.floats(0, 1)


def parts(network: Network) -> ChainNetworks:
    """A network as ``prepare`` hands it over, its plants feeding on the stage before."""
    keys = [pl.lit("ore").alias("material"), pl.lit(YEAR, pl.Int32).alias("year")]
    bounds = [pl.col("quantity_t").alias(name) for name in TONNES[1:]]
    made, moved, recycled = (
        frame.with_columns(*keys, *bounds) for frame in (network.production, network.flows, network.secondary)
    )
    present = [
        stage
        for stage in STAGES
        if any((frame.filter(stage=stage)["quantity_t"] > 0).any() for frame in (made, moved, recycled))
    ]
    chain = [("ore", YEAR, stage, None, before, 1.0) for before, stage in pairwise(present)]
    feed = {
        "material": pl.String(), "year": pl.Int32(), "stage": pl.String(),
        "country": pl.String(), "from_stage": pl.String(), "weight": pl.Float64(),
    }  # fmt: skip
    evidence = [("ore", YEAR, stage, "reported") for stage in STAGES]
    empty = pl.DataFrame()
    return ChainNetworks(
        production=made,
        flows=moved,
        secondary=recycled,
        feed=pl.DataFrame(chain, schema=feed, orient="row"),
        starts=empty,
        evidence=pl.DataFrame(
            evidence, schema={name: feed[name] for name in ("material", "year", "stage")} | {"evidence": pl.String()},
            orient="row",
        ),
        coverage=empty,
    )  # fmt: skip


def links(recipe: float = 1.0) -> pl.DataFrame:
    """Every stage may feed on any stage before it; the ones present decide."""
    rows = [
        ("ore", stage, before, STAGES.index(stage) - place, recipe)
        for stage in STAGES
        for place, before in enumerate(STAGES[: STAGES.index(stage)])
    ]
    return pl.DataFrame(rows, schema=["material", "stage", "from_stage", "rank", "recipe"], orient="row")


def asked(actor: str, *stages: str, mechanism: str = "ban", share: float = 1.0, target: str | None = None):
    rows = [("asked", mechanism, actor, "ore", stage, share, target) for stage in stages or (None,)]
    names = ("scenario", "mechanism", "actor", "material", "stage")
    schema = {**dict.fromkeys(names, pl.String()), "stopped_share": pl.Float64(), "target": pl.String()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def lost(network: Network, actor: str, *stages: str, stock=None, union=None, recipe: float = 1.0, **how):
    scenarios = asked(actor, *stages, **how)
    return disrupt(parts(network), scenarios, links(recipe), smallest=0.0, stock=stock, union=union)


def small(production, flows, secondary=()) -> Network:
    supply = {"stage": pl.String, "country": pl.String, "quantity_t": pl.Float64}
    moved = {"stage": pl.String, "exporter": pl.String, "importer": pl.String, "quantity_t": pl.Float64}
    frames = ((production, supply), (flows, moved), (secondary, supply))
    return Network(*(pl.DataFrame(list(rows), schema=schema, orient="row") for rows, schema in frames), STAGES)


def loss(rows: pl.DataFrame, importer: str, stage: str) -> tuple[float, float]:
    return rows.filter(importer=importer, stage=stage).select("loss_low", "loss_high").row(0)


def countries(network: Network) -> list[str]:
    return sorted({*network.production["country"], *network.flows["exporter"], *network.flows["importer"]})


@st.composite
def bans(draw, **how):
    network = draw(networks(max_countries=20, max_stages=5, tonnes=("plain", "wide"), **how))
    names = countries(network)
    assume(names)
    stages = draw(st.lists(st.sampled_from(network.stages), unique=True))
    return network, draw(st.sampled_from(names)), stages


@some
@given(bans(), shares, st.sampled_from(("ban", "output_lost", "closure")))
def test_the_interval_is_ordered_and_within_0_and_1(case, share, mechanism):
    network, actor, stages = case
    rows = lost(network, actor, *stages, share=share, mechanism=mechanism)
    assert (rows["loss_low"] >= 0).all()
    assert (rows["loss_low"] <= rows["loss_high"]).all()
    assert (rows["loss_high"] <= share + CLOSE).all()
    assert rows["shortage_share"].is_between(0, 1).all()


@some
@given(bans(), shares, shares, st.sampled_from(("ban", "output_lost", "closure")))
def test_the_loss_does_not_fall_when_more_is_banned(case, one, other, mechanism):
    network, actor, stages = case
    less, more = (
        lost(network, actor, *stages, share=share, mechanism=mechanism) for share in sorted((one, other))
    )  # fmt: skip
    assert less.select("importer", "stage").equals(more.select("importer", "stage"))
    for end in ("loss_low", "loss_high"):
        assert (less[end] <= more[end] + CLOSE).all()


@some
@given(bans())
def test_a_full_ban_at_every_stage_can_take_what_was_processed_in_the_country(case):
    network, actor, _ = case
    rows = lost(network, actor)
    traced = look_through(network.production, network.flows, secondary=network.secondary)
    traced = traced.filter(pl.col("country") == actor, pl.col("importer") != actor)
    both = rows.join(traced, on=["importer", "stage"], how="left").with_columns(
        pl.col("processed_in_share").fill_null(0)
    )
    assert ((both["loss_high"] - both["processed_in_share"]).abs() < CLOSE).all()
    supplied = traced.filter(pl.col("processed_in_share") > CLOSE)
    assert supplied.join(rows, on=["importer", "stage"], how="anti").is_empty()


@some
@given(bans(), st.data())
def test_a_ban_at_one_stage_can_take_what_its_plants_processed(case, data):
    network, actor, _ = case
    stage = data.draw(st.sampled_from(network.stages))
    traced = processed_at(network.production, network.flows, at=stage, secondary=network.secondary)
    traced = traced.filter(pl.col("country") == actor)
    both = lost(network, actor, stage).join(traced, on=["importer", "stage"], how="left")
    assert ((both["loss_high"] - both["processed_in_share"].fill_null(0)).abs() < CLOSE).all()


@some
@given(bans())
def test_who_gets_nothing_from_the_country_at_any_stage_loses_nothing(case):
    network, actor, stages = case
    traced = look_through(network.production, network.flows, secondary=network.secondary)
    reached = traced.filter(pl.col("processed_in_share") > 0, country=actor)
    rows = lost(network, actor, *stages).join(reached, on=["importer", "stage"], how="anti")
    assert (rows["loss_high"] == 0).all()
    assert (rows["loss_low"] == 0).all()


def test_the_importer_of_a_monopolist_without_stock_loses_all():
    rows = lost(small([("metal", "DDD", 10.0)], [("metal", "DDD", "CCC", 4.0)]), "DDD")
    assert loss(rows, "CCC", "metal") == (1.0, 1.0)
    assert rows["days_until_bite"].is_null().all()


def test_a_country_loses_nothing_by_its_own_ban_but_by_its_own_lost_output():
    network = small([("metal", "DDD", 10.0)], [("metal", "DDD", "CCC", 4.0)])
    assert lost(network, "DDD").filter(importer="DDD").is_empty()
    assert loss(lost(network, "DDD", mechanism="output_lost"), "DDD", "metal") == (1.0, 1.0)


def test_all_other_buyers_share_the_shortage_up_to_their_own_exposure():
    made = [("metal", "DDD", 50.0), ("metal", "EEE", 30.0)]
    moved = [("metal", "DDD", "AAA", 10.0), ("metal", "EEE", "AAA", 10.0), ("metal", "DDD", "BBB", 10.0)]
    rows = lost(small(made, moved), "DDD")
    assert loss(rows, "AAA", "metal") == (pytest.approx(20 / 50), pytest.approx(0.5))
    assert loss(rows, "BBB", "metal") == (pytest.approx(20 / 50), pytest.approx(1.0))
    assert loss(rows, "EEE", "metal") == (0.0, 0.0)


def test_a_ban_on_one_importer_is_shared_by_all_but_hits_only_that_one():
    made = [("metal", "DDD", 50.0), ("metal", "EEE", 30.0)]
    moved = [("metal", "DDD", "AAA", 10.0), ("metal", "DDD", "BBB", 10.0)]
    rows = lost(small(made, moved), "DDD", target="AAA")
    assert rows["importer"].to_list() == ["AAA"]
    assert loss(rows, "AAA", "metal") == (pytest.approx(10 / 50), pytest.approx(1.0))


def test_a_later_stage_loses_what_its_feed_lacks():
    made = [("compound", "DDD", 50.0), ("compound", "EEE", 10.0), ("metal", "EEE", 40.0)]
    moved = [("compound", "DDD", "EEE", 30.0), ("metal", "EEE", "CCC", 5.0)]
    rows = lost(small(made, moved), "DDD", "compound")
    assert loss(rows, "CCC", "metal") == (pytest.approx(0.75), pytest.approx(0.75))
    assert rows.filter(importer="CCC")["shortage_stage"].to_list() == ["compound"]


def test_earlier_stages_are_not_hit():
    made = [("mine", "DDD", 50.0), ("metal", "DDD", 40.0)]
    rows = lost(small(made, [("mine", "DDD", "CCC", 5.0), ("metal", "DDD", "CCC", 5.0)]), "DDD", "metal")
    assert loss(rows, "CCC", "mine") == (0.0, 0.0)
    assert loss(rows, "CCC", "metal") == (1.0, 1.0)


def test_closing_a_hub_can_take_what_it_ships_on_and_reallocation_goes_round_it():
    made = [("metal", "DDD", 50.0), ("metal", "HUB", 10.0)]
    moved = [("metal", "DDD", "HUB", 30.0), ("metal", "HUB", "CCC", 8.0), ("metal", "DDD", "CCC", 2.0)]
    rows = lost(small(made, moved), "HUB", mechanism="closure")
    assert loss(rows, "CCC", "metal") == (0.0, pytest.approx(0.8 * 0.75))
    assert rows.filter(importer="HUB").is_empty()


def test_goods_that_pass_a_hub_twice_count_once():
    made = [("metal", "DDD", 50.0), ("metal", "HUB", 10.0)]
    moved = [("metal", "DDD", "HUB", 5.0), ("metal", "HUB", "XXX", 8.0), ("metal", "XXX", "HUB", 5.0)]
    rows = lost(small(made, [*moved, ("metal", "HUB", "CCC", 6.0)]), "HUB", mechanism="closure")
    assert loss(rows, "CCC", "metal") == (0.0, pytest.approx(0.5))


def test_a_hub_is_felt_at_later_stages():
    made = [("metal", "DDD", 50.0), ("component", "EEE", 8.0)]
    moved = [("metal", "DDD", "HUB", 10.0), ("metal", "HUB", "EEE", 4.0), ("metal", "DDD", "EEE", 6.0)]
    rows = lost(small(made, [*moved, ("component", "EEE", "CCC", 3.0)]), "HUB", mechanism="closure")
    assert loss(rows, "CCC", "component") == (0.0, pytest.approx(0.4))


@some
@given(bans())
def test_who_reaches_nobody_cannot_close_anything(case):
    network, actor, _ = case
    silent = Network(
        network.production, network.flows.filter(pl.col("exporter") != actor), network.secondary, network.stages
    )
    assert (lost(silent, actor, mechanism="closure")["loss_high"] == 0).all()


def test_a_union_is_one_importer_and_not_hit_by_its_members():
    made = [("metal", "DDD", 50.0), ("metal", "ONE", 10.0)]
    moved = [("metal", "DDD", "ONE", 10.0), ("metal", "ONE", "TWO", 10.0)]
    union = Union("UNI", ["ONE", "TWO"])
    rows = lost(small(made, moved), "DDD", union=union)
    assert loss(rows, "UNI", "metal")[1] == pytest.approx(0.5)
    assert set(rows["importer"]) == {"ONE", "TWO", "UNI"}
    assert lost(small(made, moved), "ONE", union=union).filter(importer="UNI").is_empty()


def test_a_stock_lasts_as_long_as_it_makes_up_for_the_loss():
    made = [("metal", "DDD", 50.0), ("metal", "EEE", 30.0)]
    moved = [("metal", "DDD", "AAA", 10.0), ("metal", "EEE", "AAA", 10.0), ("metal", "DDD", "BBB", 10.0)]
    stock = pl.DataFrame({"holder": ["AAA"], "material": ["ore"], "stage": ["metal"], "quantity_t": [5.0]})
    rows = lost(small(made, moved), "DDD", stock=stock)
    held = rows.row(by_predicate=pl.col("importer") == "AAA", named=True)
    assert held["days_until_bite"] == pytest.approx(5.0 / (20.0 / DAYS * 0.5))
    assert held["days_until_bite_latest"] == pytest.approx(5.0 / (20.0 / DAYS * 0.4))
    other = rows.row(by_predicate=pl.col("importer") == "BBB", named=True)
    assert (other["days_until_bite"], other["stock_t"]) == (None, None)
    assert other["days_reason"] == "no stock known in this form"


def test_feed_beyond_the_need_goes_to_others_who_share_the_shortage():
    assert feed_lost(10.0, {"metal": 40.0}, {"metal": 0.5}, {"metal": 1.0}) == pytest.approx(0.5)


def test_a_higher_recipe_leaves_less_of_the_output_covered_by_recorded_feed():
    assert feed_lost(10.0, {"metal": 10.0}, {"metal": 0.5}, {"metal": 2.0}) == pytest.approx(0.25)


def test_over_a_chain_the_largest_shortage_counts():
    pools = {
        "mine": Pool(60.0, 0.0, 40.0, 0.0, 40.0, hit=True),
        "metal": Pool(90.0, 0.0, 10.0, 0.0, 10.0, hit=True),
    }
    found = shortages(pools, {"metal": {"mine": 1.0}})
    assert (found["metal"].share, found["metal"].began) == (pytest.approx(0.4), "mine")


def test_a_share_above_one_and_an_unknown_mechanism_are_refused():
    network = small([("metal", "DDD", 10.0)], [])
    with pytest.raises(ValueError, match="scenarios"):
        lost(network, "DDD", share=1.5)
    with pytest.raises(ValueError, match="scenarios"):
        lost(network, "DDD", mechanism="embargo")
