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
        done = oretrace("run", "--force", home=home, environment=got.environment)
        before.check(home)
    refused(done, 2, "cannot be written (Read-only file system")
    assert len(done.stderr.splitlines()) == 1
    alert = got.wait_for("home_unwritable")
    assert before.version in alert["published"]
    assert got.kinds() == ["home_unwritable"] and len(got.mails) == 1
    assert watched.reads and watched.errors == []


@pytest.mark.long
def test_a_disk_without_any_room_is_told_of_each_time_although_nothing_can_be_noted(disk: Path, got: Received) -> None:
    home = disk / "home"
    before = Published.of(home)
    noted = (home / "alerts" / "state.json").read_bytes()
    with filled(disk, free=0), reader(home) as watched:
        for nth in (1, 2):
            done = oretrace("run", "--force", home=home, environment=got.environment)
            refused(done, 1, "the run could not be recorded: ")
            before.check(home)
            assert got.kinds() == ["disk_full"] * nth and len(got.mails) == nth
    assert (home / "alerts" / "state.json").read_bytes() == noted
    assert all(before.version in alert["published"] for alert in got.of("disk_full"))
    assert watched.reads and watched.errors == []


@pytest.mark.long
def test_a_disk_that_fills_in_publication_in_the_build_and_before_a_run_leaves_what_is_published(
    disk: Path, got: Received
) -> None:
    home = disk / "home"
    before = Published.of(home)
    with reader(home) as watched:
        with parts(home, "published", environment=got.environment) as run, filled(disk, free=8):
            assert run().startswith("disk_full: published: ")
        before.check(home)
        (home / "build" / "candidate.duckdb").unlink()  # a build makes room by that
        with parts(home, "marts/mart_claims", environment=got.environment) as run, filled(disk, free=4):
            assert run().startswith("disk_full: ")
        before.check(home)
        with filled(disk, free=0.3):
            full = oretrace("run", "--force", home=home, environment=got.environment)
        before.check(home)
    refused(full, 1, "full" if "full" in full.stderr else "No space left")  # as SQLite or the system puts it
    assert watched.reads and watched.errors == []
