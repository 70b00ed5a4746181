"""A daemon that is killed in mid-run, and a machine that dies: the run goes on, or is told of once; nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
import pytest

from ingest.home import Home
from orchestration.instance import dagster_home
from orchestration.locks import runs_folder
from tests.conftest import PROJECT
from tests.pipeline.conftest import oretrace
from tests.pipeline.faults import Published, reader
from tests.receivers import Received, receivers

pytestmark = pytest.mark.xdist_group("faults")


@pytest.fixture
def got() -> Iterator[Received]:
    with receivers() as servers:
        yield servers


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


@pytest.mark.long  # the usual tests kill the daemon of a production instance
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
            at_once = oretrace("run", "--force", home=home, environment=got.environment)
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
