"""Helpers of the gate: they change when an audit ends, never what it says, and they do not outlive the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import psutil
import pytest

from expectations import helpers
from expectations.gate import audit
from ingest.errors import OretraceError
from ingest.home import PROJECT

SUITE = """
mart: {mart}
key: [material]
checks:
  - name: share_within_0_and_1
    expect: ExpectColumnValuesToBeBetween
    with: {{column: share, min_value: 0, max_value: 1}}
    severity: critical
    reason: A share is a part of a whole.
  - name: materials
    query: select material from {mart} where material = 'unobtainium'
    expect: ExpectTableRowCountToEqual
    with: {{value: 0}}
    min_rows: 0
    severity: warning
    reason: It is not to be had.
"""
MARTS = ("mart_a", "mart_b", "mart_c")

pytestmark = [
    pytest.mark.xdist_group("gate_helpers"),
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="helpers need a second core"),
]


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """Three marts; the second holds a share of 1.7, the third a material that is not to be had."""
    path = tmp_path / "candidate.duckdb"
    with duckdb.connect(str(path)) as db:
        for mart, material, share in zip(MARTS, ("cobalt", "nickel", "unobtainium"), (0.5, 1.7, 0.2), strict=True):
            db.execute(f"create table {mart} as select '{material}' as material, {share}::double as share")
            (tmp_path / f"{mart}.yaml").write_text(SUITE.format(mart=mart))
    return path


def test_helpers_find_what_one_process_finds_and_write_the_same_pages(candidate: Path, tmp_path: Path) -> None:
    alone = audit(candidate, None, tmp_path / "alone", tmp_path)
    with helpers.helpers():
        shared = audit(candidate, None, tmp_path / "shared", tmp_path)
    assert [(o.mart, o.check) for o in alone.failures] == [("mart_b", "share_within_0_and_1"), ("mart_c", "materials")]
    assert shared.to_dict(timing=False) == alone.to_dict(timing=False)
    pages = {page.name: page.read_text() for page in (tmp_path / "alone").iterdir()}
    assert pages.keys() == {*(f"{mart}.html" for mart in MARTS), "index.html", "style.css"}
    assert {page.name: page.read_text() for page in (tmp_path / "shared").iterdir()} == pages


def test_an_error_in_a_helper_reaches_the_audit_and_a_dead_helper_is_no_answer(candidate: Path, tmp_path: Path) -> None:
    with helpers.helpers():
        with pytest.raises(OretraceError, match=r"the last release .*gone.duckdb is not there"):
            audit(candidate, tmp_path / "gone.duckdb", None, tmp_path)
        for process in psutil.Process().children():
            if "spawn_main" in " ".join(process.cmdline()):
                process.kill()
        with pytest.raises(OretraceError, match="a process of the gate died"):
            audit(candidate, None, None, tmp_path)
    assert audit(candidate, None, None, tmp_path).outcomes  # without helpers it works alone


def test_helpers_end_with_a_killed_run() -> None:
    script = (
        "from expectations import helpers\n"
        "with helpers.helpers():\n"
        "    helpers.spread(helpers.great_expectations_loaded, [(), ()])\n"
        "    print('ready', flush=True)\n"
        "    import time; time.sleep(600)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", script], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        children = psutil.Process(run.pid).children()
        assert len([child for child in children if "spawn_main" in " ".join(child.cmdline())]) == helpers.MOST
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    deadline = time.monotonic() + 60
    while (left := [child for child in children if child.is_running()]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
