"""The whole job on the embedded snapshot, as a user runs it."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from ingest.home import Home
from orchestration import dbt
from orchestration.publish import publish, verify
from tests.pipeline.conftest import ORETRACE, oretrace

# With the other tests that start whole runs, so that these do not run beside one another.
pytestmark = pytest.mark.xdist_group("runs")


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
    assert {path.name for path in home.iterdir()} == {"raw", "canonical", "build", "warehouse", "dagster", "alerts"}


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


@pytest.mark.long  # the usual tests kill a run at four moments (test_faults_kill)
def test_killed_in_the_build_and_in_the_gate_the_published_file_stays_and_the_next_run_recovers(home: Path) -> None:
    published = (home / "warehouse" / "oretrace.duckdb").resolve()
    before = published.read_bytes()
    for last_line, pause in (("canonical__dropped", 2.0), ("dbt_build", 1.0)):
        with subprocess.Popen(
            [str(ORETRACE), "run", "--draws", "5"], env=_env(home), stderr=subprocess.PIPE, text=True
        ) as run:
            _read_until(run, "running refresh")
            at_once = oretrace("run", "--force", home=home)
            assert at_once.returncode == 2
            assert "another run is at work" in at_once.stderr
            _read_until(run, last_line)
            time.sleep(pause)
            run.send_signal(signal.SIGKILL)
            run.wait()
        assert (home / "warehouse" / "oretrace.duckdb").resolve().read_bytes() == before
    again = oretrace("run", home=home)
    assert again.returncode == 0, again.stderr
    # Equal inputs give equal bytes, so there is nothing new to publish.
    assert "nothing new to publish" in again.stdout
    assert verify(home / "warehouse") == (1, [])


PUBLISH_FOR_EVER = """
import sys, pathlib, time
from orchestration.publish import prune, publish
candidate, certificate, target = map(pathlib.Path, sys.argv[1:])
def site(folder):
    (folder / "site").mkdir()
    (folder / "site" / "index.html").write_text("page")
print("ready", flush=True)
while True:
    publish(candidate, certificate, target, dress=[site], dressing=str(time.time_ns()))  # always a new release
    prune(target, 2)
"""


@pytest.mark.long  # as above, publication among the moments
def test_killed_at_twenty_moments_of_publication_no_half_release_is_ever_seen(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "warehouse"
    arguments = [str(home / "build" / "candidate.duckdb"), str(home / "build" / "certificate.json"), str(target)]
    moments = random.Random(4)  # noqa: S311
    begun = time.monotonic()
    publish(*map(Path, arguments))
    span = 1.5 * (time.monotonic() - begun)
    for _ in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", PUBLISH_FOR_EVER, *arguments], stdout=subprocess.PIPE, text=True
        ) as publisher:
            assert publisher.stdout is not None
            assert publisher.stdout.readline() == "ready\n"
            time.sleep(moments.uniform(0, span))
            publisher.send_signal(signal.SIGKILL)
            publisher.wait()
        assert verify(target)[1] == []
        with duckdb.connect(str(target / "oretrace.duckdb"), read_only=True) as db:
            assert db.execute("select count(*) > 30 from mart_claims").fetchone() == (True,)


def test_the_data_dictionary_is_one_page_that_loads_nothing_from_elsewhere(home: Path) -> None:
    done = oretrace("docs", home=home)
    assert done.returncode == 0, done.stderr
    page = Path(done.stdout.strip()).read_text()
    assert "mart_dependence_by_stage" in page
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?https?:", page)


def test_dbt_unit_tests_hold(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORETRACE_HOME", str(home))
    here = Home.from_environment()
    built = dbt.build(here, unit_tests=True)
    assert built.failed_tests == []
    ran = {event["data"]["node_info"]["unique_id"] for event in dbt.json_results(built.events)}
    assert len([node for node in ran if node.startswith("unit_test.")]) >= 8


def _env(home: Path) -> dict[str, str]:
    return {**os.environ, "ORETRACE_HOME": str(home)}


def _read_until(run: subprocess.Popen[str], text: str) -> None:
    assert run.stderr is not None
    seen = []
    for line in run.stderr:
        seen.append(line)
        if text in line:
            return
    raise AssertionError(f"{text!r} was never printed: {''.join(seen)}")
