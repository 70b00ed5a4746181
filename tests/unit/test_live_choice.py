"""Live mode reads the newest complete vintages, and embedded figures where there are none."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ingest.calendar import Release, calendar
from ingest.fetch import months_between
from ingest.home import Home
from ingest.live import choose, embedded_editions, read_tables, scan_tables
from ingest.sources import sources
from ingest.tables import write_scanned
from ingest.vintages import add_vintage, keep
from tests.baci_release import row, write_release


def kept(home: Home, source: str, edition: str, text: str = "x") -> None:
    folder = home.raw / source / f".partial-{edition}"
    folder.mkdir(parents=True)
    (folder / "file.csv").write_text(text)
    assert keep(home.raw, source, edition, folder, {})


def chosen(home: Home, source: str, mode: str = "live") -> list[tuple[str, str, str | None]]:
    return [
        (item.edition, item.origin, item.vintage.vintage if item.vintage else None)
        for item in choose(home, mode)[source]
    ]


def test_snapshot_mode_never_looks_at_raw_vintages(tmp_path: Path) -> None:
    home = Home(tmp_path)
    kept(home, "usgs_mcs", "2027")
    assert all(origin == "snapshot" for _, origin, _ in chosen(home, "usgs_mcs", "snapshot"))
    assert "2027" not in {edition for edition, *_ in chosen(home, "usgs_mcs", "snapshot")}


def test_a_live_edition_takes_the_place_of_the_embedded_one_and_the_others_stay(tmp_path: Path) -> None:
    home = Home(tmp_path)
    kept(home, "usgs_mcs", "2026")
    kept(home, "usgs_mcs", "2026", "revised")
    kept(home, "usgs_mcs", "2027")
    found = chosen(home, "usgs_mcs")
    assert ("2026", "live", "2026-r2") in found and ("2027", "live", "2027") in found
    assert ("2025", "snapshot", None) in found
    assert len(found) == len({edition for edition, *_ in found})


def test_where_only_the_newest_edition_counts_one_is_read(tmp_path: Path) -> None:
    home = Home(tmp_path)
    kept(home, "worldbank", "2027-07-01")
    kept(home, "worldbank", "2025-07-01")
    assert chosen(home, "worldbank") == [("2027-07-01", "live", "2027-07-01")]


def test_a_release_leaves_the_embedded_years_before_its_first_one(tmp_path: Path) -> None:
    home = Home(tmp_path)
    release = tmp_path / "release"
    write_release(release, {year: [row(year, 156, 842)] for year in range(2017, 2026)}, hs="HS17", version="V202701")
    add_vintage(home.raw, "baci", "V202701", release)
    assert chosen(home, "baci") == [("V202601", "snapshot", None), ("V202701", "live", "V202701")]
    flows = read_tables(home, sources()["baci"], choose(home, "live")["baci"])["raw_baci__flows"]
    embedded = flows.filter(vintage="V202601")["year"]
    assert embedded.max() == 2016 and embedded.min() == 2002
    assert flows.filter(vintage="V202701")["year"].unique().sort().to_list() == list(range(2017, 2026))
    scanned = scan_tables(home, sources()["baci"], choose(home, "live")["baci"])["raw_baci__flows"]
    assert set(scanned.ready) == set(range(2017, 2026)), "years of the release are files of their own"
    write_scanned(scanned.rows, tmp_path / "made" / "raw_baci__flows.parquet", scanned.ready)
    made = pl.read_parquet(tmp_path / "made" / "raw_baci__flows.parquet")
    assert made.sort(made.columns).equals(flows.sort(flows.columns))


def test_an_older_live_edition_does_not_displace_a_newer_embedded_one(tmp_path: Path) -> None:
    home = Home(tmp_path)
    kept(home, "baci", "V202501")
    assert chosen(home, "baci") == [("V202601", "snapshot", None)]


def test_a_source_that_may_not_be_embedded_has_nothing_until_it_is_fetched(tmp_path: Path) -> None:
    assert embedded_editions(sources()["comtrade"]) == []
    assert chosen(Home(tmp_path), "comtrade") == []


def test_every_source_has_a_release_calendar() -> None:
    assert set(sources()) <= set(calendar())


@pytest.mark.parametrize(
    ("release", "today", "last", "following"),
    [
        (Release("x", "yearly", 2, 1, ""), date(2026, 11, 22), date(2026, 2, 1), date(2027, 2, 1)),
        (Release("x", "yearly", 2, 1, ""), date(2026, 1, 31), date(2025, 2, 1), date(2026, 2, 1)),
        (Release("x", "yearly", 2, 1, ""), date(2028, 2, 1), date(2028, 2, 1), date(2029, 2, 1)),
        (Release("x", "monthly", None, 8, ""), date(2026, 3, 7), date(2026, 2, 8), date(2026, 3, 8)),
        (Release("x", "monthly", None, 8, ""), date(2026, 12, 8), date(2026, 12, 8), date(2027, 1, 8)),
        (Release("x", "weekly", None, None, ""), date(2026, 11, 22), date(2026, 11, 16), date(2026, 11, 23)),
    ],
)
def test_the_last_and_the_next_release_day(release: Release, today: date, last: date, following: date) -> None:
    assert (release.last_before(today), release.next_after(today)) == (last, following)


def test_an_irregular_publisher_is_never_due() -> None:
    assert Release("x", "irregular", None, None, "").next_after(date(2026, 1, 1)) is None


def test_months_since_the_last_kept_one_are_not_skipped() -> None:
    assert months_between("2025-11", "2026-02", ["2025-11", "2025-12"]) == ["2026-01", "2026-02"]
    assert months_between("2025-11", "2026-02", ["2025-11", "2026-01"]) == ["2025-12", "2026-02"]
    assert months_between("2026-02", "2026-02", ["2026-02"]) == ["2026-02"]
