"""US salient statistics of MCS 2023 to 2026, from the publisher's own files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from ingest.sources.usgs_mcs_salient import SALIENT_TABLES, TABLE, read_salient
from ingest.transforms import nir_identity, us_salient

EDITIONS = ("2023", "2024", "2025", "2026")


@pytest.fixture(scope="module")
def printed(shared_data: Path) -> pl.DataFrame:
    frames = [
        read_salient(shared_data / "usgs_mcs" / edition, edition)[TABLE].with_columns(
            source=pl.lit("usgs_mcs"), vintage=pl.lit(edition)
        )
        for edition in EDITIONS
    ]
    return pl.concat(frames).select(list(SALIENT_TABLES[TABLE]))


@pytest.fixture(scope="module")
def built(printed: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return us_salient.build({TABLE: printed})


@pytest.fixture(scope="module")
def identity(built: tuple[pl.DataFrame, pl.DataFrame]) -> pl.DataFrame:
    return nir_identity.build({"us_salient": built[0]})[0]


def line(table: pl.DataFrame, statistic: str, detail: str, vintage: str) -> pl.DataFrame:
    return table.filter(
        pl.col("commodity") == "rare_earths",
        pl.col("statistic") == statistic,
        pl.col("detail") == detail,
        pl.col("vintage") == vintage,
    ).sort("year")


def by_commodity(identity: pl.DataFrame, vintage: str) -> pl.DataFrame:
    """Non-trivial commodities of an edition and whether every year of every series holds."""
    rows = identity.filter(pl.col("vintage") == vintage, ~pl.col("trivial"))
    return rows.group_by("commodity").agg(holds=pl.col("within").fill_null(value=False).all())


def test_all_chapters_of_each_edition_are_read(printed: pl.DataFrame) -> None:
    chapters = printed.group_by("vintage").agg(pl.col("commodity").n_unique()).sort("vintage").rows()
    assert chapters == [("2023", 83), ("2024", 82), ("2025", 85), ("2026", 122)]
    years = printed.group_by("vintage").agg(pl.col("year").min().alias("from"), pl.col("year").max().alias("to"))
    assert years.sort("vintage").rows() == [(edition, int(edition) - 5, int(edition) - 1) for edition in EDITIONS]


def test_the_three_misfiled_tables_of_2024_are_counted(built: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    misfiled = built[1].filter(pl.col("reason").str.contains("world production"))
    assert misfiled.select("vintage", "rows").rows() == [("2024", 14), ("2024", 22), ("2024", 7)]


def test_every_printed_figure_is_kept_or_counted(
    printed: pl.DataFrame, built: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    table, dropped = built
    counted = dropped.filter(~pl.col("reason").str.contains("world production"))["rows"].sum()
    assert table.height + counted == printed.height


def test_rare_earth_reliance_in_2026_is_printed_with_its_bounds(built: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    rows = line(built[0], "net_import_reliance", "compounds_and_metals", "2026")
    assert rows.select("year", "token", "value_low", "value_high").rows() == [
        (2021, ">95", 95.0, 100.0),
        (2022, ">95", 95.0, 100.0),
        (2023, ">90", 90.0, 100.0),
        (2024, "53", 53.0, 53.0),
        (2025, "67", 67.0, 67.0),
    ]
    assert rows["value"].to_list() == [None, None, None, 53.0, 67.0]


def test_the_2025_edition_printed_80_for_2024(built: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    rows = line(built[0], "net_import_reliance", "compounds_and_metals", "2025").filter(pl.col("year") == 2024)
    assert rows.select("token", "value", "evidence").rows() == [("80", 80.0, "estimated")]


def test_rare_earth_output_of_2022_moved_from_250_to_95_t(built: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    printed = [
        line(built[0], "production", "compounds_and_metals", edition).filter(pl.col("year") == 2022)["value"].item()
        for edition in EDITIONS
    ]
    assert printed == [250.0, 95.0, 95.0, 95.0]


def test_figures_of_neighbouring_editions_stand_under_the_same_name(built: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    """A swapped column would move a whole line by a factor; revisions rarely do."""
    positive = built[0].filter(pl.col("value") > 0, pl.col("statistic") != "price")
    key = ["commodity", "statistic", "detail", "unit", "year"]
    moved: set[tuple[str, str, str]] = set()
    for older, newer in pairwise(EDITIONS):
        pair = positive.filter(pl.col("vintage") == older).join(
            positive.filter(pl.col("vintage") == newer), on=key, suffix="_new"
        )
        ratio = pl.col("value_new") / pl.col("value")
        lines = pair.filter(~ratio.is_between(0.55, 1.8)).group_by(key[:3]).agg(n=pl.len())
        moved |= set(lines.filter(pl.col("n") >= 2).select(key[:3]).rows())
    assert moved == {
        ("niobium", "consumption", "reported"),
        ("molybdenum", "apparent_consumption", "all"),
        ("rare_earths", "production", "compounds_and_metals"),
        ("rhenium", "exports", "all"),
        ("sulfur", "net_import_reliance", "all"),
    }


def test_the_identity_holds_in_all_years_for_30_of_37_non_trivial_commodities_of_2025(identity: pl.DataFrame) -> None:
    commodities = by_commodity(identity, "2025")
    assert commodities.height == 37
    assert commodities["holds"].sum() >= 30
    assert set(commodities.filter(~pl.col("holds"))["commodity"]) == {
        "cement", "garnet_industrial", "iron_and_steel_slag", "phosphate_rock",
        "platinum_group_metals", "stone_crushed", "vermiculite",
    }  # fmt: skip


def test_the_identity_holds_for_30_of_38_non_trivial_commodities_of_2026(identity: pl.DataFrame) -> None:
    commodities = by_commodity(identity, "2026")
    assert (commodities.height, commodities["holds"].sum()) == (38, 30)


def test_rare_earth_reliance_follows_from_output_and_consumption(identity: pl.DataFrame) -> None:
    rows = identity.filter(pl.col("commodity") == "rare_earths", pl.col("vintage") == "2026").sort("year")
    assert rows["within"].to_list() == [True] * 5
    assert rows["recomputed_pct"].round(1).to_list()[-2:] == [52.3, 67.0]


def test_a_reason_is_given_exactly_where_the_identity_fails_or_cannot_be_tested(identity: pl.DataFrame) -> None:
    series = ["vintage", "commodity", "detail"]
    holds = identity.group_by(series).agg(holds=pl.col("within").fill_null(value=False).all())
    table = nir_identity.identities().join(holds, on=series, how="left")
    assert table.filter(pl.col("reason").is_null() != pl.col("holds").fill_null(value=False)).is_empty()
