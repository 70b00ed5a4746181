"""Four MCS editions, the publisher's own files, through readers and transforms."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl
import pytest

from ingest.mapping import reference
from ingest.sources.usgs_mcs import SOURCE
from ingest.transforms import import_source, production
from ingest.transforms.world_totals import known_gaps, world_gaps

EDITIONS = ("2023", "2024", "2025", "2026")


@cache
def _tables(folder: Path) -> dict[str, pl.DataFrame]:
    read = [SOURCE.read_vintage(folder / edition, edition) for edition in EDITIONS]
    return {table: pl.concat([frames[table] for frames in read]) for table in SOURCE.tables}


@pytest.fixture(scope="module")
def raw(shared_data: Path) -> dict[str, pl.DataFrame]:
    """Source tables of all editions."""
    return _tables(shared_data / "usgs_mcs")


@pytest.fixture(scope="module")
def output(raw: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The canonical table ``production``."""
    return production.TRANSFORM.build(raw)[0]


@pytest.fixture(scope="module")
def shares(raw: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The canonical table ``import_source``."""
    return import_source.TRANSFORM.build(raw)[0]


def _mine_output(output: pl.DataFrame, iso3: str) -> dict[tuple[int, str], float]:
    rows = output.filter(pl.col("material") == "rare_earths", pl.col("measure") == "production", pl.col("iso3") == iso3)
    return {(year, vintage): tonnes for year, vintage, tonnes in rows.select("year", "vintage", "quantity_t").rows()}


def test_world_rare_earth_output_is_kept_as_each_edition_prints_it(output: pl.DataFrame) -> None:
    world = _mine_output(output, "WLD")
    assert world[2022, "2024"] == 300_000
    assert (world[2023, "2024"], world[2023, "2025"]) == (350_000, 376_000)
    assert (world[2024, "2025"], world[2024, "2026"]) == (390_000, 380_000)
    assert world[2025, "2026"] == 390_000
    assert _mine_output(output, "CHN")[2025, "2026"] == 270_000
    assert _mine_output(output, "USA")[2025, "2026"] == 51_000


def test_us_rare_earths_come_from_the_printed_sources(shares: pl.DataFrame) -> None:
    rows = shares.filter(pl.col("material") == "rare_earths", pl.col("first_year") == 2021, pl.col("last_year") == 2024)
    assert dict(rows.select("iso3", "token").rows()) == {"CHN": "71", "MYS": "13", "JPN": "5", "EST": "5", "OTH": "6"}
    assert rows["share"].sum() == pytest.approx(1.0)


def test_printed_shares_of_a_form_sum_to_one_within_rounding(shares: pl.DataFrame) -> None:
    forms = shares.group_by("commodity", "form").agg(low=pl.col("share_low").sum(), high=pl.col("share_high").sum())
    assert forms.height == 100
    assert forms.filter((pl.col("low") > 1.02) | (pl.col("high") < 0.98)).is_empty()


def test_every_edition_covers_every_world_table(raw: dict[str, pl.DataFrame]) -> None:
    world = raw[production.RAW].group_by("vintage").agg(pl.col("commodity").n_unique())
    # the 2026 edition names sub-commodities (palladium, alumina) as commodities of their own
    assert dict(world.rows()) == {"2023": 77, "2024": 77, "2025": 77, "2026": 90}


def test_only_known_world_totals_are_not_made_up_by_their_countries(output: pl.DataFrame) -> None:
    group = ["material", "stage", "form", "measure", "year", "vintage"]
    assert world_gaps(output).select(group).rows() == known_gaps().sort(group).select(group).rows()
    totals = output.filter(pl.col("iso3") == "WLD", pl.col("quantity_t").is_not_null())
    assert totals.height > 400


def test_editions_agree_on_a_world_total_within_a_factor_of_two(output: pl.DataFrame) -> None:
    key = ["material", "stage", "form", "measure", "year"]
    totals = output.filter(pl.col("iso3") == "WLD", pl.col("quantity_t") > 0)
    spread = totals.group_by(key).agg(factor=pl.col("quantity_t").max() / pl.col("quantity_t").min())
    assert spread.filter(pl.col("factor") >= 2).is_empty()


def test_the_publisher_and_the_reference_agree_on_what_is_critical(raw: dict[str, pl.DataFrame]) -> None:
    printed = raw[production.RAW].filter(pl.col("vintage") == "2026")
    lines = printed.join(reference("mcs_world_map.csv"), on=["commodity", "label", "measure"]).drop_nulls("material")
    flags = lines.select("material", "critical_us_2025").unique()
    ours = reference("materials.csv").select("material", ours=pl.col("critical_us_2025") == "true")
    assert flags.join(ours, on="material").filter(pl.col("ours") != pl.col("critical_us_2025")).is_empty()
    missed = printed.join(reference("mcs_world_map.csv"), on=["commodity", "label", "measure"])
    assert missed.filter("critical_us_2025", pl.col("drop_reason").is_not_null()).is_empty()


def test_the_newest_year_is_estimated_unless_the_print_says_reported(output: pl.DataFrame) -> None:
    newest = output.filter(pl.col("year") == pl.col("vintage").cast(pl.Int32) - 1)
    assert set(newest.filter(pl.col("measure") != "capacity")["evidence"]) == {"estimated"}
    said = newest.filter(pl.col("evidence") == "reported").select("material", "iso3", "vintage").rows()
    plants = [("magnesium", iso3, vintage) for iso3 in ("ISR", "TUR", "USA") for vintage in ("2025", "2026")]
    assert sorted(said) == plants


def test_source_tables_are_small(raw: dict[str, pl.DataFrame], tmp_path: Path) -> None:
    for name in (production.RAW, import_source.RAW):
        raw[name].write_parquet(tmp_path / name, compression="zstd")
        assert (tmp_path / name).stat().st_size < 200_000
