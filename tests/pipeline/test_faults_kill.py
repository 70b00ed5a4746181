"""Runs that are killed: nothing that was published is touched, each is told of, the next run recovers."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from ingest.home import Home
from orchestration.locks import runs_folder
from tests.pipeline.faults import Published, Watched, certify_anew, reader
from tests.pipeline.warm import Warm, warm
from tests.receivers import Received, receivers

pytestmark = pytest.mark.xdist_group("faults")

RUN, AUDIT, PUBLISH = ("run", "--force", "--draws", "2"), ("parts", "gate"), ("parts", "published")


class Moment(NamedTuple):
    """When a command is killed: within some seconds after it printed a text so many times.

    Attributes:
        command: what is run.
        text: what it prints.
        least: how often at least.
        most: how often at most.
        seconds: within how many seconds after that.
        often: how many such kills.
    """

    command: tuple[str, ...]
    text: str
    least: int = 1
    most: int = 1
    seconds: float = 1.0
    often: int = 1


# In this order: the gate withdraws its certificate as it begins, and a build leaves half a candidate behind.
FOUR = (
    Moment(PUBLISH, "published starts", seconds=6),
    Moment(RUN, "loading tools", seconds=2),
    Moment(RUN, "running refresh", seconds=0.5),
    Moment(RUN, " s\n", 1, 6, seconds=0.3),
)
# Most are early, for those cost the least.
TWENTY = (
    Moment(PUBLISH, "published starts", seconds=6, often=2),
    Moment(AUDIT, "gate starts", seconds=3),
    Moment(RUN, "loading tools", seconds=2, often=2),
    Moment(RUN, "running refresh", seconds=0.5),
    Moment(RUN, " s\n", 1, 21, seconds=0.3, often=6),
    Moment(RUN, " s\n", 22, 38, seconds=0.5, often=4),
    Moment(RUN, " s\n", 38, 47, seconds=2, often=3),
    Moment(RUN, "traced__diversification", seconds=8),
)
HANGS = 900.0  # seconds
EVERY_TIME = {"ORETRACE_ALERT_REPEAT_HOURS": "0"}


@contextmanager
def started(start: Warm, command: tuple[str, ...]) -> Iterator[int]:
    """Start a command, which is ended if it hangs."""
    pid = start.start(*command)
    watchdog = threading.Timer(HANGS, os.kill, (pid, signal.SIGKILL))
    watchdog.daemon = True
    watchdog.start()
    try:
        yield pid
    finally:
        watchdog.cancel()


def done(start: Warm, *command: str) -> None:
    """Run a command to its good end."""
    with started(start, command):
        assert start.over() == 0, command


def killed(start: Warm, home: Path, moment: Moment, chance: random.Random) -> str:
    """Kill a command at a moment, and return its run."""
    seen, left = [], chance.randint(moment.least, moment.most)
    with started(start, moment.command) as pid:
        for line in start.lines():
            seen.append(line)
            left -= moment.text in line
            if left == 0:
                break
        time.sleep(chance.uniform(0, moment.seconds))
        run: str = json.loads((home / "build" / ".lock").read_text())["run"]
        os.kill(pid, signal.SIGKILL)
        assert start.over() == -signal.SIGKILL, f"it was over before it was killed: {''.join(seen)}"
    return run


def kill_all(start: Warm, home: Path, moments: Sequence[Moment]) -> list[str]:
    """Kill a run at each moment, at most one publication of which came through; return the runs."""
    chance = random.Random(6)  # noqa: S311
    runs, before = [], Published.of(home)
    for moment in [one for one in moments for _ in range(one.often)]:
        if moment.command == PUBLISH:
            certify_anew(home)
        runs.append(killed(start, home, moment, chance))
        after = before.check_or_next(home)
        assert after == before or moment.command == PUBLISH
        before = after
        print(f"killed: {' '.join(moment.command)} after {moment.text.strip()!r}")
    return runs


def nothing_is_lost(home: Path, before: Published, watched: Watched) -> None:
    """The next run published, beside all that was there; no reader noticed; no run left its lock."""
    after = before.check_or_next(home)
    assert after != before and after.version == max(after.releases)
    assert watched.errors == []
    assert watched.seen.keys() <= after.releases and all(len(digests) == 1 for digests in watched.seen.values())
    assert list(runs_folder(Home(home)).glob("*.lock")) == []


def each_is_told(got: Received, runs: list[str]) -> None:
    """Every run is told of, once; a way out that took an alert just before the kill gets it again, as the same."""
    told = {alert["id"]: alert["run_id"] for alert in got.of("run_died")}
    assert len(set(runs)) == len(runs)
    assert sorted(told.values()) == sorted(runs), got.kinds()
    mailed = {str(mail["Message-ID"])[1:].partition("@")[0] for mail in got.mails}
    assert mailed == {post["oretrace"]["id"] for post in got.posts}
    after = f"after {len(runs)} failures"
    assert {alert["summary"] for alert in got.of("recovered")} == {f"refresh: back to normal {after}"}
    assert len({alert["id"] for alert in got.of("digest")}) == 1


def test_killed_at_four_moments_nothing_is_lost_each_is_told_and_the_next_run_recovers(home: Path) -> None:
    with (
        receivers() as got,
        reader(home) as watched,
        warm({"ORETRACE_HOME": str(home), **got.environment, **EVERY_TIME}) as start,
    ):
        runs = kill_all(start, home, FOUR)
        before = Published.of(home)
        certify_anew(home)
        done(start, "alerts", "check")
        done(start, *PUBLISH)
    assert len(runs) == 4 and watched.reads > 10
    nothing_is_lost(home, before, watched)
    each_is_told(got, runs)


@pytest.mark.long
def test_killed_at_twenty_moments_nothing_is_lost_each_is_told_and_the_next_run_recovers(home: Path) -> None:
    with (
        receivers() as got,
        reader(home) as watched,
        warm({"ORETRACE_HOME": str(home), **got.environment, **EVERY_TIME}) as start,
    ):
        runs = kill_all(start, home, TWENTY)
        before = Published.of(home)
        # A file of one's own, so that there is something new to publish.
        (home / "user").mkdir(exist_ok=True)
        (home / "user" / "allies.csv").write_text("importer,ally,source,since\nUSA,CAN,test,2022\n")
        done(start, "run", "--force")
    assert len(runs) == 20 and watched.reads > 100
    nothing_is_lost(home, before, watched)
    each_is_told(got, runs)
    print(f"20 runs killed, {watched.reads} reads, 0 failed, 0 torn")
