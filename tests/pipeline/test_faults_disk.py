"""A disk that is full or cannot be written: what is published stays, somebody is told, the next run recovers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.conftest import oretrace
from tests.pipeline.faults import Published, filled, parts, read_only, reader, small_disk
from tests.receivers import Received, receivers

pytestmark = pytest.mark.xdist_group("faults")


@pytest.fixture
def got() -> Iterator[Received]:
    with receivers() as servers:
        yield servers


@pytest.fixture
def disk(first_run: tuple[Path, object], tmp_path: Path) -> Iterator[Path]:
    """A home in which the job has run once, on a disk of its own."""
    with small_disk(tmp_path / "disk", 600) as mounted:
        shutil.copytree(first_run[0], mounted / "home", symlinks=True)
        yield mounted


def refused(done: subprocess.CompletedProcess[str], code: int, words: str) -> None:
    """The command ended with one line for the person who meets it."""
    assert done.returncode == code, done.stderr
    last = [line for line in done.stderr.splitlines() if line.startswith("oretrace:")]
    assert len(last) == 1 and words in last[0], done.stderr
    assert "Traceback" not in done.stderr and "Stack Trace" not in done.stderr


def test_a_home_that_is_read_only_is_refused_in_one_line_and_the_alert_goes_out_all_the_same(
    disk: Path, got: Received
) -> None:
    home = disk / "home"
    before = Published.of(home)
    with read_only(disk), reader(home) as watched:
        done = oretrace("run", home=home, environment=got.environment)
        before.check(home)
    refused(done, 2, "cannot be written (Read-only file system")
    assert len(done.stderr.splitlines()) == 1
    alert = got.wait_for("home_unwritable")
    assert before.version in alert["published"]
    assert got.kinds() == ["home_unwritable"] and len(got.mails) == 1
    assert watched.reads > 3 and watched.errors == []


def test_a_disk_that_is_full_in_raw_build_and_publish_loses_nothing_and_the_next_run_recovers(
    disk: Path, got: Received
) -> None:
    home = disk / "home"
    before = Published.of(home)
    with reader(home) as watched:
        with parts(home, "published", environment=got.environment) as run, filled(disk, free=8):
            assert run().startswith("disk_full: published: No space left")
        before.check(home)
        got.wait_for("disk_full")
        with filled(disk, free=0.3):
            refused(oretrace("run", home=home, environment=got.environment), 1, "space")
        before.check(home)
        assert len(got.of("disk_full")) == 2
        (home / "build" / "candidate.duckdb").unlink()
        with filled(disk, free=16):
            refused(oretrace("run", "--draws", "2", home=home, environment=got.environment), 1, "space")
        before.check(home)
        assert len(got.of("disk_full")) == 3
        assert "No space left" in got.posts[-1]["text"] or "disk is full" in got.posts[-1]["text"]
        assert oretrace("run", home=home, environment=got.environment).returncode == 0
    assert before.releases <= Published.of(home).releases
    assert "back to normal" in got.wait_for("recovered")["summary"]
    assert len(got.mails) == len(got.posts)
    assert watched.errors == [] and watched.reads > 10
    assert all(len(digests) == 1 for digests in watched.seen.values())
