"""A disk that is full or cannot be written: what is published stays, somebody is told, the next run recovers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.vintages import newest
from tests.pipeline.conftest import oretrace
from tests.pipeline.faults import Published, filled, parts, read_only, reader, small_disk
from tests.publishers import embedded, world_bank
from tests.publishers.world_bank import without_country
from tests.receivers import Received, receivers
from tests.replay import Replay, other

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
def test_a_disk_full_in_raw_build_and_publish_and_a_source_of_another_shape_lose_nothing_and_the_next_run_recovers(
    disk: Path, got: Received
) -> None:
    home = disk / "home"
    before = Published.of(home)
    tables = embedded.embedded_tables()
    gdp = tables["raw_worldbank__gdp"].select("code", "year", "gdp_usd").iter_rows()
    estimates = embedded.governance(tables["raw_wgi__estimates"])
    with reader(home) as watched, Replay() as server:
        settings = {**got.environment, **embedded.environment(server), "ORETRACE_ALERT_REPEAT_HOURS": "0"}
        world_bank.serve(server, {"NY.GDP.MKTP.CD": gdp, **estimates}, updated="2026-10-01")

        with parts(home, "published", environment=settings) as run, filled(disk, free=8):
            assert run().startswith("disk_full: published: ")
        before.check(home)
        (home / "build" / "candidate.duckdb").unlink()  # a build makes room by that
        with parts(home, "marts/mart_claims", environment=settings) as run, filled(disk, free=4):
            assert run().startswith("disk_full: ")
        before.check(home)
        with filled(disk, free=0.3):
            full = oretrace("run", "--mode", "live", home=home, environment=settings)
        before.check(home)
        refused(full, 1, "space")
        assert "worldbank could not be fetched; what was kept before is used. No space left" in full.stderr
        assert newest(home / "raw") == {}
        assert [alert["where"] for alert in got.of("disk_full")][:2] == ["published", "dbt_build"]
        assert got.kinds() == ["disk_full"] * 3 and len(got.mails) == 3

        server.misbehave(other(without_country), path="GOV_WGI")
        done = oretrace("run", "--mode", "live", home=home, environment=settings)
        assert done.returncode == 0, done.stderr
    assert [source for source, _ in newest(home / "raw")] == ["worldbank"]
    after = Published.of(home)
    after.check(home)
    assert before.releases < after.releases
    assert "back to normal after 3 failures" in got.wait_for("recovered")["summary"]
    (told,) = got.of("not_fetched")
    assert any(line.startswith("wgi: ") and "country_code" in line for line in told["lines"]), told["lines"]
    assert not any(line.startswith("worldbank: ") for line in told["lines"])
    assert len(got.mails) == len(got.posts)
    assert watched.errors == [] and watched.reads > 10
    assert watched.seen.keys() <= after.releases and all(len(digests) == 1 for digests in watched.seen.values())
    print(f"{watched.reads} reads, 0 failed, 0 torn")
