"""The whole job on the embedded snapshot, as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import duckdb
import pytest

from orchestration.publish import verify
from tests.pipeline.conftest import ORETRACE, oretrace

pytestmark = pytest.mark.xdist_group("pipeline")


def test_a_run_ends_with_the_headline_and_where_the_files_are(
    first_run: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    home, done = first_run
    assert "rare_earths" in done.stdout
    assert str(home / "warehouse" / "oretrace.duckdb") in done.stdout
    assert (home / "build" / "data_docs" / "index.html").is_file()
    assert verify(home / "warehouse") == (1, [])


def test_everything_is_written_below_one_folder(first_run: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    home, _ = first_run
    assert {path.name for path in home.iterdir()} == {"raw", "canonical", "build", "warehouse", "dagster"}


def test_the_published_file_holds_tables_only_and_the_certificate_lists_the_vintages(
    first_run: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    home, _ = first_run
    file = (home / "warehouse" / "oretrace.duckdb").resolve()
    with duckdb.connect(str(file), read_only=True) as db:
        assert db.execute("select view_name from duckdb_views() where not internal").fetchall() == []
    certificate = json.loads((file.parent / "certificate.json").read_text())
    assert certificate["passed"] is True
    assert certificate["vintages"]["usgs_mcs"] == ["2023", "2024", "2025", "2026"]


def test_a_second_run_with_the_same_inputs_makes_no_second_release(home: Path) -> None:
    again = oretrace("run", home=home)
    assert again.returncode == 0, again.stderr
    assert "nothing new to publish" in again.stdout
    assert verify(home / "warehouse") == (1, [])


def test_two_runs_at_once_the_second_is_told_to_wait(home: Path) -> None:
    with subprocess.Popen(
        [str(ORETRACE), "run"], env=_env(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as one:
        _wait_for(home / "build" / ".lock")
        time.sleep(1)
        two = oretrace("run", home=home)
        assert two.returncode == 2
        assert "another run is at work" in two.stderr
        one.communicate(timeout=300)
        assert one.returncode == 0


@pytest.mark.parametrize("moment", ["dbt_build", "gate", "release"])
def test_killed_at_any_point_the_published_file_is_whole_and_the_next_run_succeeds(home: Path, moment: str) -> None:
    published = (home / "warehouse" / "oretrace.duckdb").resolve()
    before = published.read_bytes()
    # Another vintage of one figure, so that the run has something to publish.
    (home / "build" / "certificate.json").unlink()
    with subprocess.Popen(
        [str(ORETRACE), "run"], env=_env(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        if moment == "dbt_build":
            _wait_for(home / "build" / "candidate.duckdb", newer_than=time.time())
        elif moment == "gate":
            _wait_for(home / "build" / "certificate.json")
        else:
            _wait_for(home / "warehouse" / "releases", partial=True)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert run.returncode == -signal.SIGKILL
    assert (home / "warehouse" / "oretrace.duckdb").resolve().read_bytes() == before
    again = oretrace("run", home=home)
    assert again.returncode == 0, again.stderr
    assert verify(home / "warehouse")[1] == []


def _env(home: Path) -> dict[str, str]:
    import os

    return {**os.environ, "ORETRACE_HOME": str(home)}


def _wait_for(path: Path, *, newer_than: float = 0.0, partial: bool = False) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if partial:
            if list(path.glob(".partial-*")):
                return
        elif path.exists() and path.stat().st_mtime >= newer_than:
            return
        time.sleep(0.002)
    raise AssertionError(f"{path} did not appear")
