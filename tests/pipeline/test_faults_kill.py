"""Runs and daemons that are killed: nothing that was published is touched, each is told of, the next run recovers."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
import pytest

from ingest.home import Home
from orchestration.locks import runs_folder
from orchestration.run import dagster_home
from tests.conftest import PROJECT
from tests.pipeline.conftest import ORETRACE, oretrace
from tests.pipeline.faults import Published, reader
from tests.receivers import Received, receivers

pytestmark = pytest.mark.xdist_group("faults")

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
# What is printed at a moment of the run, seconds after it within which it is killed, and how often.
MOMENTS: Sequence[tuple[str, float, int]] = (
    ("loading tools", 4.0, 3),
    ("running refresh", 1.0, 3),
    ("raw_baci", 1.0, 3),
    ("canonical__trade_flow", 2.0, 3),
    ("canonical__stage_flow", 3.0, 2),
    ("  trace", 3.0, 1),
    ("traced__diversification", 6.0, 3),
    ("dbt_build", 4.0, 1),
    ("  gate", 1.0, 1),
)
EVERY_TIME = {"ORETRACE_ALERT_REPEAT_HOURS": "0"}


@pytest.fixture
def got() -> Iterator[Received]:
    with receivers() as servers:
        yield servers


@contextmanager
def running(home: Path, got: Received) -> Iterator[subprocess.Popen[str]]:
    """Start a run from the command line; it is killed at the end of the block."""
    settings = {**os.environ, "ORETRACE_HOME": str(home), **got.environment, **EVERY_TIME}
    with subprocess.Popen([str(ORETRACE), "run"], env=settings, stderr=subprocess.PIPE, text=True) as run:
        try:
            yield run
        finally:
            run.send_signal(signal.SIGKILL)
            run.wait()


def read_until(run: subprocess.Popen[str], text: str) -> None:
    assert run.stderr is not None
    seen = []
    for line in run.stderr:
        seen.append(line)
        if text in line:
            return
    raise AssertionError(f"{text!r} was never printed: {''.join(seen)}")


def test_killed_at_twenty_random_points_nothing_is_lost_each_is_told_and_the_next_run_recovers(
    home: Path, got: Received
) -> None:
    """The run that recovers has its clock set back by two days, where that can be done."""
    chance = random.Random(6)  # noqa: S311
    points = [(text, chance.uniform(0, most)) for text, most, times in MOMENTS for _ in range(times)]
    assert len(points) == 20
    chance.shuffle(points)
    before = Published.of(home)
    ids = set()
    with reader(home) as watched:
        for text, pause in points:
            with running(home, got) as run:
                read_until(run, text)
                time.sleep(pause)
                ids.add(json.loads((home / "build" / ".lock").read_text())["run"])
                if pause == points[0][1]:
                    second = oretrace("run", home=home, environment=got.environment)
                    assert second.returncode == 2 and "another run is at work" in second.stderr
            assert Published.of(home) == before, (text, pause)
        # A file of one's own, so that there is something new to publish.
        (home / "user").mkdir(exist_ok=True)
        (home / "user" / "allies.csv").write_text("importer,ally,source,since\nUSA,CAN,test,2022\n")
        back = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": "-2d", "DONT_FAKE_MONOTONIC": "1"} if FAKETIME else {}
        done = oretrace("run", "--no-compare", home=home, environment={**got.environment, **EVERY_TIME, **back})
        assert done.returncode == 0, done.stderr
    after = Published.of(home)
    after.check(home)
    assert before.releases < after.releases and after.version == max(after.releases)
    told = [alert["run_id"] for alert in got.of("run_died")]
    assert len(ids) == 20 and sorted(told) == sorted(ids)
    assert [alert["summary"] for alert in got.of("recovered")] == ["refresh: back to normal after 20 failures"]
    assert len(got.of("run_blocked")) == 1 and len(got.of("digest")) == 1
    assert [len(got.of("clock_back"))] == [1 if FAKETIME else 0]
    assert len(got.mails) == len(got.posts)
    assert watched.errors == [] and watched.reads > 100
    assert all(len(digests) == 1 for digests in watched.seen.values())
    assert list(runs_folder(Home(home)).glob("*.lock")) == []


@contextmanager
def daemon(home: Path, got: Received) -> Iterator[subprocess.Popen[bytes]]:
    """Start Dagster's daemon with a code server of its own; both are ended at the end of the block."""
    dagster_home(Home(home))
    settings = {**os.environ, "ORETRACE_HOME": str(home), **got.environment}
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-w", str(PROJECT / "workspace.yaml")]
    with (home / "daemon.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=home, env=settings, stdout=log, stderr=log)
    try:
        yield process
    finally:
        family = [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for left in family:
            if left.is_running():
                left.kill()


def wait_until(found: object, what: str, seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if callable(found) and found():
            return
        time.sleep(0.5)
    raise AssertionError(f"{what} did not happen within {seconds:.0f} s")


def steps_done(instance: dg.DagsterInstance, run_id: str) -> int:
    return len(instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_SUCCESS))


def test_a_daemon_killed_in_mid_run_leaves_the_run_at_work_and_a_machine_that_dies_is_told_of_once(
    home: Path, got: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORETRACE_HOME", str(home))
    before = Published.of(home)
    with reader(home) as watched, dg.DagsterInstance.from_config(str(dagster_home(Home(home)))) as instance:
        with daemon(home, got) as first:
            launch = [str(Path(sys.executable).with_name("dagster")), "job", "launch", "-j", "refresh"]
            launched = subprocess.run(
                [*launch, "-w", str(PROJECT / "workspace.yaml")],
                cwd=home, capture_output=True, text=True, timeout=240, check=False,
            )  # fmt: skip
            assert launched.returncode == 0, launched.stderr
            run_id = instance.get_runs(limit=1)[0].run_id
            wait_until(lambda: steps_done(instance, run_id) > 0, "a first step")
            worker = psutil.Process(json.loads((runs_folder(Home(home)) / f"{run_id}.lock").read_text())["pid"])
            servers = [item for item in psutil.Process(first.pid).children(recursive=True) if item.pid != worker.pid]
            at_once = oretrace("run", home=home, environment=got.environment)
            assert at_once.returncode == 2 and f"run {run_id}" in at_once.stderr
            first.kill()
            first.wait()
            done = steps_done(instance, run_id)
            wait_until(lambda: steps_done(instance, run_id) > done, "a step without the daemon")
            # The code server first: it would notice that the run is gone.
            for process in (*servers, worker):
                if process.is_running():
                    process.kill()
        before.check(home)
        assert not instance.get_run_by_id(run_id).is_finished  # type: ignore[union-attr]
        with daemon(home, got):
            alert = got.wait_for("run_died", seconds=240, run_id=run_id)
            time.sleep(35)  # the sensor of failed runs ticks every 30 s; it must not tell of it again
    assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
    assert before.version in alert["published"]
    assert len(got.of("run_died")) == 1 and len(got.of("run_blocked")) == 1
    assert watched.errors == [] and watched.reads > 10
    before.check(home)
