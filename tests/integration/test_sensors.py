"""A new vintage upstream is noticed without downloading it and requested once; new inputs start the whole job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from ingest.calendar import calendar
from ingest.fetch import fetch
from ingest.home import Home
from orchestration import sensors, standing
from tests import replay
from tests.publishers import world_bank
from tests.scheduling import Publishers, publishers_on_loopback

SERIES = {"NY.GDP.MKTP.CD": [(code, year, 1e12 + year) for code in ("CHN", "USA") for year in (2023, 2024)]}
PAUSE = timedelta(hours=calendar()["worldbank"].look_hours or 0)


@pytest.fixture
def publishers(tmp_path: Path) -> Iterator[Publishers]:
    with publishers_on_loopback(tmp_path) as found:
        world_bank.serve(found.server, SERIES)
        yield found


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def earlier(cursor: str | None, by: timedelta) -> str:
    """A cursor as it would be if the last look had been earlier."""
    memory = json.loads(cursor or "{}")
    memory["looked"] = (datetime.fromisoformat(memory["looked"]) - by).isoformat()
    return json.dumps(memory)


def test_a_new_edition_is_requested_once_and_looking_downloads_nothing(
    publishers: Publishers, instance: dg.DagsterInstance
) -> None:
    first = publishers.sense("worldbank", None, instance)
    (wanted,) = first.run_requests or []
    assert wanted.job_name == "fetch_worldbank" and wanted.run_key
    assert wanted.run_key.startswith("worldbank:2025-07-01:")
    assert [asked.query["per_page"] for asked in publishers.server.asked] == ["1"]
    assert not list((publishers.home.raw).glob("worldbank/*/vintage.json"))
    # At once: too early to look again. After the pause: looked at, but requested already.
    second = publishers.sense("worldbank", first.cursor, instance)
    assert not second.run_requests and len(publishers.server.asked) == 1
    assert second.skip_message and "next look from" in second.skip_message
    third = publishers.sense("worldbank", earlier(first.cursor, PAUSE), instance)
    assert not third.run_requests and len(publishers.server.asked) == 2
    assert third.skip_message and "requested before" in third.skip_message


def test_what_is_kept_is_no_news_and_a_revision_is(publishers: Publishers, instance: dg.DagsterInstance) -> None:
    fetch(publishers.home, "worldbank")
    before = publishers.sense("worldbank", None, instance)
    assert not before.run_requests and before.skip_message == "2025-07-01: nothing new"
    world_bank.serve(publishers.server, SERIES, updated="2025-10-01")
    after = publishers.sense("worldbank", earlier(before.cursor, PAUSE), instance)
    assert [item.tags["oretrace/edition"] for item in after.run_requests or []] == ["2025-10-01"]


def test_every_month_that_came_out_while_the_machine_was_off_is_requested(
    publishers: Publishers, instance: dg.DagsterInstance
) -> None:
    today = datetime.now(UTC).date()
    editions = calendar()["census_monthly"].editions(today)[-5:]
    publishers.release(*editions)
    fetch(publishers.home, "census_monthly", months=[editions[0]])
    found = publishers.sense("census_monthly", None, instance)
    due = editions[1:] if today.day >= (calendar()["census_monthly"].day or 0) else editions[1:-1]
    assert [item.partition_key for item in found.run_requests or []] == due


def test_a_publisher_that_is_down_is_asked_less_and_less_and_the_sensor_never_fails(
    publishers: Publishers, instance: dg.DagsterInstance
) -> None:
    publishers.server.misbehave(replay.status(503))
    cursor, waits = None, []
    for _ in range(4):
        result = publishers.sense("census_monthly", cursor, instance)
        assert not result.run_requests and "503" in str(result.skip_message)
        memory = sensors.Memory.read(result.cursor)
        allowed = memory.next_look(timedelta(hours=12))
        assert allowed is not None and memory.looked is not None
        waits.append(allowed - datetime.fromisoformat(memory.looked))
        cursor = earlier(result.cursor, timedelta(days=30))
    assert waits == [timedelta(days=1), timedelta(days=2), timedelta(days=4), timedelta(days=4)]
    early = publishers.sense("census_monthly", result.cursor, instance)
    assert "4 looks failed" in str(early.skip_message)
    publishers.server.behave()
    publishers.release(*calendar()["census_monthly"].editions(datetime.now(UTC).date())[-2:])
    assert publishers.sense("census_monthly", cursor, instance).run_requests


def test_a_fetch_that_failed_for_a_passing_reason_is_requested_again_the_next_day_only(
    publishers: Publishers, instance: dg.DagsterInstance
) -> None:
    first = publishers.sense("worldbank", None, instance)
    publishers.server.misbehave(replay.status(503))
    assert not publishers.materialise("worldbank", None).success
    publishers.server.behave()
    again = publishers.sense("worldbank", earlier(first.cursor, PAUSE), instance)
    (wanted,) = again.run_requests or []
    assert wanted.run_key and wanted.run_key.endswith(f"{datetime.now(UTC):%Y-%m-%d}")
    assert not publishers.sense("worldbank", earlier(again.cursor, PAUSE), instance).run_requests


def test_a_fetch_that_another_try_does_not_mend_is_not_requested_again(
    publishers: Publishers, instance: dg.DagsterInstance
) -> None:
    first = publishers.sense("worldbank", None, instance)
    publishers.server.misbehave(replay.status(403))
    assert not publishers.materialise("worldbank", None).success
    publishers.server.behave()
    assert not publishers.sense("worldbank", earlier(first.cursor, PAUSE), instance).run_requests


def test_a_clock_set_back_does_not_keep_a_sensor_asleep(publishers: Publishers, instance: dg.DagsterInstance) -> None:
    first = publishers.sense("worldbank", None, instance)
    publishers.sense("worldbank", earlier(first.cursor, timedelta(days=-400)), instance)
    assert len(publishers.server.asked) == 2


def test_sensors_run_by_themselves_in_live_mode_only(publishers: Publishers, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {item.default_status for item in sensors.sensors()} == {dg.DefaultSensorStatus.STOPPED}
    monkeypatch.setenv("ORETRACE_MODE", "live")
    assert {item.default_status for item in sensors.sensors()} == {dg.DefaultSensorStatus.RUNNING}


def released(home: Home, run_id: str = "one") -> None:
    """Note a run that published what its inputs are now."""
    noted = standing.begin(home, run_id, "live", {"draws": None})
    standing.published_with(home, "v1", run_id, {name: noted[name] for name in ("fingerprint", "parts")})


def whole(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    return sensors.new_inputs(dg.build_sensor_context(instance=instance, cursor=cursor))


def test_a_new_vintage_starts_the_whole_job_once(
    publishers: Publishers, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORETRACE_MODE", "live")
    released(publishers.home)
    assert not whole(instance).run_requests
    fetch(publishers.home, "worldbank")
    found = whole(instance)
    (wanted,) = found.run_requests or []
    assert wanted.tags["oretrace/why"] == "worldbank 2025-07-01 is new"
    assert wanted.run_config["resources"]["publishers"]["config"] == {"mode": "live", "offline": True}
    # The same inputs are tried once a day, whatever became of the run; when it published them there is nothing new.
    assert not whole(instance, found.cursor).run_requests
    yesterday = str(found.cursor).rpartition(":")[0] + ":2026-01-01"
    assert whole(instance, yesterday).run_requests
    released(publishers.home, "two")
    assert whole(instance, yesterday).skip_reason == dg.SkipReason("nothing new")


def test_while_a_fetch_or_a_run_is_at_work_the_whole_job_waits(
    publishers: Publishers, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORETRACE_MODE", "live")
    for job in ("fetch_census_monthly", "refresh"):
        run = instance.create_run_for_job(_job(job), status=dg.DagsterRunStatus.STARTED)
        assert "at work" in str(whole(instance).skip_reason)
        instance.report_run_failed(run)
        assert whole(instance).run_requests


def _job(name: str) -> dg.JobDefinition:
    @dg.op
    def nothing() -> None: ...

    @dg.job(name=name)
    def job() -> None:
        nothing()

    return job
