"""The list of scenarios, its reference files, and the checks of ``oretrace scenario``."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ingest import scenario_inputs
from ingest.chain_inputs import stage_feed
from ingest.errors import BadInput, UnmappedValue
from ingest.home import Home
from ingest.mapping import reference
from ingest.schemas import conform
from ingest.transforms import scenario
from orchestration.scenario import Ban, chain_slug, country_code, read_ban, run_ban

OUTPUT = {"material": pl.String, "stage": pl.String, "iso3": pl.String, "year": pl.Int32, "quantity_t": pl.Float64}


def output(*rows: tuple[str, float]) -> pl.DataFrame:
    return pl.DataFrame([("tin", "metal", iso3, 2024, tonnes) for iso3, tonnes in rows], schema=OUTPUT, orient="row")


def control(number: str = "MOFCOM 2024 No. 46") -> pl.DataFrame:
    row = {
        "authority_no": number, "imposer": "CHN", "material": "antimony", "stage": None,
        "announced": date(2024, 12, 3), "effective": date(2024, 12, 3), "status": "suspended",
        "suspended": date(2025, 11, 9), "hs_codes": None, "source": "policy", "vintage": "2025", "evidence": "reported",
    }  # fmt: skip
    return pl.DataFrame([row])


def build(production: pl.DataFrame, scrap: pl.DataFrame | None = None, restriction: pl.DataFrame | None = None):
    frames = {
        "stage_production": production,
        "secondary_supply": pl.DataFrame(schema=OUTPUT) if scrap is None else scrap,
        "restriction": control() if restriction is None else restriction,
    }
    return conform(scenario.build(frames)[0], "scenario")


def test_n_minus_1_is_what_is_left_without_the_largest_over_output_and_recycled():
    rows = build(output(("CHN", 60.0), ("IDN", 40.0)), output(("USA", 25.0))).filter(kind="n_minus_1")
    assert rows.select("actor", "mechanism").row(0) == ("CHN", "output_lost")
    assert rows["n_minus_1_ratio"][0] == pytest.approx(40 / 125)


def test_the_three_largest_ban_at_the_stage_and_at_every_stage():
    made = output(("AUS", 1.0), ("CHN", 60.0), ("IDN", 40.0), ("PER", 5.0), ("WLD", 106.0), ("OTH", 50.0))
    rows = build(made).filter(kind="ban")
    assert set(rows.drop_nulls("stage")["actor"]) == {"CHN", "IDN", "PER"}
    assert set(rows.filter(pl.col("stage").is_null())["scenario"]) == {
        f"ban_{c}_tin_all" for c in ("chn", "idn", "per")
    }


def test_an_announcement_keeps_its_dates_status_and_target():
    row = build(output(("CHN", 1.0))).filter(kind="export_control").row(0, named=True)
    assert (row["announced"], row["status"], row["suspended"]) == (date(2024, 12, 3), "suspended", date(2025, 11, 9))
    assert (row["actor"], row["target"], row["evidence"]) == ("CHN", "USA", "reported")


def test_an_announcement_that_no_row_covers_stops_the_run():
    with pytest.raises(UnmappedValue, match=r"scenario_announcements\.csv"):
        build(output(("CHN", 1.0)), restriction=control("MOFCOM 2031 No. 1"))


def test_output_of_the_year_beside_stands_in_only_where_there_is_none():
    rows = output(("CHN", 60.0), ("IDN", 40.0)).with_columns(year=pl.Series([2023, 2024], dtype=pl.Int32))
    assert build(rows).filter(kind="n_minus_1")["actor"].to_list() == ["IDN"]
    assert build(rows.head(1)).filter(kind="n_minus_1")["vintage"].to_list() == ["2023"]


def test_every_link_of_every_chain_has_a_recipe_and_no_recipe_is_of_an_unknown_link():
    links = scenario_inputs.links()
    assert links.height == stage_feed().drop_nulls("from_stage").height == reference("scenario_recipes.csv").height


@pytest.mark.parametrize(("value", "confidence"), [("0,5", "low"), ("0.5", "low"), ("1.0", "sure"), (None, "low")])
def test_a_recipe_that_cannot_be_used_is_refused_by_file(monkeypatch, value, confidence):
    table = reference("scenario_recipes.csv")
    first = pl.int_range(pl.len()) == 0
    wrong = table.with_columns(
        recipe=pl.when(first).then(pl.lit(value, pl.String)).otherwise("recipe"),
        confidence=pl.when(first).then(pl.lit(confidence)).otherwise("confidence"),
    )
    monkeypatch.setattr(scenario_inputs, "reference", lambda file: wrong)
    with pytest.raises(BadInput, match=r"scenario_recipes\.csv"):
        scenario_inputs.links.__wrapped__()


def test_words_are_matched_to_codes_and_slugs():
    assert read_ban("china", "Rare earths", ("Metal",), "united states", 0.5, 2023) == Ban(
        "CHN", "rare_earths", ("metal",), "USA", 0.5, 2023
    )
    assert read_ban("CHN", "rare_earths", (), "EUU", 1.0, None).year == 2024


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"by": "Chna"}, "Nearest: CHN"),
        ({"to": "Jpan"}, "Nearest: JPN"),
        ({"material": "rare_erths"}, "Nearest: rare_earths"),
        ({"stages": ("metl",)}, "Nearest: metal"),
        ({"to": "CHN"}, "both CHN"),
        ({"by": "DEU", "to": "EUU"}, "member of EUU"),
        ({"by": "World"}, "unknown country"),
    ],
)
def test_a_word_that_cannot_be_used_is_refused_with_what_to_do(words, message):
    asked = {"by": "CHN", "material": "rare_earths", "stages": (), "to": "USA", "share": 1.0, "year": 2024}
    with pytest.raises(BadInput, match=message):
        read_ban(**(asked | words))


def test_a_material_without_a_chain_is_unknown_here():
    with pytest.raises(BadInput, match="unknown material"):
        chain_slug("thorium")
    assert country_code("EUU", "importer") == "EUU"


def test_a_home_without_tables_says_how_to_build_them(tmp_path: Path):
    with pytest.raises(BadInput, match="Build them with: oretrace run"):
        run_ban(Home(tmp_path), Ban("CHN", "rare_earths", (), "USA", 1.0, 2024))
