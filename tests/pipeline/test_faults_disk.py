"""A disk that is full or cannot be written: what is published stays, somebody is told, the next run recovers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ingest.vintages import newest
from tests.pipeline.conftest import oretrace
from tests.pipeline.faults import Published, filled, parts, read_only, reader, small_disk
from tests.publishers import embedded, world_bank
from tests.publishers.world_bank import without_country
from tests.receivers import Received, receivers
from tests.replay import Asked, Handler, Replay, Reply, other

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


@pytest.mark.long
def test_a_disk_that_fills_while_raw_is_written_keeps_nothing_half_and_the_next_run_recovers_though_a_source_changed(
    disk: Path, got: Received
) -> None:
    home = disk / "home"
    before = Published.of(home)
    tables = embedded.embedded_tables()
    gdp = tables["raw_worldbank__gdp"].select("code", "year", "gdp_usd").iter_rows()
    estimates = embedded.governance(tables["raw_wgi__estimates"])
    with ExitStack() as filler, reader(home) as watched, Replay() as server:
        settings = {**got.environment, **embedded.environment(server), "ORETRACE_ALERT_REPEAT_HOURS": "0"}
        world_bank.serve(server, {"NY.GDP.MKTP.CD": gdp, **estimates}, updated="2026-10-01")

        def fills(handler: Handler, asked: Asked, reply: Reply) -> None:
            filler.enter_context(filled(disk, free=0.05))
            handler.answer(asked, reply)

        server.misbehave(fills, path="NY.GDP.MKTP.CD", times=1)
        full = oretrace("run", "--mode", "live", home=home, environment=settings)
        before.check(home)
        assert full.returncode == 1 and "Traceback" not in full.stderr
        assert "worldbank" not in {source for source, _ in newest(home / "raw")}
        assert got.of("disk_full") and len(got.mails) == len(got.posts)

        filler.close()
        server.misbehave(other(without_country), path="GOV_WGI")
        done = oretrace("run", "--mode", "live", home=home, environment=settings)
        assert done.returncode == 0, done.stderr
    after = Published.of(home)
    after.check(home)
    assert before.releases < after.releases and "worldbank" in {source for source, _ in newest(home / "raw")}
    assert got.wait_for("recovered")
    (told,) = got.of("not_fetched")
    assert any(line.startswith("wgi: ") and "country_code" in line for line in told["lines"]), told["lines"]
    assert watched.errors == [] and watched.reads > 10
    assert watched.seen.keys() <= after.releases and all(len(digests) == 1 for digests in watched.seen.values())
