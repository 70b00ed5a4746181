"""Each publisher is asked at the times of its calendar, and a fetch starts only where something is new."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import takewhile
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from ingest.attempts import last_attempt
from ingest.calendar import calendar
from ingest.clients import clients
from ingest.fetch import fetch
from ingest.vintages import raw_vintages
from orchestration.assets import vintages
from orchestration.assets.vintages import partitions
from orchestration.schedules import schedules
from tests import replay
from tests.publishers import bgs, world_bank
from tests.scheduling import Publishers, publishers_on_loopback

GDP = "NY.GDP.MKTP.CD"


def ticks(source: str, first: datetime, last: datetime) -> list[datetime]:
    release = calendar()[source]
    found = schedule_execution_time_iterator(first.timestamp(), release.crons, release.timezone)
    return [tick.astimezone(UTC) for tick in takewhile(lambda tick: tick < last, found)]


@pytest.fixture
def publishers(tmp_path: Path) -> Iterator[Publishers]:
    with publishers_on_loopback(tmp_path) as found:
        yield found


NOON = datetime(2026, 11, 6, 14, 30, tzinfo=UTC)


def test_asked_is_half_an_hour_after_the_census_comes_out_winter_and_summer() -> None:
    hours = {
        tick.hour
        for tick in ticks("census_monthly", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    }
    assert hours == {14}
    march = ticks("census_monthly", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 20, tzinfo=UTC))
    assert [(tick.day, tick.hour) for tick in march if tick.day in (7, 8)] == [(7, 14), (8, 13)]
    assert {tick.day for tick in march} == set(range(4, 13))


def test_a_release_expected_in_january_or_february_is_asked_for_every_working_day_leap_years_too() -> None:
    window = ticks("baci", datetime(2028, 1, 1, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC))
    assert all(tick.weekday() < 5 for tick in window)
    assert len(window) == 21 + 21 and window[-1].date() == date(2028, 2, 29)
    after = ticks("baci", datetime(2028, 3, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC))
    assert [(tick.month, tick.day) for tick in after] == [(month, 1) for month in range(3, 13)]


def test_the_mineral_summaries_are_asked_for_daily_from_late_january() -> None:
    days = [
        tick.date() for tick in ticks("usgs_mcs", datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 4, 2, tzinfo=UTC))
    ]
    assert days[:12] == [date(2027, 1, day) for day in range(20, 32)]
    assert {day.weekday() for day in days if day.month == 2} <= {0, 1, 2, 3, 4}
    assert [day for day in days if day.month > 2] == [date(2027, 3, 1), date(2027, 4, 1)]


def test_every_publisher_with_a_client_has_times_a_pause_and_a_limit_of_age() -> None:
    for source in clients():
        release = calendar()[source]
        assert release.crons and release.timezone and release.look_hours and release.stale_days, source
        assert ticks(source, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)), source
    assert not [name for name, release in calendar().items() if release.crons and name not in clients()]


def test_every_partition_is_an_edition_that_the_publisher_may_have() -> None:
    today = datetime.now(UTC).date()
    for source, client in clients().items():
        release = calendar()[source]
        there = partitions(release)
        if there is None:
            assert client.editions((), (), today) == [], source
            continue
        keys = there.get_partition_keys()
        assert keys == release.editions(today) and keys[0] == release.first
        # A month may be a few days from its release; the years and all other months are out.
        for key in keys if release.partition == "year" else keys[:-1]:
            asked = ([int(key)], []) if release.partition == "year" else ([], [key])
            assert client.editions(*asked, today) == [key], source


def test_only_assets_that_go_over_the_network_are_tried_again() -> None:
    for asset in vintages.assets():
        assert asset.op.retry_policy is not None


def test_schedules_run_by_themselves_in_live_mode_only(publishers: Publishers, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {item.default_status for item in schedules()} == {dg.DefaultScheduleStatus.STOPPED}
    monkeypatch.setenv("ORETRACE_MODE", "live")
    assert {item.default_status for item in schedules()} == {dg.DefaultScheduleStatus.RUNNING}


def test_a_tick_requests_the_new_month_and_downloads_nothing(publishers: Publishers) -> None:
    fetch(publishers.home, "census_monthly", months=["2026-07", "2026-08"], today=NOON.date())
    publishers.release("2026-09")
    before = len(publishers.server.asked)
    (wanted,), _ = publishers.tick("census_monthly", NOON)
    assert (wanted.job_name, wanted.partition_key) == ("fetch_census_monthly", "2026-09")
    assert wanted.run_key is not None and wanted.run_key.startswith("census_monthly:2026-09:")
    # Two lists of headings for the new month and two for the one before, which may be revised.
    asked = publishers.server.asked[before:]
    assert len(asked) == 4 and all(item.query["COMM_LVL"] == "HS4" for item in asked)
    assert not (publishers.home.raw / "census_monthly" / ".partial-2026-09").exists()


def test_a_month_that_is_late_is_no_failure(publishers: Publishers) -> None:
    fetch(publishers.home, "census_monthly", months=["2026-07", "2026-08"], today=NOON.date())
    requests, why = publishers.tick("census_monthly", NOON)
    assert requests == [] and "not released" in why
    (item, *_) = reversed(fetch(publishers.home, "census_monthly", today=NOON.date()))
    assert (item.edition, item.outcome) == ("2026-09", "not out")


def test_a_revision_of_the_month_before_is_noticed(publishers: Publishers) -> None:
    publishers.release("2026-09")
    fetch(publishers.home, "census_monthly", months=["2026-08", "2026-09"], today=NOON.date())
    assert publishers.tick("census_monthly", NOON)[0] == []
    publishers.release("2026-08", scale=2)
    (wanted,), _ = publishers.tick("census_monthly", NOON)
    assert wanted.partition_key == "2026-08" and wanted.tags["oretrace/why"] == "differs from 2026-08"


def test_a_publisher_that_is_down_makes_a_tick_skip_and_not_fail(publishers: Publishers) -> None:
    publishers.server.misbehave(replay.status(503))
    requests, why = publishers.tick("census_monthly", NOON)
    assert requests == [] and "could not be asked" in why and "503" in why


def test_a_publisher_that_dates_no_revision_is_fetched_at_each_of_its_ticks(publishers: Publishers) -> None:
    bgs.serve(publishers.server, bgs.made_up(2))
    (wanted,), _ = publishers.tick("bgs", NOON)
    assert wanted.partition_key is None and publishers.materialise("bgs", None).success
    (again,), _ = publishers.tick("bgs", NOON)
    assert again.tags["oretrace/why"].startswith("kept; the publisher does not tell")


def test_a_partition_is_kept_with_what_is_known_of_it(publishers: Publishers) -> None:
    result = publishers.materialise("census_monthly", "2026-08")
    assert result.success
    (made,) = result.asset_materializations_for_node("vintage__census_monthly")
    said = {name: value.value for name, value in made.metadata.items()}
    (kept,) = raw_vintages(publishers.home.raw)
    assert made.partition == "2026-08"
    assert (said["edition"], said["outcome"], said["vintage"]) == ("2026-08", "kept", str(kept.folder))
    assert said["fingerprint"] == kept.sidecar["content"] == made.tags["dagster/data_version"]
    assert said["bytes"] == kept.size > 0 and "headings answered" in said["checks"] and said["licence"]


def test_a_server_that_recovers_is_asked_again(publishers: Publishers) -> None:
    # Two answers of each try (ORETRACE_HTTP_RETRIES=1), two tries.
    publishers.server.misbehave(replay.status(503), times=4)
    result = publishers.materialise("census_monthly", "2026-08")
    assert result.success
    assert [event.event_type_value for event in result.all_events].count("STEP_RESTARTED") == 2


def test_a_server_that_stays_down_is_asked_four_times(publishers: Publishers) -> None:
    publishers.server.misbehave(replay.status(503))
    result = publishers.materialise("census_monthly", "2026-08")
    assert not result.success and len(publishers.server.asked) == 4 * 2
    attempt = last_attempt(publishers.home.raw, "census_monthly")
    assert attempt is not None and (attempt.outcome, attempt.lasting) == ("failed", False)


@pytest.mark.parametrize("fault", ["refused key", "changed schema", "incomplete pull", "not out"])
def test_what_another_try_does_not_mend_is_not_tried_again(publishers: Publishers, fault: str) -> None:
    month, said, requests = "2026-08", "", 1
    if fault == "refused key":
        publishers.census.key, said, requests = "another", "ORETRACE_CENSUS_KEY", 2  # and the page it leads to
    elif fault == "changed schema":
        publishers.server.misbehave(replay.other(lambda *_: replay.Reply(b'[["NAME"], ["x"]]')))
        said = "COMM_LVL"
    elif fault == "incomplete pull":
        publishers.server.misbehave(replay.status(204), path="/imports", after=1, times=1)
        said, requests = "no data", 0
    else:
        month, said = "2026-09", "not released"
    result = publishers.materialise("census_monthly", month)
    assert not result.success
    failed = result.failure_data_for_node("vintage__census_monthly")
    assert failed is not None and failed.user_failure_data is not None
    assert said in str(failed.user_failure_data.description)
    assert [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"] == []
    assert not requests or len(publishers.server.asked) == requests
    assert raw_vintages(publishers.home.raw) == []


def test_a_source_with_one_edition_only_has_no_partitions(publishers: Publishers) -> None:
    world_bank.serve(publishers.server, {GDP: [(code, year, 1e12) for code in ("CHN", "USA") for year in (2023, 2024)]})
    (wanted,), _ = publishers.tick("worldbank", NOON)
    assert wanted.partition_key is None
    assert publishers.materialise("worldbank", None).success
    assert publishers.tick("worldbank", NOON)[0] == []
