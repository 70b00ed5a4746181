"""Runs hold their locks; one that dies is found and told of; what failed is told in plain words."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from ingest.home import Home
from orchestration.alerting.incident import incident_of
from orchestration.alerting.outbox import Outbox
from orchestration.alerting.watch import look_round
from orchestration.locks import BuildBusy, hold_build, hold_run, is_alive, left_behind, runs_folder
from tests.conftest import PROJECT
from tests.integration.small_jobs import execute, resolve

pytestmark = pytest.mark.xdist_group("small-jobs")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("ORETRACE_HOME", str(tmp_path))
    monkeypatch.setenv("ORETRACE_BUILD_WAIT", "0")
    home = Home(tmp_path).create()
    (home.dagster / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    return home


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        yield instance


def started(home: Home, job: str, run_id: str) -> subprocess.Popen[bytes]:
    """Start a run in another process and wait until its step works."""
    working = home.root / "working"
    command = [sys.executable, "-m", "tests.integration.small_jobs", str(home.root), job, run_id]
    process = subprocess.Popen(command, cwd=PROJECT)
    until = time.monotonic() + 60
    while not working.exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.1)
    return process


def told(home: Home) -> list[tuple[str, str]]:
    return [(message.alert.kind, message.alert.run_id) for message in reversed(Outbox(home).messages())]


def test_a_killed_run_is_found_marked_failed_and_told_of_once(home: Home, instance: dg.DagsterInstance) -> None:
    run_id = str(uuid4())
    look_round(home, instance)
    with started(home, "job_hangs", run_id) as process:
        assert is_alive(home, run_id) is True
        assert look_round(home, instance) == []
        assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.STARTED  # type: ignore[union-attr]
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert left_behind(home) == [run_id]
    assert look_round(home, instance)[0] == f"run {run_id} is dead"
    assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
    assert look_round(home, instance) == []
    assert told(home) == [("run_died", run_id)]
    assert list(runs_folder(home).glob("*.lock")) == []


def test_a_run_killed_between_its_record_and_its_start_is_told_of_and_one_that_waits_in_the_record_is_not(
    home: Home, instance: dg.DagsterInstance
) -> None:
    look_round(home, instance)
    killed, waits = (instance.create_run_for_job(resolve("job_works"), run_id=str(uuid4())).run_id for _ in range(2))
    hold_run(home, killed).close()
    assert look_round(home, instance)[0] == f"run {killed} is dead"
    assert look_round(home, instance) == []
    assert told(home) == [("run_died", killed)]
    assert instance.get_run_by_id(waits).status == dg.DagsterRunStatus.NOT_STARTED  # type: ignore[union-attr]
    assert list(runs_folder(home).glob("*.lock")) == []


def test_a_run_waits_for_the_build_folder_and_then_says_who_has_it(
    home: Home, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (str(uuid4()) for _ in range(3))
    look_round(home, instance)
    with started(home, "job_hangs", first) as process:
        with pytest.raises(BuildBusy, match=f"run {first}, process {process.pid}"), hold_build(home):
            pass
        monkeypatch.setenv("ORETRACE_BUILD_WAIT", "1")
        execute(home, "job_works", second)
        incident = incident_of(instance, second)
        assert incident is not None and (incident.ok, incident.kind) == (False, "run_blocked")
        assert first in incident.reasons[0] and "waited for 1 s" in incident.reasons[0]
        # What only fetches does not need the build folder.
        execute(home, "job_vintage__changes_shape", third)
        process.kill()
        process.wait()
    assert incident_of(instance, third).kind == "source_changed"  # type: ignore[union-attr]
    execute(home, "job_works", str(uuid4()))
    look_round(home, instance)
    assert sorted(kind for kind, _ in told(home)) == ["run_blocked", "run_died", "source_changed"]


@pytest.mark.parametrize(
    ("job", "kind", "where", "reason", "code"),
    [
        (
            "vintage__changes_shape",
            "source_changed",
            "vintage__changes_shape",
            "BACI_HS22.csv: the column k is not there.",
            1,
        ),
        ("asks_with_a_bad_key", "key_refused", "asks_with_a_bad_key", "census: the key was refused; set", 1),
        ("publishes_what_was_not_audited", "publication_refused", "publishes_what", "refused: candidate.duckdb", 1),
        ("reads_a_bad_file", "bad_input", "reads_a_bad_file", "user/stock.csv line 3: no such material", 2),
        ("meets_a_full_disk", "disk_full", "meets_a_full_disk", "No space left on device", 1),
        ("gate", "gate_failed", "gate", "mart_claims.range failed (critical): shares above 1 (12 of 30 rows).", 1),
    ],
)
def test_what_failed_is_told_in_the_products_own_words(
    home: Home, instance: dg.DagsterInstance, job: str, kind: str, where: str, reason: str, code: int
) -> None:
    run_id = str(uuid4())
    execute(home, f"job_{job}", run_id)
    incident = incident_of(instance, run_id)
    assert incident is not None
    assert (incident.ok, incident.kind, incident.exit_code, len(incident.reasons)) == (False, kind, code, 1)
    assert where in incident.where[0] and reason in incident.reasons[0]
    assert "Error" not in incident.reasons[0] and "Traceback" not in incident.reasons[0]


def test_a_run_that_somebody_stopped_is_told_of_as_that(home: Home, instance: dg.DagsterInstance) -> None:
    look_round(home, instance)
    stopped = instance.create_run_for_job(resolve("job_works"), run_id=str(uuid4()))
    instance.report_run_canceled(stopped)
    look_round(home, instance)
    assert told(home) == [("run_canceled", stopped.run_id)]


def test_what_was_over_before_anybody_watched_is_not_told(home: Home, instance: dg.DagsterInstance) -> None:
    execute(home, "job_reads_a_bad_file", str(uuid4()))
    assert look_round(home, instance) == []
    late = str(uuid4())
    execute(home, "job_reads_a_bad_file", late)
    look_round(home, instance)
    assert told(home) == [("bad_input", late)]
