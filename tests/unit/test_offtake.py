"""What an offtake contract changes, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import BadInput
from ingest.home import Home
from ingest.mapping import reference
from orchestration.offtake import run_offtake
from tracing.chain_networks import UNRECORDED, ChainNetworks, prepare
from tracing.exposure import look_through
from tracing.network import STAGES
from tracing.offtake import RULES, ImpossibleOfftake, Offtake, before_and_after, with_offtake

COUNTRIES = ("USA", "AUS", "CHN", "JPN", "MYS")
CHAIN = pl.DataFrame(
    {"stage": ["mine", "compound", "metal"], "from_stage": [None, "mine", "compound"], "rank": [1, 1, 1]},
    schema={"stage": pl.String, "from_stage": pl.String, "rank": pl.Int32},
)
BASE = {"material": "rare_earths", "year": 2024, "source": "toy", "evidence": "reported"}


def tonnes(value: float) -> dict[str, float]:
    return dict.fromkeys(("quantity_t", "quantity_t_low", "quantity_t_high"), value)


def tables(made: dict[tuple[str, str], float], moved: dict[tuple[str, str, str], float]) -> dict[str, pl.DataFrame]:
    """Canonical tables of one chain: output by stage and country, trade by stage, exporter and importer."""
    output = [{**BASE, "stage": s, "iso3": c, "method": "reported", **tonnes(t)} for (s, c), t in made.items()]
    trade = [
        {**BASE, "stage": s, "exporter": a, "importer": b, "hs_codes": "2846", "value_usd": None, **tonnes(t)}
        for (s, a, b), t in moved.items()
    ]
    return {"stage_production": pl.DataFrame(output), "stage_flow": pl.DataFrame(trade)}


def network(made: dict[tuple[str, str], float], moved: dict[tuple[str, str, str], float]) -> ChainNetworks:
    frames = tables(made, moved)
    return prepare(
        frames["stage_production"],
        frames["stage_flow"],
        CHAIN.with_columns(material=pl.lit("rare_earths")),
        None,
        None,
        (2024,),
    )


def shares(parts: ChainNetworks, importer: str, stage: str, measure: str = "face_value_share") -> dict[str, float]:
    traced = look_through(parts.production, parts.flows, stages=(UNRECORDED, *STAGES), feed=parts.feed)
    rows = traced.filter(importer=importer, stage=stage).drop_nulls(measure)
    return dict(rows.select("country", measure).iter_rows())


# Chinese and Malaysian oxide reach the USA, the Malaysian one fed with Chinese ore in part; Australia has ore.
MADE = {("mine", "CHN"): 100.0, ("mine", "AUS"): 50.0, ("compound", "CHN"): 90.0, ("compound", "MYS"): 20.0}
MADE |= {("metal", "USA"): 20.0, ("metal", "CHN"): 60.0}
MOVED = {("mine", "AUS", "MYS"): 10.0, ("mine", "CHN", "MYS"): 10.0, ("compound", "CHN", "USA"): 30.0}
MOVED |= {("compound", "MYS", "USA"): 10.0, ("compound", "MYS", "JPN"): 6.0, ("metal", "CHN", "USA"): 5.0}


@st.composite
def chains(draw):
    """Chains of three stages among five countries; the USA imports compound from somebody else than Australia."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = {(s, c): float(rng.integers(0, 100)) for s in ("mine", "compound", "metal") for c in COUNTRIES}
    made = {key: value for key, value in made.items() if rng.random() < 0.7}
    made |= {("mine", "CHN"): 50.0, ("compound", "CHN"): 50.0, ("metal", "CHN"): 50.0}
    moved = {
        (s, a, b): float(rng.integers(1, 30))
        for s in ("mine", "compound", "metal")
        for a in COUNTRIES
        for b in COUNTRIES
        if a != b and rng.random() < 0.4
    }
    moved |= {("compound", "CHN", "USA"): 40.0, ("mine", "CHN", "JPN"): 1.0, ("metal", "CHN", "JPN"): 1.0}
    return network(made, moved)


def test_a_contract_moves_the_worked_chain_by_the_numbers():
    # Of 40 t, 10 come from Australia: of China's 30 t either all ten or 7.5 go; Malaysia keeps 10 or 7.5.
    rows = before_and_after(network(MADE, MOVED), Offtake("USA", "AUS", "compound", 10.0), CHAIN)
    cell = {row["role"]: row for row in rows.filter(stage="compound").iter_rows(named=True)}
    lead, partner = cell["lead supplier"], cell["partner"]
    assert lead["country"] == "CHN" and lead["face_value_before"] == 0.75
    assert (lead["face_value_after_low"], lead["face_value_after_high"]) == (0.5, pytest.approx(0.5625))
    assert partner["face_value_before"] == 0
    assert [partner[f"face_value_after_{end}"] for end in ("low", "high")] == pytest.approx([0.25, 0.25])
    # Half of Malaysia's ore is Chinese only as mined there: mining counts as a plant of China's.
    assert lead["processed_in_before"] == pytest.approx(0.75 + 0.25 * 0.5)
    assert lead["processed_in_after_low"] == pytest.approx(0.5 + 0.25 * 0.5)
    # The first Australian plant feeds on Australian ore.
    assert shares(
        with_offtake(network(MADE, MOVED), Offtake("USA", "AUS", "compound", 10.0), "lead", CHAIN),
        "USA",
        "compound",
        "mine_origin_share",
    )["AUS"] == pytest.approx(0.25 + 0.125)


def test_a_contract_at_one_stage_reaches_the_plants_that_feed_on_it():
    rows = before_and_after(network(MADE, MOVED), Offtake("USA", "AUS", "compound", 10.0), CHAIN)
    metal = rows.filter(stage="metal", role="lead supplier").row(0, named=True)
    # 20 of 25 t are made at home from the compound market above.
    assert metal["processed_in_before"] == pytest.approx(0.2 + 0.8 * 0.875)
    assert metal["processed_in_after_low"] == pytest.approx(0.2 + 0.8 * 0.625)
    assert metal["face_value_before"] == metal["face_value_after_high"] == pytest.approx(0.2)


@settings(max_examples=40, deadline=None)
@given(chains())
def test_an_offtake_of_nothing_changes_nothing(parts):
    rows = before_and_after(parts, Offtake("USA", "AUS", "compound", 0.0), CHAIN)
    for view in ("face_value", "processed_in"):
        for end in ("low", "high"):
            assert rows[f"{view}_after_{end}"].to_list() == rows[f"{view}_before"].to_list()


@settings(max_examples=40, deadline=None)
@given(chains(), st.floats(0.1, 40), st.sampled_from(RULES))
def test_the_partners_share_grows_by_the_contract_and_shares_still_add_to_one(parts, size, rule):
    supply = parts.production.filter(stage="compound", country="USA")["quantity_t"].sum()
    supply += parts.flows.filter(stage="compound", importer="USA")["quantity_t"].sum()
    before = shares(parts, "USA", "compound")
    after = shares(with_offtake(parts, Offtake("USA", "AUS", "compound", size), rule, CHAIN), "USA", "compound")
    assert after["AUS"] == pytest.approx(before.get("AUS", 0.0) + size / supply)
    assert sum(after.values()) == pytest.approx(1)


def test_a_partner_that_feeds_on_the_leads_ore_hides_part_of_it():
    parts = network(MADE, MOVED)
    rows = before_and_after(parts, Offtake("USA", "MYS", "compound", 10.0), CHAIN)
    lead = rows.filter(stage="compound", role="lead supplier").row(0, named=True)
    # A quarter of the supply moves from China to Malaysia, half of whose ore is Chinese.
    assert lead["face_value_before"] - lead["face_value_after_low"] == pytest.approx(0.25)
    assert lead["processed_in_before"] - lead["processed_in_after_low"] == pytest.approx(0.125)


def clean(parts: ChainNetworks) -> ChainNetworks:
    """Australia mines and separates a lot and buys nothing."""
    flows = parts.flows.filter(pl.col("importer") != "AUS")
    made = parts.production.filter(pl.col("country") != "AUS")
    own = [
        {"material": "rare_earths", "year": 2024, "stage": s, "country": "AUS", **tonnes(1000.0)}
        for s in ("mine", "compound")
    ]
    feed = pl.DataFrame(
        [
            {
                "material": "rare_earths",
                "year": 2024,
                "stage": "compound",
                "country": "AUS",
                "from_stage": "mine",
                "weight": 1.0,
            }
        ]
    )
    keep = parts.feed.filter(pl.col("country") != "AUS")
    return replace(
        parts,
        flows=flows,
        production=pl.concat([made, pl.DataFrame(own, schema=made.schema)]),
        feed=pl.concat([keep, feed.cast({"year": pl.Int32}).select(keep.columns)]),
    )


@settings(max_examples=40, deadline=None)
@given(chains(), st.floats(0.1, 40), st.sampled_from(RULES))
def test_a_partner_that_buys_nothing_lowers_the_leads_traced_share(parts, size, rule):
    parts = clean(parts)
    later = with_offtake(parts, Offtake("USA", "AUS", "compound", size), rule, CHAIN)
    for stage in ("compound", "metal"):
        before = shares(parts, "USA", stage, "processed_in_share").get("CHN", 0.0)
        after = shares(later, "USA", stage, "processed_in_share").get("CHN", 0.0)
        assert after <= before + 1e-12
    assert shares(later, "USA", "compound").get("CHN", 0.0) < shares(parts, "USA", "compound")["CHN"]


def exports(parts: ChainNetworks, country: str) -> dict[str, float]:
    rows = parts.flows.filter(stage="compound", exporter=country)
    return dict(rows.select("importer", "quantity_t").iter_rows())


def test_other_exports_of_the_partner_shrink_only_when_it_cannot_supply_both():
    parts = network(MADE, MOVED)
    # Malaysia makes 20 and sells 16: four more are there, the fifth comes off what Japan gets.
    assert exports(with_offtake(parts, Offtake("USA", "MYS", "compound", 4.0), "lead", CHAIN), "MYS") == {
        "USA": 14,
        "JPN": 6,
    }
    after = with_offtake(parts, Offtake("USA", "MYS", "compound", 5.0), "lead", CHAIN)
    assert exports(after, "MYS") == {"USA": 15, "JPN": pytest.approx(5)}
    assert after.production.equals(parts.production)


def test_what_the_partner_does_not_have_is_new_output_of_its_plants():
    after = with_offtake(network(MADE, MOVED), Offtake("USA", "MYS", "compound", 30.0), "lead", CHAIN)
    assert exports(after, "MYS") == {"USA": 40, "JPN": pytest.approx(0)}
    assert after.production.filter(stage="compound", country="MYS")["quantity_t"].item() == pytest.approx(40)


def test_what_exceeds_all_imports_replaces_own_output_and_no_more_than_that():
    parts = network({**MADE, ("compound", "USA"): 10.0}, MOVED)
    after = with_offtake(parts, Offtake("USA", "AUS", "compound", 45.0), "pro_rata", CHAIN)
    assert shares(after, "USA", "compound")["USA"] == pytest.approx(0.1)
    with pytest.raises(ImpossibleOfftake, match="50 t"):
        with_offtake(parts, Offtake("USA", "AUS", "compound", 51.0), "lead", CHAIN)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with the canonical tables of the small chain, its trade from a source that covers all countries."""
    folder = Home(tmp_path).canonical
    folder.mkdir()
    wide = reference("flow_networks.csv").filter(network="true")["source"][0]
    frames = tables(MADE, MOVED)
    frames["stage_flow"] = frames["stage_flow"].with_columns(source=pl.lit(wide))
    recycled = {"material": pl.String, "stage": pl.String, "iso3": pl.String, "year": pl.Int32}
    frames["secondary_supply"] = pl.DataFrame(schema=recycled | dict.fromkeys(tonnes(0.0), pl.Float64))
    frames["material"] = reference("materials.csv").select("material", "name")
    frames["stage"] = reference("stages.csv").select("stage", "name")
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    return Home(tmp_path)


def test_the_command_gives_the_same_answer_for_codes_and_for_names(home):
    one = run_offtake(home, "AUS:compound:10", material="rare_earths", to="USA", year=2024)
    assert one.equals(
        run_offtake(home, "Australia : Compound : 1e1", material="Rare earths", to="United States", year=2024)
    )
    assert one.filter(stage="compound", role="partner")["face_value_after_low"].item() == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("spec", "asked", "said"),
    [
        ("Astralia:compound:1", {}, "unknown partner 'Astralia'. Nearest: AUS (Australia)"),
        ("AUS:glass:1", {}, "unknown stage 'glass'"),
        ("AUS:compound:-1", {}, "tonnes '-1' is not a number that is 0 or more"),
        ("AUS:compound:lots", {}, "tonnes 'lots'"),
        ("AUS:compound:1,5", {}, "tonnes '1,5'"),
        ("AUS:compound:inf", {}, "tonnes 'inf'"),
        ("AUS:compound", {}, "is not PARTNER:STAGE:TONNES"),
        ("AUS:compound:", {}, "is not PARTNER:STAGE:TONNES"),
        ("AUS:compound:41", {}, "USA gets 40 t of compound from others than AUS"),
        ("AUS:compound:1", {"to": "AUS"}, "it is the importer itself"),
        ("FRA:compound:1", {"to": "EUU"}, "it is the importer itself"),
        ("AUS:component:1", {}, "component is blind"),
        ("AUS:semi:1", {}, "is no stage of the chain"),
        ("AUS:compound:1", {"year": 2012}, "Nothing of it is traced in 2012"),
        ("AUS:compound:1", {"material": "unobtainium"}, "unknown material 'unobtainium'"),
        ("AUS:compound:1", {"to": "Atlantis"}, "unknown importer 'Atlantis'"),
    ],
)
def test_a_contract_that_cannot_be_read_or_met_is_refused(home, spec, asked, said):
    with pytest.raises(BadInput) as refused:
        run_offtake(home, spec, **({"material": "rare_earths", "to": "USA", "year": 2024} | asked))
    assert said in str(refused.value)
    assert refused.value.exit_code == 2


def test_before_anything_is_built_the_answer_is_how_to_build_it(tmp_path):
    with pytest.raises(BadInput, match="oretrace run"):
        run_offtake(Home(tmp_path), "AUS:compound:1", material="rare_earths", to="USA", year=2024)
