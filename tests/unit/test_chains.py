"""Chains from tables: which stages take part, what feeds what, and what is left unexplained."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ingest.chain_inputs import network_sources, stage_feed
from ingest.mapping import reference
from tracing import STAGES
from tracing.chains import SMALLEST, Traced, trace_all
from tracing.network import InvalidNetwork

MADE = {
    "compound": {"CHN": 90, "MYS": 10},
    "metal": {"CHN": 92, "JPN": 6, "VNM": 2},
    "component": {"CHN": 92, "JPN": 7, "DEU": 1},
}
MOVED = {
    "compound": {("CHN", "JPN"): 2, ("MYS", "JPN"): 6, ("CHN", "VNM"): 2},
    "metal": {("CHN", "JPN"): 3, ("VNM", "JPN"): 1, ("CHN", "DEU"): 1},
    "component": {("CHN", "USA"): 7.5, ("JPN", "USA"): 0.9, ("DEU", "USA"): 0.4, ("CHN", "DEU"): 2},
}
"""The worked example of methods section 3; oxide is its first stage."""


def bounds(tonnes: float | None, spread: float) -> dict[str, Any]:
    low, high = (None, None) if tonnes is None else (tonnes * (1 - spread), tonnes * (1 + spread))
    return {"quantity_t": tonnes, "quantity_t_low": low, "quantity_t_high": high}


def output(stages: dict[str, Any] = MADE, *, year: int = 2023, spread: float = 0.0, **more: Any) -> pl.DataFrame:
    rest = {"material": "m", "source": "a", "evidence": "reported", "method": "reported", **more}
    rows = [
        {"stage": stage, "iso3": iso3, "year": year, **bounds(tonnes, spread), **rest}
        for stage, cells in stages.items()
        for iso3, tonnes in cells.items()
    ]
    return pl.DataFrame(rows, schema_overrides={"year": pl.Int32()})


def trade(stages: dict[str, Any] = MOVED, *, year: int = 2023, spread: float = 0.0, **more: Any) -> pl.DataFrame:
    rest = {"material": "m", "source": "b", "evidence": "reported", "hs_codes": "1", **more}
    rows = [
        {"stage": stage, "exporter": ends[0], "importer": ends[1], "year": year, **bounds(tonnes, spread), **rest}
        for stage, cells in stages.items()
        for ends, tonnes in cells.items()
    ]
    numbers = dict.fromkeys(("quantity_t", "quantity_t_low", "quantity_t_high"), pl.Float64())
    return pl.DataFrame(rows, schema_overrides={"year": pl.Int32(), **numbers})


def traced(made: pl.DataFrame, moved: pl.DataFrame, **more: Any) -> Traced:
    return trace_all(made, moved, **{"years": [2023], "draws": 5, **more})


def share(result: Traced, country: str, measure: str = "processed_in_share", importer: str = "USA", **at: Any) -> Any:
    at = {"stage": "component", **at}
    rows = result.exposure.filter(importer=importer, country=country, **at)
    return rows[measure][0] if rows.height else 0.0


def status(result: Traced, stage: str, year: int = 2023) -> tuple[Any, ...]:
    return result.coverage.filter(stage=stage, year=year).select("status", "reason", "ingredient_years").row(0)


@pytest.mark.parametrize(
    ("country", "shares"),
    [
        ("CHN", (0.8523, 0.8826, 0.9540)),
        ("DEU", (0.0455, 0.0152, 0.0152)),
        ("JPN", (0.1023, 0.1023, 0.1023)),
        ("MYS", (0, 0, 0.0460)),
        ("VNM", (0, 0, 0.0102)),
    ],
)
def test_the_worked_example_comes_out_of_tables(country: str, shares: tuple[float, ...]) -> None:
    result = traced(output(), trade())
    measures = ("face_value_share", "made_in_share", "processed_in_share")
    assert [share(result, country, measure) for measure in measures] == pytest.approx(shares, abs=5e-5)
    assert share(result, country, "hidden_share") == pytest.approx(shares[2] - shares[0], abs=1e-4)


def test_origins_of_a_chain_that_does_not_reach_the_mine_are_unexplained() -> None:
    result = traced(output(), trade())
    assert share(result, "UNEXPLAINED", "mine_origin_share") == pytest.approx(1)
    assert share(result, "CHN", "mine_origin_share") is None


def test_a_chain_from_the_mine_has_origins() -> None:
    mined = {"mine": {"CHN": 95, "AUS": 12}, **MADE}
    moved = {"mine": {("AUS", "MYS"): 12}, **MOVED}
    # Within its bounds the output of the example holds no more than its feed.
    result = traced(output(mined, spread=0.1), trade(moved))
    assert share(result, "AUS", "mine_origin_share") == pytest.approx(0.0460, abs=5e-5)
    assert share(result, "CHN", "mine_origin_share") == pytest.approx(0.9540, abs=5e-5)


def test_intervals_hold_the_centre_and_mine_origin_adds_to_one() -> None:
    mined = {"mine": {"CHN": 60, "AUS": 12}, **MADE}
    result = traced(
        output(mined, spread=0.3), trade({"mine": {("AUS", "MYS"): 12}, **MOVED}, spread=0.3), draws=50
    ).exposure
    for name in ("face_value_share", "made_in_share", "processed_in_share"):
        centre = result.drop_nulls(name)
        assert centre.filter(~pl.col(name).is_between(f"{name}_low", f"{name}_high")).is_empty()
    sums = result.group_by("stage", "importer").agg(pl.col("mine_origin_share").sum())
    assert sums["mine_origin_share"].to_list() == pytest.approx([1.0] * sums.height, abs=1e-9)
    measured = ("face_value_share", "made_in_share", "processed_in_share", "mine_origin_share")
    named = result.filter(pl.col("country") != "UNEXPLAINED")
    assert named.filter(pl.max_horizontal(*measured) <= SMALLEST).is_empty()
    assert (result["draws"].unique().to_list(), result["seed"].n_unique()) == ([50], 1)


def test_draws_depend_on_the_seed_alone() -> None:
    tables = output(spread=0.3), trade(spread=0.3)
    first, again = (traced(*tables, draws=20, seed=3).exposure for _ in range(2))
    other = traced(*tables, draws=20, seed=4).exposure
    shuffled = traced(*(table.sample(fraction=1, shuffle=True, seed=1) for table in tables), draws=20, seed=3).exposure
    assert first.equals(again)
    assert first.equals(shuffled)
    assert not first.equals(other)


def test_first_hops_add_to_the_exposure() -> None:
    result = traced(output(), trade())
    hops = result.via.filter(importer="USA", country="CHN", stage="component")
    assert set(hops["via"]) == {"CHN", "DEU", "JPN"}
    assert hops["share"].sum() == pytest.approx(share(result, "CHN"), abs=1e-6)


def test_a_stage_without_trade_of_all_countries_is_blind_and_nothing_stands_in_for_it() -> None:
    only_usa = trade({"metal": {("CHN", "USA"): 1, ("USA", "MEX"): 1}}, source="national")
    rest = trade({stage: MOVED[stage] for stage in ("compound", "component")})
    feed = pl.DataFrame(
        {
            **{"material": "m", "stage": ["compound", "metal", "component"]},
            **{"from_stage": [None, "compound", "metal"], "rank": [None, 1, 1]},
        }
    )
    result = traced(output(), pl.concat([rest, only_usa]), networks=["b"], feed=feed)
    assert status(result, "metal")[:2] == ("blind", "trade of single countries only: national")
    assert share(result, "CHN") == pytest.approx(0.8826, abs=5e-5), "no feed is known, so only the last plant counts"
    assert share(result, "MYS") == 0.0


@pytest.mark.parametrize(
    ("moved", "reason"),
    [({}, "no trade figures"), ({"metal": {("CHN", "JPN"): None}}, "trade in value only, no tonnes")],
)
def test_coverage_says_why_a_stage_is_blind(moved: dict[str, Any], reason: str) -> None:
    rest = {stage: MOVED[stage] for stage in ("compound", "component")}
    assert status(traced(output(), trade({**rest, **moved})), "metal")[:2] == ("blind", reason)


def test_a_stage_without_output_is_blind() -> None:
    made = {stage: MADE[stage] for stage in ("compound", "component")}
    assert status(traced(output(made), trade()), "metal")[:2] == ("blind", "no output figures")


def test_the_year_beside_serves_a_stage_and_is_named() -> None:
    late = trade({"component": MOVED["component"]}, year=2024)
    early = trade({stage: MOVED[stage] for stage in ("compound", "metal")})
    result = traced(output(year=2024), pl.concat([early, late]), years=[2024])
    assert status(result, "metal", 2024)[0] == "closed"
    assert status(result, "metal", 2024)[2] == "output 2024; trade 2023"
    assert share(result, "CHN") == pytest.approx(0.9540, abs=5e-5)
    assert set(result.exposure.filter(stage="component")["evidence"]) == {"assumed"}


def test_a_year_without_any_trade_of_its_own_is_not_traced() -> None:
    result = traced(output(year=2024), trade(), years=[2024])
    assert result.exposure.is_empty()
    assert set(result.coverage["status"]) == {"blind"}


def test_a_country_that_reports_the_year_itself_replaces_its_pairs_of_the_year_beside() -> None:
    early = trade({"compound": {("CHN", "USA"): 8, ("CHN", "JPN"): 2}})
    fresh = trade({"compound": {("MYS", "USA"): 5, ("USA", "MEX"): 1}}, year=2024, source="national")
    late = trade({"component": MOVED["component"]}, year=2024)
    result = traced(output(year=2024), pl.concat([early, fresh, late]), years=[2024], networks=["b"])
    assert share(result, "MYS", "face_value_share", stage="compound") == pytest.approx(1)
    assert share(result, "CHN", "face_value_share", "JPN", stage="compound") == pytest.approx(1)
    assert status(result, "compound", 2024)[2] == "output 2024; trade 2023 and 2024"


def test_world_totals_are_no_country() -> None:
    made = output({**MADE, "component": {**MADE["component"], "WLD": 100}})
    moved = trade({**MOVED, "component": {**MOVED["component"], ("WLD", "USA"): 8.8, ("CHN", "WLD"): 9.5}})
    assert traced(made, moved).exposure.equals(traced(output(), trade()).exposure)


def test_feed_that_cannot_hold_the_output_leaves_the_rest_unexplained() -> None:
    starved = {**MOVED, "metal": {("CHN", "JPN"): 3, ("CHN", "DEU"): 0.25}}
    result = traced(output({**MADE, "component": {"CHN": 92, "JPN": 7, "DEU": 1}}), trade(starved))
    own = share(result, "CHN", "processed_in_share", "DEU") - share(result, "CHN", "made_in_share", "DEU")
    assert own == pytest.approx(0.25 / 3), "a third of supply is German, and a quarter of its feed is recorded"


def test_stages_that_feed_side_by_side_count_by_tonnes() -> None:
    made = {"mine": {"CHN": 30, "MMR": 10}, "intermediate": {"MMR": 10}, "compound": {"CHN": 40}}
    moved = {"mine": {("CHN", "XYZ"): 1e-9}, "intermediate": {("MMR", "CHN"): 10}, "compound": {("CHN", "USA"): 5}}
    feed = pl.DataFrame(
        {
            **{"material": "m", "stage": ["mine", "intermediate", "compound", "compound"]},
            **{"from_stage": [None, "mine", "mine", "intermediate"], "rank": [None, 1, 1, 1]},
        }
    )
    result = traced(output(made), trade(moved), feed=feed)
    origin = {c: share(result, c, "mine_origin_share", stage="compound") for c in ("CHN", "MMR")}
    assert origin == pytest.approx({"CHN": 0.75, "MMR": 0.25}, abs=1e-6)


def test_recycled_supply_is_its_own_origin() -> None:
    recycled = output({"component": {"USA": 8.8}})
    result = traced(output(), trade(), secondary=recycled)
    assert share(result, "SECONDARY", "mine_origin_share") == pytest.approx(0.5)
    assert share(result, "CHN") == pytest.approx(0.9540 / 2, abs=5e-5)


def test_a_negative_figure_is_refused() -> None:
    with pytest.raises(InvalidNetwork, match="negative"):
        traced(output(), trade({**MOVED, "metal": {("CHN", "JPN"): -3}}))


def test_every_chain_of_the_reference_table_begins_somewhere_and_feeds_forward() -> None:
    feed = stage_feed()
    assert feed.filter(pl.col("from_stage").is_null())["material"].n_unique() == feed["material"].n_unique()
    fed = feed.drop_nulls("from_stage")
    known = feed.select("material", from_stage="stage").unique()
    missing = fed.join(known, on=["material", "from_stage"], how="anti")
    assert set(missing["from_stage"]) <= {"alloy"}, "a stage that feeds belongs to the chain"
    assert "usitc" not in network_sources()


def test_the_tracing_knows_every_stage_in_the_order_of_the_reference() -> None:
    table = reference("stages.csv").with_columns(pl.col("position").cast(pl.Int32)).sort("position")
    assert [stage for stage in table["stage"] if stage != "secondary"] == list(STAGES)
