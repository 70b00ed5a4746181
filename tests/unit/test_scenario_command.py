"""``oretrace scenario`` on a small home: what it prints, and that it writes nothing."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from ingest.mapping import reference
from orchestration.cli import main

TONNES = ("quantity_t", "quantity_t_low", "quantity_t_high")


def with_bounds(rows: list[tuple[object, ...]], names: tuple[str, ...], **more: str | None) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=[*names, "quantity_t"], orient="row")
    text = {name: pl.lit(value, pl.String) for name, value in more.items()}
    return frame.with_columns(
        pl.col("year").cast(pl.Int32), *(pl.col("quantity_t").alias(name) for name in TONNES[1:]), **text
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Antimony: China mines and smelts; Vietnam smelts Chinese and Bolivian ore for the USA."""
    made = [
        ("antimony", "mine", "CHN", 2024, 60.0), ("antimony", "mine", "BOL", 2024, 40.0),
        ("antimony", "metal", "CHN", 2024, 50.0), ("antimony", "metal", "VNM", 2024, 20.0),
    ]  # fmt: skip
    moved = [
        (2024, "CHN", "VNM", "antimony", "mine", 10.0), (2024, "BOL", "VNM", "antimony", "mine", 10.0),
        (2024, "CHN", "USA", "antimony", "metal", 5.0), (2024, "VNM", "USA", "antimony", "metal", 15.0),
    ]  # fmt: skip
    place = ("material", "stage", "iso3", "year")
    tables = {
        "stage_production": with_bounds(made, place, source="usgs_mcs", evidence="reported", method="reported"),
        "stage_flow": with_bounds(
            moved,
            ("year", "exporter", "importer", "material", "stage"),
            source="baci", evidence="reported", hs_codes="811010",
        ),
        "secondary_supply": with_bounds([("antimony", "metal", "JPN", 2024, 1.0)], place).head(0),
    }  # fmt: skip
    tables["material"], tables["stage"] = reference("materials.csv"), reference("stages.csv")
    folder = tmp_path / "canonical"
    folder.mkdir()
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")
    return tmp_path


def run(home: Path, *arguments: str) -> SimpleNamespace:
    """The command line in this process, its output and exit code."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("ORETRACE_HOME", str(home))
        patch.setattr(sys, "argv", ["oretrace", "scenario", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
    return SimpleNamespace(returncode=left.value.code, stdout=out.getvalue(), stderr=err.getvalue())


def chain(home: Path, *arguments: str) -> dict[str, dict[str, object]]:
    done = run(home, *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return {row["stage"]: row for row in json.loads(done.stdout)}


BAN = ("--by", "CHN", "--material", "antimony", "--to", "USA")


def test_a_ban_is_printed_stage_by_stage_as_an_interval(home: Path) -> None:
    found = chain(home, *BAN)
    assert list(found) == ["mine", "metal"]
    assert found["metal"]["loss_high"] == pytest.approx(0.25 + 0.75 * 0.5)
    # Ore outside China: 40 and 10 from China, of which the ban takes a fifth; metal: 5 of 25.
    assert found["metal"]["loss_low"] == pytest.approx(0.2)
    assert found["mine"]["binds"] == "no recorded supply"


def test_a_ban_on_ore_reaches_metal_made_elsewhere(home: Path) -> None:
    metal = chain(home, *BAN, "--stage", "mine")["metal"]
    assert metal["face_value_share"] == pytest.approx(0.25)
    assert metal["loss_low"] == pytest.approx(0.2 * 20 / 25)


def test_half_a_ban_takes_half(home: Path) -> None:
    assert chain(home, *BAN, "--share", "0.5")["metal"]["loss_high"] == pytest.approx(0.3125)


def test_the_users_stock_gives_days(home: Path) -> None:
    (home / "user").mkdir()
    text = "holder,material,form,quantity,unit,as_of,source\nUSA,antimony,metal,5,t,2024-12-31,own count\n"
    (home / "user" / "stock.csv").write_text(text)
    metal = chain(home, *BAN)["metal"]
    assert metal["days_until_bite"] == pytest.approx(5 / (20 / 365 * 0.625))


def test_the_table_says_what_it_rests_on_and_nothing_is_written(home: Path) -> None:
    before = sorted(home.rglob("*"))
    done = run(home, *BAN)
    assert done.returncode == 0, done.stderr
    for text in ("CHN bans 100 % of its exports of antimony", "from_CHN_pct", "62.5", "baci", "no release published"):
        assert text in done.stdout
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--by", "CHN", "--material", "antimny", "--to", "USA"), "Nearest: antimony"),
        ((*BAN, "--stage", "alloy"), "unknown stage"),
        ((*BAN, "--year", "1990"), "Years with the trade of all countries: 2024"),
        ((*BAN, "--share", "1.5"), "--share"),
        (("--by", "CHN", "--material", "antimony", "--to", "NZL"), "NZL has no recorded supply"),
        (("--by", "NZL", "--material", "antimony", "--to", "USA"), "NZL neither makes nor trades"),
        (("--material", "antimony", "--to", "USA"), "either --by"),
        ((*BAN, "--offtake", "AUS:metal:10"), "either --by"),
        (("--offtake", "AUS:metal:10", "--share", "0.5", "--material", "antimony", "--to", "USA"), "go with --by"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(home: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run(home, *arguments)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_an_offtake_is_handed_on(home: Path) -> None:
    done = run(home, "--offtake", "VNM:metal:2", "--material", "antimony", "--to", "USA", "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert "VNM" in done.stdout
