"""A backfill goes through a range of editions, past those that fail, and goes on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ingest.errors import BadInput, OretraceError
from ingest.vintages import raw_vintages
from orchestration.cli_backfill import backfill
from tests.publishers import census
from tests.scheduling import Publishers, publishers_on_loopback

RANGE = ("2025-11", "2025-12", "2026-01", "2026-02")


@pytest.fixture
def publishers(tmp_path: Path) -> Iterator[Publishers]:
    with publishers_on_loopback(tmp_path) as found:
        found.release(*RANGE)
        yield found


def run(source: str, first: str, last: str, *more: str) -> Result:
    return CliRunner().invoke(backfill, [source, "--from", first, "--to", last, *more])


def months(publishers: Publishers) -> list[str]:
    return [item.vintage for item in raw_vintages(publishers.home.raw)]


def test_a_range_of_months_is_kept_in_order_and_a_failing_one_stops_no_other(publishers: Publishers) -> None:
    del publishers.census.held[("exports", "2025-12")]
    done = run("census_monthly", "2025-11", "2026-02")
    assert isinstance(done.exception, OretraceError) and not isinstance(done.exception, BadInput)
    assert "1 of 4 editions failed: 2025-12 (3 kept)" in str(done.exception)
    lines = [line.split(" (")[0] for line in done.stdout.splitlines()]
    assert lines == [f"census_monthly {month}: {'FAILED' if month == '2025-12' else 'kept'}" for month in RANGE]
    assert months(publishers) == ["2025-11", "2026-01", "2026-02"]


def test_a_scheduler_reads_each_edition_as_json_also_of_one_that_failed(publishers: Publishers) -> None:
    del publishers.census.held[("exports", "2025-12")]
    done = run("census_monthly", "2025-11", "2026-01", "--json")
    assert done.exit_code == 1
    first, second, third = json.loads(done.stdout)
    assert [(item["edition"], item["outcome"]) for item in (first, second, third)] == [
        ("2025-11", "kept"), ("2025-12", "FAILED"), ("2026-01", "kept"),
    ]  # fmt: skip
    assert first["folder"] == str(publishers.home.raw / "census_monthly" / "2025-11")
    assert second["folder"] is None and second["note"]


def test_the_same_command_fetches_only_what_is_missing_or_revised(publishers: Publishers) -> None:
    assert run("census_monthly", "2025-11", "2026-01").exit_code == 0
    publishers.release("2025-12", scale=2)
    before = len(publishers.server.asked)
    done = run("census_monthly", "2025-11", "2026-02")
    assert done.exit_code == 0 and done.stdout.splitlines()[-1].endswith("2 kept, 2 unchanged")
    assert months(publishers) == ["2025-11", "2025-12", "2025-12-r2", "2026-01", "2026-02"]
    downloads = [asked for asked in publishers.server.asked[before:] if asked.query["COMM_LVL"] == "HS10"]
    assert {asked.query["time"] for asked in downloads} == {"2025-12", "2026-02"}


def test_a_refused_key_ends_it_because_it_would_be_refused_each_time(publishers: Publishers) -> None:
    publishers.census.key = "another"
    done = run("census_monthly", "2025-11", "2026-02")
    assert "3 not asked for, from 2025-12 on" in str(done.exception) and done.exit_code == 1
    assert {asked.query["time"] for asked in publishers.server.asked if "time" in asked.query} == {"2025-11"}


def test_years_are_a_range_too(publishers: Publishers) -> None:
    for year in ("2023", "2024"):
        publishers.census.held[("imports", f"{year}-12")] = census.trade("imports")
    done = run("census", "2023", "2024")
    assert done.exit_code == 0, done.exception
    assert [(item.source, item.edition) for item in raw_vintages(publishers.home.raw)] == [
        ("census", "2023"), ("census", "2024"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("census_monthly", "2025-12", "2025-11"), "--from 2025-12 is after --to 2025-11"),
        (("census_monthly", "2025", "2026-01"), "--from 2025: expected YYYY-MM from 2010-01"),
        (("census_monthly", "2025-01", "2099-01"), "--to 2099-01: expected YYYY-MM"),
        (("comtrade", "2025-01", "2025-02"), "expected YYYY from 2012"),
        (("wgi", "2020", "2021"), "no editions to fetch one by one; these have: usgs_mcs, census, census_monthly"),
        (("iea", "2020", "2021"), "no editions to fetch one by one"),
        (("nothing", "2020", "2021"), "unknown source"),
    ],
)
def test_a_range_that_cannot_be_is_refused_before_anything_is_asked(
    publishers: Publishers, arguments: tuple[str, str, str], said: str
) -> None:
    done = run(*arguments)
    assert isinstance(done.exception, BadInput) and said in str(done.exception)
    assert publishers.server.asked == []
