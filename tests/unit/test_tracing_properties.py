"""What holds on every supply network (methods section 3, property tests)."""

from __future__ import annotations

from fractions import Fraction

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.unit.absorbing_chain import SECONDARY, UNEXPLAINED, Chain
from tests.unit.networks import Network, gap, networks, shares
from tracing import RULES, look_through, processed_at, via

CLOSE = 1e-9
some = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
rules = st.sampled_from(RULES)


def trace(network: Network, rule: str = "well_mixed", function=look_through, **more: object) -> pl.DataFrame:
    return function(
        network.production, network.flows, stages=network.stages, secondary=network.secondary, mixing=rule, **more
    )


@some
@given(networks(), rules)
def test_mine_origin_adds_to_one_and_every_share_is_a_share(network, rule):
    found = trace(network, rule)
    measures = ("face_value_share", "made_in_share", "processed_in_share", "mine_origin_share")
    for measure in measures:
        assert not found[measure].is_nan().any()
        assert found[measure].drop_nulls().is_between(0, 1 + CLOSE).all()
    totals = found.group_by("stage", "importer").agg(pl.col("mine_origin_share").sum())
    assert ((totals["mine_origin_share"] - 1).abs() < CLOSE).all()
    named = found.filter(~pl.col("country").is_in(["SECONDARY", "UNEXPLAINED"]))
    assert named.select(measures).null_count().sum_horizontal().item() == 0


@some
@given(networks(), rules)
def test_made_in_and_mine_origin_never_exceed_processed_in(network, rule):
    found = trace(network, rule).drop_nulls()
    for measure in ("made_in_share", "mine_origin_share"):
        assert (found[measure] <= found["processed_in_share"] + CLOSE).all()


@some
@given(networks(), rules)
def test_processed_in_does_not_fall_when_earlier_stages_are_added(network, rule):
    known: dict[tuple[str, ...], float] = {}
    for first in reversed(range(len(network.stages))):
        longer = shares(trace(network.of_stages(network.stages[first:]), rule), "processed_in_share")
        assert all(longer.get(key, 0.0) >= share - CLOSE for key, share in known.items())
        known = longer


@some
@given(networks(max_countries=30, tonnes=("plain", "wide")), rules, st.data())
def test_a_pure_hub_on_a_route_changes_no_processed_in(network, rule, data):
    routes = network.flows.filter(pl.col("exporter") != pl.col("importer"), pl.col("quantity_t") > 0)
    assume(routes.height)
    stage, exporter, importer, tonnes = routes.row(data.draw(st.integers(0, routes.height - 1)))
    route = (pl.col("stage") == stage) & (pl.col("exporter") == exporter) & (pl.col("importer") == importer)
    detour = pl.DataFrame(
        [(stage, exporter, "HUB", tonnes / 2), (stage, "HUB", importer, tonnes / 2)], schema=routes.schema, orient="row"
    )
    halved = pl.when(route).then(tonnes / 2).otherwise(pl.col("quantity_t")).alias("quantity_t")
    routed = Network(
        network.production, pl.concat([network.flows.with_columns(halved), detour]), network.secondary, network.stages
    )
    before, after = trace(network, rule), trace(routed, rule)
    for measure in ("made_in_share", "processed_in_share", "mine_origin_share"):
        assert gap(shares(before, measure), shares(after.filter(pl.col("importer") != "HUB"), measure)) < CLOSE


@some
@given(networks(max_stages=1), rules)
def test_one_stage_without_re_exports_reads_face_value(network, rule):
    importers = network.flows.filter(pl.col("exporter") != pl.col("importer"), pl.col("quantity_t") > 0)["importer"]
    makers = network.production.filter(pl.col("quantity_t") > 0)["country"]
    plain = network.flows.filter(
        ~pl.col("exporter").is_in(importers.implode()), pl.col("exporter").is_in(makers.implode())
    )
    found = look_through(network.production, plain, mixing=rule)
    for measure in ("made_in_share", "processed_in_share"):
        assert gap(shares(found, "face_value_share"), shares(found, measure)) < CLOSE


@some
@given(networks(), rules)
def test_an_upstream_monopolist_is_in_everything_but_secondary_and_unexplained(network, rule):
    first = network.stages[0]
    alone = network.production.filter(pl.col("stage") != first)
    mine = pl.DataFrame([(first, "C00", 5.0)], schema=alone.schema, orient="row")
    monopoly = Network(pl.concat([mine, alone]), network.flows, network.secondary, network.stages)
    found = trace(monopoly, rule)
    rest = (
        found.filter(pl.col("country").is_in(["SECONDARY", "UNEXPLAINED"]))
        .group_by("stage", "importer")
        .agg(pl.col("mine_origin_share").sum())
    )
    rest = {row[:2]: row[2] for row in rest.iter_rows()}
    mined, passed = shares(found, "mine_origin_share"), shares(found, "processed_in_share")
    downstream = "C00" in alone.filter(pl.col("quantity_t") > 0)["country"]
    for market in found.select("stage", "importer").unique().iter_rows():
        expected = 1 - rest.get(market, 0.0)
        assert mined.get((*market, "C00"), 0.0) == pytest.approx(expected, abs=CLOSE)
        if not downstream:
            assert passed.get((*market, "C00"), 0.0) == pytest.approx(expected, abs=CLOSE)


@some
@given(
    networks(tonnes=("plain", "wide")),
    rules,
    st.lists(st.sampled_from([1e-3, 0.45359237, 2.0, 1e6]), min_size=8, max_size=8),
)
def test_units_of_a_stage_change_nothing(network, rule, factors):
    scaled = trace(network.scaled(dict(zip(network.stages, factors, strict=False))), rule)
    plain = trace(network, rule)
    for measure in ("face_value_share", "made_in_share", "processed_in_share", "mine_origin_share"):
        assert gap(shares(plain, measure), shares(scaled, measure)) < CLOSE


@some
@given(networks(max_countries=30, tonnes=("plain", "wide")), rules)
def test_splitting_a_country_in_two_halves_changes_nothing(network, rule):
    halves = Network(
        _halved(network.production, "country"),
        _halved(_halved(network.flows.filter(pl.col("exporter") != pl.col("importer")), "exporter"), "importer"),
        _halved(network.secondary, "country"),
        network.stages,
    )
    whole, split = trace(network, rule), trace(halves, rule)
    for measure in ("face_value_share", "made_in_share", "processed_in_share", "mine_origin_share"):
        expected, found = shares(whole, measure), shares(split, measure)
        for half in ("C00a", "C00b"):
            one = {key: share for key, share in found.items() if key[1] not in ("C00a", "C00b") or key[1] == half}
            one = {(s, i.replace(half, "C00"), c): share for (s, i, c), share in one.items()}
            others = {key: share for key, share in one.items() if not key[2].startswith("C00")}
            assert gap({key: share for key, share in expected.items() if key[2] != "C00"}, others) < CLOSE
    for measure in ("made_in_share", "mine_origin_share"):
        both: dict[tuple[str, ...], float] = {}
        for (stage, importer, country), share in shares(split, measure).items():
            key = (stage, importer, country[:3] if country.startswith("C00") else country)
            both[key] = both.get(key, 0.0) + share
        outside = {key: share for key, share in both.items() if not key[1].startswith("C00")}
        assert gap({k: s for k, s in shares(whole, measure).items() if k[1] != "C00"}, outside) < CLOSE


def _halved(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Country C00 of one column as C00a and C00b with half of its tonnes each."""
    here = pl.col(column) == "C00"
    half = pl.when(here).then(pl.col("quantity_t") / 2).otherwise(pl.col("quantity_t")).alias("quantity_t")
    first = frame.with_columns(half, pl.when(here).then(pl.lit("C00a")).otherwise(pl.col(column)).alias(column))
    second = frame.filter(here).with_columns(pl.col("quantity_t") / 2, pl.lit("C00b").alias(column))
    return pl.concat([first, second])


@some
@given(networks(), rules)
def test_first_hops_add_to_processed_in(network, rule):
    hops = trace(network, rule, via).group_by("stage", "importer", "country").agg(pl.col("processed_in_share").sum())
    assert gap(shares(hops, "processed_in_share"), shares(trace(network, rule), "processed_in_share")) < CLOSE


@some
@given(networks(max_countries=20), rules)
def test_plants_of_the_origin_stage_alone_give_the_mine_origin(network, rule):
    found = trace(network, rule)
    frames = (network.production, network.flows.filter(pl.col("exporter") != pl.col("importer")), network.secondary)
    recorded = {stage for frame in frames for stage in frame.filter(pl.col("quantity_t") > 0)["stage"]}
    assume(recorded)
    alone = trace(network, rule, processed_at, at=next(stage for stage in network.stages if stage in recorded))
    named = found.filter(~pl.col("country").is_in(["SECONDARY", "UNEXPLAINED"]))
    assert gap(shares(alone, "processed_in_share"), shares(named, "mine_origin_share")) < CLOSE


@some
@given(networks(max_countries=20, tonnes=("plain",)), rules, st.sampled_from([2.0**900, 2.0**-1060]))
def test_subnormal_and_huge_tonnes_read_like_any_other(network, rule, factor):
    assert trace(network.scaled(dict.fromkeys(network.stages, factor)), rule).equals(trace(network, rule))


@some
@given(networks(max_countries=20, max_stages=4), rules)
def test_the_order_of_rows_changes_nothing(network, rule):
    turned = Network(*(f.reverse() for f in (network.production, network.flows, network.secondary)), network.stages)
    assert trace(turned, rule).equals(trace(network, rule))


def _chain_shares(chain: Chain, measure: str) -> dict[tuple[str, ...], float]:
    found = {}
    for country in chain.countries:
        for stage in chain.present:
            if measure == "face_value_share":
                reach = {("market", s, c): chain.face_value(s, c, country) for s, c in chain.markets() if s == stage}
            elif measure == "made_in_share":
                reach = chain.made_in(stage, country)
            else:
                reach = chain.processed_in(country) if measure == "processed_in_share" else chain.mined_in(country)
            for s, importer in chain.markets():
                if s == stage:
                    found[stage, importer, country] = float(reach["market", stage, importer])
    if measure == "mine_origin_share":
        for name, end in (("SECONDARY", SECONDARY), ("UNEXPLAINED", UNEXPLAINED)):
            reach = chain.ends_in(end)
            found |= {(s, c, name): float(reach["market", s, c]) for s, c in chain.markets()}
    return found


MEASURES = ("face_value_share", "made_in_share", "processed_in_share", "mine_origin_share")


@settings(some, max_examples=15)
@given(networks(max_countries=14, max_stages=5, tonnes=("plain",)), rules)
def test_agrees_with_one_absorbing_chain_per_question(network, rule):
    chain = Chain(network.production, network.flows, network.stages, network.secondary, rule)
    found = trace(network, rule)
    for measure in MEASURES:
        assert gap(shares(found, measure), _chain_shares(chain, measure)) < CLOSE


@settings(some, max_examples=25)
@given(networks(max_countries=5, max_stages=3, tonnes=("plain", "wide")), rules)
def test_agrees_with_the_chain_in_exact_fractions(network, rule):
    chain = Chain(network.production, network.flows, network.stages, network.secondary, rule, Fraction)
    found = trace(network, rule)
    for measure in MEASURES:
        assert gap(shares(found, measure), _chain_shares(chain, measure)) < CLOSE
