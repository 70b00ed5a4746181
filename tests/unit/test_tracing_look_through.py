"""What the look-through says of small networks that can be checked by hand."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.unit.networks import shares
from tracing import RULES, STAGES, look_through, processed_at, via

CHAIN = ("oxide", "metal", "magnet")


def supply(*rows):
    return pl.DataFrame(rows, schema={"stage": pl.String, "country": pl.String, "quantity_t": pl.Float64}, orient="row")


def trade(*rows):
    schema = {"stage": pl.String, "exporter": pl.String, "importer": pl.String, "quantity_t": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


MADE = supply(
    ("oxide", "CN", 90.0), ("oxide", "MY", 10.0),
    ("metal", "CN", 92.0), ("metal", "JP", 6.0), ("metal", "VN", 2.0),
    ("magnet", "CN", 92.0), ("magnet", "JP", 7.0), ("magnet", "DE", 1.0),
)  # fmt: skip
MOVED = trade(
    ("oxide", "CN", "JP", 2.0), ("oxide", "MY", "JP", 6.0), ("oxide", "CN", "VN", 2.0),
    ("metal", "CN", "JP", 3.0), ("metal", "VN", "JP", 1.0), ("metal", "CN", "DE", 1.0),
    ("magnet", "CN", "US", 7.5), ("magnet", "JP", "US", 0.9), ("magnet", "DE", "US", 0.4), ("magnet", "CN", "DE", 2.0),
)  # fmt: skip


def reads(frame, stage, importer, measure):
    """Share by country of one market, without zeros."""
    return {key[2]: share for key, share in shares(frame, measure).items() if key[:2] == (stage, importer)}


def test_worked_example_of_us_magnets():
    found = look_through(MADE, MOVED, stages=CHAIN).filter(stage="magnet", importer="US")
    table = {row[0]: tuple(round(share, 4) for share in row[1:]) for row in found.drop("stage", "importer").iter_rows()}
    assert table == {
        "CN": (0.8523, 0.8826, 0.9540, 0.9540),
        "DE": (0.0455, 0.0152, 0.0152, 0.0),
        "JP": (0.1023, 0.1023, 0.1023, 0.0),
        "MY": (0.0, 0.0, 0.0460, 0.0460),
        "VN": (0.0, 0.0, 0.0102, 0.0),
    }


def test_worked_example_by_first_hop():
    hops = shares(via(MADE, MOVED, stages=CHAIN), "processed_in_share", "via")
    chinese = {key[3]: round(share, 4) for key, share in hops.items() if key[:3] == ("magnet", "US", "CN")}
    assert chinese == {"CN": 0.8523, "DE": 0.0455, "JP": 0.0563}


def test_own_production_arrives_through_the_importer_itself():
    hops = shares(via(MADE, MOVED, stages=CHAIN), "processed_in_share", "via")
    assert hops["magnet", "DE", "DE", "DE"] == pytest.approx(1 / 3)
    assert hops["magnet", "DE", "CN", "DE"] == pytest.approx(1 / 3)
    assert hops["magnet", "DE", "CN", "CN"] == pytest.approx(2 / 3)


def test_plants_of_one_stage_alone():
    metal = processed_at(MADE, MOVED, at="metal", stages=CHAIN)
    assert reads(metal, "magnet", "US", "processed_in_share") == pytest.approx(
        {"CN": 1 - (0.6 + 0.1) * 0.9 / 8.8, "JP": 0.6 * 0.9 / 8.8, "VN": 0.1 * 0.9 / 8.8}
    )
    assert metal.filter(stage="oxide").is_empty()


def test_an_entrepot_is_a_phantom_and_its_source_is_hidden():
    found = look_through(
        supply(("component", "CN", 10.0)), trade(("component", "CN", "HK", 4.0), ("component", "HK", "JP", 3.0))
    )
    japan = found.filter(importer="JP").with_columns(hidden=pl.col("processed_in_share") - pl.col("face_value_share"))
    assert dict(japan.select("country", "hidden").iter_rows()) == {"CN": 1.0, "HK": -1.0}


def test_germany_is_a_phantom_in_the_worked_example():
    found = look_through(MADE, MOVED, stages=CHAIN).filter(stage="magnet", importer="US", country="DE")
    assert found["processed_in_share"].item() < found["face_value_share"].item()


def test_the_rule_says_whose_magnets_germany_ships():
    made = {
        rule: reads(look_through(MADE, MOVED, stages=CHAIN, mixing=rule), "magnet", "US", "made_in_share")
        for rule in RULES
    }
    assert made["well_mixed"]["DE"] == pytest.approx(0.4 / 8.8 / 3)
    assert made["domestic_first"]["DE"] == pytest.approx(0.4 / 8.8)
    assert made["hub_only"]["DE"] == pytest.approx(0.4 / 8.8)


def test_domestic_first_draws_on_imports_once_production_is_exhausted():
    made = supply(("metal", "A", 10.0), ("metal", "B", 3.0))
    found = look_through(made, trade(("metal", "A", "B", 9.0), ("metal", "B", "C", 4.0)), mixing="domestic_first")
    assert reads(found, "metal", "C", "made_in_share") == pytest.approx({"A": 1 / 4, "B": 3 / 4})
    assert reads(found, "metal", "B", "made_in_share") == {"A": 1.0}
    assert reads(found, "metal", "B", "face_value_share") == pytest.approx({"A": 9 / 12, "B": 3 / 12})


def test_hub_only_lets_a_producer_ship_nothing_but_its_own():
    made = supply(("metal", "A", 10.0), ("metal", "B", 3.0))
    found = look_through(made, trade(("metal", "A", "B", 9.0), ("metal", "B", "C", 4.0)), mixing="hub_only")
    assert reads(found, "metal", "C", "made_in_share") == {"B": 1.0}
    assert reads(found, "metal", "B", "made_in_share") == {"A": 1.0}


@pytest.mark.parametrize("rule", RULES)
def test_exports_beyond_supply_leave_the_mix_as_recorded(rule):
    found = look_through(supply(("metal", "A", 1.0)), trade(("metal", "A", "B", 5.0)), mixing=rule)
    assert reads(found, "metal", "A", "made_in_share") == reads(found, "metal", "B", "made_in_share") == {"A": 1.0}


@pytest.mark.parametrize("rule", RULES)
def test_an_exporter_without_supply_is_unexplained(rule):
    found = look_through(supply(), trade(("metal", "A", "B", 5.0)), mixing=rule)
    assert reads(found, "metal", "B", "face_value_share") == {"A": 1.0}
    assert reads(found, "metal", "B", "mine_origin_share") == {"UNEXPLAINED": 1.0}
    assert reads(found, "metal", "A", "mine_origin_share") == {"UNEXPLAINED": 1.0}
    assert reads(found, "metal", "B", "processed_in_share") == {}


def test_a_plant_without_recorded_feed_is_unexplained_by_origin_but_processes():
    found = look_through(supply(("mine", "A", 1.0), ("metal", "B", 1.0)), trade())
    assert reads(found, "metal", "B", "processed_in_share") == {"B": 1.0}
    assert reads(found, "metal", "B", "mine_origin_share") == {"UNEXPLAINED": 1.0}


@pytest.mark.parametrize("rule", RULES)
def test_a_cycle_that_nothing_feeds_is_unexplained(rule):
    found = look_through(
        supply(), trade(("metal", "A", "B", 5.0), ("metal", "B", "A", 5.0), ("metal", "B", "C", 1.0)), mixing=rule
    )
    assert shares(found, "mine_origin_share") == {("metal", importer, "UNEXPLAINED"): 1.0 for importer in "ABC"}


def test_plants_that_feed_on_such_a_cycle_still_process():
    mined = trade(("mine", "A", "B", 5.0), ("mine", "B", "A", 5.0), ("metal", "A", "C", 1.0))
    found = look_through(supply(("metal", "A", 1.0)), mined)
    assert reads(found, "metal", "C", "processed_in_share") == {"A": 1.0}
    assert reads(found, "metal", "C", "mine_origin_share") == {"UNEXPLAINED": 1.0}


@pytest.mark.parametrize("leak", [1e-3, 1e-9, 1e-15, 1e-200])
def test_a_cycle_fed_by_a_trickle_is_that_trickle(leak):
    """Both ends of a trade of a million tonnes with itself consist of the two trickles, one to three."""
    made = supply(("metal", "A", leak), ("metal", "B", 3 * leak))
    found = look_through(made, trade(("metal", "A", "B", 1e6), ("metal", "B", "A", 1e6)))
    for importer in "AB":
        assert reads(found, "metal", importer, "made_in_share") == pytest.approx({"A": 0.25, "B": 0.75}, abs=1e-8)


def test_secondary_supply_is_neither_mined_nor_made():
    found = look_through(
        supply(("mine", "A", 6.0), ("metal", "A", 6.0)), trade(), secondary=supply(("metal", "A", 2.0))
    )
    assert reads(found, "metal", "A", "mine_origin_share") == pytest.approx({"A": 0.75, "SECONDARY": 0.25})
    assert reads(found, "metal", "A", "made_in_share") == pytest.approx({"A": 0.75})


def test_secondary_and_unexplained_have_an_origin_share_alone():
    found = look_through(supply(), trade(("metal", "A", "B", 1.0)), secondary=supply(("metal", "C", 2.0)))
    extra = found.filter(pl.col("country").is_in(["SECONDARY", "UNEXPLAINED"]))
    assert extra.select("face_value_share", "made_in_share", "processed_in_share").null_count().row(0) == (3, 3, 3)
    assert extra["mine_origin_share"].to_list() == [1.0, 1.0, 1.0]


def test_feed_defaults_to_the_previous_stage_present():
    made = supply(("mine", "A", 1.0), ("alloy", "A", 1.0), ("product", "A", 1.0))
    assert reads(look_through(made, trade()), "product", "A", "mine_origin_share") == {"A": 1.0}


FED = supply(("mine", "A", 1.0), ("compound", "B", 1.0), ("metal", "A", 1.0), ("metal", "B", 1.0))


def test_feed_mix_by_stage_is_scaled_to_one():
    feed = pl.DataFrame({"stage": ["metal"] * 2, "from_stage": ["mine", "compound"], "weight": [3.0, 1.0]})
    found = look_through(FED, trade(), feed=feed)
    assert reads(found, "metal", "A", "mine_origin_share") == pytest.approx({"A": 0.75, "UNEXPLAINED": 0.25})


def test_feed_mix_of_one_country_leaves_the_others_alone():
    feed = pl.DataFrame({"stage": ["metal"], "from_stage": ["mine"], "weight": [1.0], "country": ["A"]})
    found = look_through(FED, trade(("compound", "A", "B", 1.0)), feed=feed)
    assert reads(found, "metal", "A", "mine_origin_share") == {"A": 1.0}
    assert reads(found, "metal", "B", "processed_in_share") == {"B": 1.0}


def test_feed_from_a_stage_without_data_is_unexplained():
    feed = pl.DataFrame({"stage": ["metal"] * 2, "from_stage": ["mine", "intermediate"], "weight": [1.0, 1.0]})
    found = look_through(FED, trade(), feed=feed)
    assert reads(found, "metal", "A", "mine_origin_share") == pytest.approx({"A": 0.5, "UNEXPLAINED": 0.5})


def test_feed_of_one_material_leaves_the_others_alone():
    made = pl.concat([FED.with_columns(material=pl.lit(name)) for name in ("cobalt", "nickel")])
    feed = pl.DataFrame({"material": ["cobalt"], "stage": ["metal"], "from_stage": ["mine"], "weight": [1.0]})
    found = look_through(made, trade().with_columns(material=pl.lit("")), feed=feed).filter(stage="metal", importer="A")
    assert reads(found.filter(material="cobalt"), "metal", "A", "mine_origin_share") == {"A": 1.0}
    assert reads(found.filter(material="nickel"), "metal", "A", "mine_origin_share") == {"UNEXPLAINED": 1.0}


def test_materials_and_years_do_not_touch_each_other():
    def batch(frame, material, year, factor):
        return frame.with_columns(pl.col("quantity_t") * factor, material=pl.lit(material), year=pl.lit(year, pl.Int32))

    reduced = MOVED.filter(pl.col("exporter") != "VN")
    made = pl.concat([batch(MADE, "b", 2024, 3.0), batch(MADE, "a", 2023, 1.0), batch(MADE, "a", 2024, 1.0)])
    moved = pl.concat([batch(reduced, "a", 2024, 1.0), batch(MOVED, "b", 2024, 3.0), batch(MOVED, "a", 2023, 1.0)])
    found = look_through(made, moved, stages=CHAIN)
    assert found.columns[:2] == ["material", "year"]
    assert found.select("material", "year").unique(maintain_order=True).rows() == [
        ("a", 2023),
        ("a", 2024),
        ("b", 2024),
    ]
    for (material, year), flows in ((("a", 2023), MOVED), (("a", 2024), reduced), (("b", 2024), MOVED)):
        alone = look_through(MADE, flows, stages=CHAIN)
        assert_frame_equal(found.filter(material=material, year=year).drop("material", "year"), alone, abs_tol=1e-12)


def test_self_trade_is_no_supplier():
    with_itself = pl.concat([MOVED, trade(("magnet", "DE", "DE", 50.0), ("magnet", "US", "US", 5.0))])
    assert look_through(MADE, with_itself, stages=CHAIN).equals(look_through(MADE, MOVED, stages=CHAIN))


def test_nothing_in_gives_an_empty_frame_with_all_columns():
    found = look_through(supply(), trade())
    assert found.is_empty()
    assert found.schema == look_through(MADE, MOVED, stages=CHAIN).schema


def test_countries_without_tonnes_have_no_rows():
    found = look_through(supply(("mine", "A", 1.0), ("mine", "Z", 0.0)), trade(("metal", "A", "Y", 0.0)))
    assert found["importer"].to_list() == ["A"]


def test_the_standard_chain_runs_from_mine_to_product():
    assert STAGES == ("mine", "intermediate", "compound", "metal", "alloy", "semi", "component", "product")
