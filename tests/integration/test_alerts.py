"""Alerts reach people: once, whole, without secrets, and never at the cost of the run."""

from __future__ import annotations

import logging
import multiprocessing
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.home import Home
from orchestration.alerting import outbox
from orchestration.alerting.backends import NotSent, backends
from orchestration.alerting.desk import Desk
from orchestration.alerting.incident import Incident, incident_of_error
from orchestration.alerting.kinds import SEVERITIES, kinds
from orchestration.alerting.message import Alert
from orchestration.alerting.outbox import Outbox
from orchestration.alerting.telling import settle
from tests.conftest import PROJECT
from tests.pipeline.faults import filled, small_disk
from tests.receivers import PASSWORD, SECRET_PATH, Received, receivers


@pytest.fixture
def got(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    with receivers(auth=True) as servers:
        for name, value in servers.environment.items():
            monkeypatch.setenv(name, value)
        yield servers


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").create()


def failed(run: str, why: str = "raw_baci: the column hs6 is not there", kind: str = "run_failed") -> Incident:
    return Incident(run, "refresh", ok=False, kind=kind, where=("raw_baci",), reasons=(why,))


def good(run: str) -> Incident:
    return Incident(run, "refresh", ok=True)


def test_an_alert_arrives_by_every_way_and_says_what_since_when_and_where_to_look(home: Home, got: Received) -> None:
    assert Desk(home).finished(failed("run-1")) == []
    (post,), (mail,) = got.posts, got.mails
    text = mail.get_content()
    assert post["text"].split() == text.split()
    for part in (
        "[oretrace] ERROR refresh: failed at raw_baci",
        "- raw_baci: the column hs6 is not there",
        "1st in a row",
        "nothing has been published yet",
        "run        run-1",
        "http://127.0.0.1:3000/runs/run-1",
        f"oretrace alerts show {post['oretrace']['id']}",
        kinds()["run_failed"].do,
    ):
        assert part in post["text"], part
    assert mail["Subject"] == "[oretrace] ERROR refresh: failed at raw_baci"
    assert mail["To"] == "ops@example.org, desk@example.org"
    assert post["oretrace"]["id"] in (home.root / "alerts" / "alerts.log").read_text()


def test_the_same_failure_is_told_three_times_then_daily_and_a_change_and_the_end_always(
    home: Home, got: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(home)
    for nth in range(1, 6):
        desk.finished(failed(f"run-{nth}", f"raw_baci: {nth} columns are not there"))
    assert [post["oretrace"]["count"] for post in got.posts] == [1, 2, 3]
    assert "(3rd in a row, since " in got.posts[-1]["oretrace"]["headline"]
    desk.finished(failed("run-6", "raw_baci: no columns at all"))
    assert got.posts[-1]["oretrace"]["count"] == 6
    tomorrow = (datetime.now(UTC) + timedelta(hours=25)).isoformat(timespec="seconds")
    with monkeypatch.context() as later:
        later.setattr("orchestration.alerting.desk.now", lambda: tomorrow)
        desk.finished(failed("run-7", "raw_baci: no columns at all"))
    assert got.posts[-1]["oretrace"]["count"] == 7
    desk.finished(good("run-8"))
    assert got.posts[-1]["oretrace"]["summary"] == "refresh: back to normal after 7 failures"
    desk.finished(good("run-9"))
    desk.finished(failed("run-10"))
    assert [post["oretrace"]["count"] for post in got.posts[-2:]] == [0, 1]
    assert len(got.posts) == len(got.mails) == 7


def _tell(root: Path, barrier: multiprocessing.synchronize.Barrier) -> None:
    barrier.wait()
    Desk(Home(root)).finished(failed("run-1"))


def test_a_run_that_four_processes_notice_at_once_is_told_once(home: Home, got: Received) -> None:
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(4)
    processes = [spawn.Process(target=_tell, args=(home.root, barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(got.posts) == len(got.mails) == 1


def test_a_process_that_dies_before_it_noted_what_it_told_does_not_have_it_told_twice(
    home: Home, got: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = outbox._write

    class Dies(BaseException): ...

    def dies(path: Path, content: object) -> None:
        if path.name == "state.json":
            raise Dies
        write(path, content)

    with monkeypatch.context() as dying, pytest.raises(Dies):
        dying.setattr(outbox, "_write", dies)
        Desk(home).finished(failed("run-1"))
    assert got.posts == [] and len(Outbox(home).messages()) == 1
    for run in ("run-1", "run-2"):
        Desk(home).finished(failed(run))
    told = [(post["oretrace"]["run_id"], post["oretrace"]["count"]) for post in got.posts]
    assert told == [("run-1", 1), ("run-2", 2)] and len(got.mails) == 2


def test_what_one_way_does_not_take_is_kept_and_sent_later_and_the_other_ways_get_no_second_copy(
    home: Home, got: Received
) -> None:
    got.status = 503
    waiting = Desk(home).finished(failed("run-1"))
    assert [len(waiting), len(got.mails), len(got.posts)] == [1, 1, 0]
    (delivery,) = [item for name, item in waiting[0].deliveries.items() if name.startswith("webhook")]
    assert (delivery["state"], delivery["said"]) == ("waiting", "status 503")
    got.status = 200
    assert Outbox(home).deliver() == []
    assert Outbox(home).deliver() == []
    assert len(got.mails) == len(got.posts) == 1


def test_a_home_that_takes_no_file_still_alerts_once(tmp_path: Path, got: Received) -> None:
    home = Home(tmp_path)
    (tmp_path / "alerts").write_text("not a folder")
    for _ in range(2):
        Desk(home).finished(failed("run-1", kind="home_unwritable"))
        Outbox(home).deliver()
    assert len(got.posts) == len(got.mails) == 1


TELL = """
import sys
from ingest.home import Home
from orchestration.alerting.desk import Desk
from orchestration.alerting.incident import incident_of_error
error = OSError(28, "No space left on device")
Desk(Home.from_environment()).finished(incident_of_error(sys.argv[1], "refresh", error))
"""


def test_faults_on_a_disk_without_room_are_told_by_one_process_after_the_other_and_the_end_with_room(
    tmp_path: Path, got: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", 2) as disk:
        home = Home(disk / "home").create()
        monkeypatch.setenv("ORETRACE_HOME", str(home.root))
        Desk(home).finished(failed("run-0"))
        noted = (home.root / "alerts" / "state.json").read_bytes()
        with filled(disk, free=0):
            for run in ("run-1", "run-2"):
                subprocess.run([sys.executable, "-c", TELL, run], cwd=PROJECT, check=True)
            assert (home.root / "alerts" / "state.json").read_bytes() == noted
        Desk(home).finished(good("run-3"))
    told = [(post["oretrace"]["kind"], post["oretrace"]["run_id"]) for post in got.posts]
    assert told[:3] == [("run_failed", "run-0"), ("disk_full", "run-1"), ("disk_full", "run-2")]
    assert told[3:] == [("recovered", "run-3")] and len(got.mails) == 4


def test_what_sqlite_calls_an_error_of_the_disk_is_a_full_one_where_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    with small_disk(tmp_path / "disk", 4) as disk:
        monkeypatch.setenv("ORETRACE_HOME", str(disk))
        assert incident_of_error("run-1", "refresh", error).kind == "run_failed"
        with filled(disk, free=0):
            assert incident_of_error("run-1", "refresh", error).kind == "disk_full"


def test_no_secret_is_in_a_log_a_file_or_a_message(
    home: Home, got: Received, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("ORETRACE_CENSUS_KEY", "census-key-of-mine")
    url = got.environment["ORETRACE_ALERT_WEBHOOK"]
    Desk(home).finished(failed("run-1", f"raw_census: refused census-key-of-mine at {url} for {PASSWORD}"))
    got.status = 500
    Desk(home).finished(failed("run-2", "raw_census: refused"))
    monkeypatch.setenv("ORETRACE_SMTP_PASSWORD", "another wrong one")
    Desk(home).finished(failed("run-3", "raw_census: refused for another wrong one"))
    assert "raw_census: refused *** at *** for ***" in got.posts[0]["text"]
    everything = caplog.text + "".join(post["text"] for post in got.posts) + "".join(map(str, got.mails))
    everything += "".join(path.read_text() for path in home.root.rglob("*") if path.is_file())
    for secret in ("census-key-of-mine", SECRET_PATH, PASSWORD, "another wrong one"):
        assert secret not in everything


@pytest.mark.parametrize(
    ("settings", "way", "said"),
    [
        ({"ORETRACE_ALERT_WEBHOOK": "hooks.example.org/x"}, "webhook", "no http"),
        ({"ORETRACE_ALERT_WEBHOOK_FILE": "/nowhere/hook"}, "webhook", "cannot be read"),
        ({"ORETRACE_SMTP_PORT": "smtp"}, "email", "not a port"),
        ({"ORETRACE_SMTP_HOST": ""}, "email", "ORETRACE_SMTP_HOST is not"),
        ({"ORETRACE_ALERT_EMAIL_FROM": "nobody"}, "email", "'nobody' is none"),
        ({"ORETRACE_SMTP_HOST": "mail.example.org"}, "email", "in the clear"),
        ({"ORETRACE_SMTP_TLS": "starttls"}, "email", "does not do what was asked"),
        ({"ORETRACE_SMTP_PASSWORD": "wrong"}, "email", "answered 535"),
        ({"ORETRACE_SMTP_PORT": "9"}, "email", "no connection"),
        ({"ORETRACE_ALERT_WEBHOOK": "http://127.0.0.1:9/x"}, "webhook", "no connection"),
    ],
)
def test_a_way_out_that_is_set_up_wrongly_says_so_and_the_others_work(
    home: Home, got: Received, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], way: str, said: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    (waiting,) = Desk(home).finished(failed("run-1"))
    assert [name.split()[0] for name in waiting.waiting] == [way]
    assert said in str(waiting.deliveries[waiting.waiting[0]]["said"])
    assert len(got.posts) + len(got.mails) == 1


def test_a_secret_may_come_from_a_file(got: Received, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORETRACE_ALERT_WEBHOOK", "ORETRACE_SMTP_PASSWORD"):
        (tmp_path / name).write_text(got.environment[name] + "\n")
        monkeypatch.delenv(name)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    for way in backends(Home(tmp_path)):
        way.send(Alert("test", "alerts", "a test", "2026-11-27T10:00:00+00:00"))
    assert len(got.posts) == len(got.mails) == 1


def test_a_condition_is_told_when_it_begins_and_when_it_is_over(home: Home, got: Received) -> None:
    desk = Desk(home)
    for reasons in (("baci: late",), ("baci: late",), ("baci: late", "wgi: late"), (), ()):
        desk.condition("sources", "source_overdue", reasons)
    desk.deliver()
    assert got.kinds() == ["source_overdue", "source_overdue", "recovered"]


def test_publishers_that_fail_are_told_of_although_nothing_is_new_and_no_run_starts(home: Home, got: Received) -> None:
    for _ in range(2):
        settle(home, {"wgi": "the column countryiso3code is not there"})
    (told,) = got.of("not_fetched")
    assert told["where"] == "wgi" and told["lines"] == ["wgi: the column countryiso3code is not there"]
    settle(home)
    assert got.kinds() == ["not_fetched"]
    settle(home, {})
    assert got.kinds() == ["not_fetched", "recovered"]


def test_alerts_of_a_way_out_that_is_no_longer_set_up_do_not_wait_for_ever(
    home: Home, got: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    got.status = 500
    assert Desk(home).finished(failed("run-1"))
    monkeypatch.delenv("ORETRACE_ALERT_WEBHOOK")
    assert Outbox(home).deliver() == []
    with pytest.raises(NotSent):
        monkeypatch.setenv("ORETRACE_ALERT_WEBHOOK", got.environment["ORETRACE_ALERT_WEBHOOK"])
        backends(home)[1].send(Alert("test", "alerts", "a test", "2026-11-27T10:00:00+00:00"))


def test_every_kind_has_a_severity_and_says_what_to_do() -> None:
    for kind in kinds().values():
        assert kind.severity in SEVERITIES
        assert kind.title and kind.means and kind.do
