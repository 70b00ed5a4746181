"""The production instance: PostgreSQL, queue, daemon and code server as real processes, which are killed on purpose.

The tests build on each other, in the order they stand in.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from ingest.vintages import raw_vintages
from orchestration.publish import current_release, verify
from tests.conftest import PROJECT
from tests.pipeline.conftest import ORETRACE
from tests.pipeline.instance import (
    DEPLOY,
    PASSWORD,
    Instance,
    Postgres,
    free_port,
    postgres_binaries,
    wait_for,
)
from tests.publishers import world_bank
from tests.replay import Replay

pytestmark = [
    pytest.mark.xdist_group("runs"),
    pytest.mark.skipif(postgres_binaries() is None, reason="PostgreSQL is not installed (Debian package postgresql)"),
]
OVER = {"SUCCESS", "FAILURE", "CANCELED"}
GDP = "NY.GDP.MKTP.CD"


class Inbox:
    """A webhook receiver on loopback."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                inbox.alerts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def text(self) -> str:
        return json.dumps(self.alerts)


@dataclass
class Reader:
    """Queries the published file in a loop, each time on a connection of its own."""

    file: Path
    reads: int = 0
    failed: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.wait(0.2):
            try:
                with duckdb.connect(str(self.file.resolve()), read_only=True) as db:
                    (count,) = db.execute("select count(*) from mart_supplier_exposure").fetchone() or (0,)
                assert count > 1000
                self.reads += 1
            except (duckdb.Error, OSError, AssertionError) as error:
                self.failed.append(repr(error))


@dataclass
class Production:
    """Everything that a production machine runs."""

    postgres: Postgres
    instance: Instance
    inbox: Inbox
    publisher: Replay
    reader: Reader

    def run_processes(self) -> list[psutil.Process]:
        """The runs: processes that the code server started."""
        server = psutil.Process(self.instance.running["code"].pid)
        return [child for child in server.children() if "spawn_main" in " ".join(child.cmdline())]

    def revive(self) -> None:
        """Do what systemd does: start again what ended by itself (Restart=on-failure)."""
        for name, process in list(self.instance.running.items()):
            if process.poll() is not None:
                self.instance.start(name)


@pytest.fixture(scope="module")
def production(
    first_run: tuple[Path, subprocess.CompletedProcess[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Production]:
    root = tmp_path_factory.mktemp("production")
    home = Path(shutil.copytree(first_run[0], root / "home", symlinks=True))
    shutil.rmtree(home / "dagster")
    (home / "dagster").mkdir()
    shutil.copy(DEPLOY / "dagster.yaml", home / "dagster" / "dagster.yaml")
    postgres, inbox, publisher = Postgres(), Inbox(), Replay()
    environment = os.environ | {
        "ORETRACE_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "ORETRACE_CODE_SOCKET": str(postgres.folder / "code.sock"),  # short enough for a socket
        "ORETRACE_PG_HOST": "127.0.0.1",
        "ORETRACE_PG_PORT": str(postgres.port),
        "ORETRACE_PG_DATABASE": "oretrace",
        "ORETRACE_PG_USER": "oretrace",
        "ORETRACE_PG_PASSWORD": PASSWORD,
        "ORETRACE_URL_WORLDBANK": f"{publisher.url}/v2",
        "ORETRACE_ALERT_WEBHOOK": f"http://127.0.0.1:{inbox.server.server_port}/hook",
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }
    instance = Instance(home, environment, root, port=free_port())
    reader = Reader(home / "warehouse" / "oretrace.duckdb")
    try:
        with publisher:
            world_bank.serve(publisher, {GDP: [(code, 2023, 1e12) for code in ("USA", "DEU", "CHN", "JPN")]})
            postgres.start()
            postgres.psql("create database oretrace", database="postgres")
            instance.start("code")
            instance.start("webserver")
            instance.start("daemon")
            wait_for(instance.answers, "the webserver", 300)
            threading.Thread(target=reader.run, daemon=True).start()
            yield Production(postgres, instance, inbox, publisher, reader)
    finally:
        reader.stop.set()
        instance.stop_all()
        inbox.server.shutdown()
        postgres.remove()


def test_when_postgresql_is_killed_in_mid_run_what_is_published_stays_and_an_alert_arrives(
    production: Production,
) -> None:
    house = production.instance
    before = current_release(house.home / "warehouse")
    run = house.launch("refresh", {})
    wait_for(lambda: len(house.steps(run)) >= 3, "the first steps", 300)
    processes = production.run_processes()
    assert len(processes) == 1
    production.postgres.kill()
    # The run cannot write its story any more and ends.
    wait_for(lambda: not any(one.is_running() and one.status() != "zombie" for one in processes), "the run's end", 300)
    assert current_release(house.home / "warehouse") == before
    assert verify(house.home / "warehouse")[1] == []

    production.postgres.start()

    def told() -> bool:
        production.revive()
        return run[:8] in production.inbox.text()

    wait_for(told, "the alert", 400)
    wait_for(house.answers, "the webserver, again", 120)
    assert house.status(run) == "FAILURE"
    assert before is not None and before.version in production.inbox.text()


def test_the_run_is_started_once_more_and_completes_though_the_daemon_is_stopped_and_killed(
    production: Production,
) -> None:
    house = production.instance
    runs = wait_for(lambda: [run for run in house.runs() if run["parentRunId"]], "the second try", 300)
    run = str(runs[0]["runId"])
    wait_for(lambda: len(house.steps(run)) >= 3, "the first steps", 300)
    house.stop("daemon", signal.SIGTERM)
    house.start("daemon")
    wait_for(lambda: len(house.steps(run)) >= 12, "more steps", 300)
    house.stop("daemon", signal.SIGKILL)
    assert house.status(run) == "STARTED"
    start_the_clock_of_a_schedule_last_week(house)
    house.start("daemon")
    wait_for(lambda: house.status(run) in OVER, "the end of the run", 500)
    assert house.status(run) == "SUCCESS"
    done = house.steps(run)
    assert len(done) == len(set(done)) and "published" in done
    assert len([one for one in house.runs() if one["jobName"] == "refresh"]) == 2
    # Equal inputs, equal tables: the release that was there is still the one, and sound.
    assert verify(house.home / "warehouse") == (1, [])


def start_the_clock_of_a_schedule_last_week(house: Instance) -> None:
    """Start a schedule as if that had been eight days ago: its weekly tick was missed since."""
    if not shutil.which("faketime"):
        pytest.skip("faketime is not installed (Debian package faketime)")
    done = subprocess.run(
        ["faketime", "8 days ago", str(Path(sys.executable).with_name("dagster")), "schedule", "start",
         "worldbank_calendar", "--workspace", str(DEPLOY / "workspace.yaml")],
        env=house.environment, cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_tick_that_was_missed_is_made_up_for_once_and_what_is_new_is_fetched(production: Production) -> None:
    house = production.instance

    def fetches() -> list[dict[str, Any]]:
        return [run for run in house.runs() if run["jobName"] == "fetch_worldbank"]

    wait_for(lambda: fetches() and all(run["status"] in OVER for run in fetches()), "the fetch", 300)
    assert [run["status"] for run in fetches()] == ["SUCCESS"]
    tags = {tag["key"]: tag["value"] for tag in fetches()[0]["tags"]}
    assert tags["dagster/schedule_name"] == "worldbank_calendar" and tags["oretrace/source"] == "worldbank"
    kept = [item for item in raw_vintages(house.home / "raw") if item.source == "worldbank"]
    assert len(kept) == 1
    house.stop("daemon", signal.SIGKILL)
    assert "has not reported" in look_from_outside(house, "+15m")
    assert [one["oretrace"]["kind"] for one in production.inbox.alerts].count("daemon_gone") == 1
    house.start("daemon")
    asked = len(production.publisher.asked)
    # The scheduler looks every few seconds, this sensor twice a minute.
    sign = "Checking for new runs for sensor: alert_good_run"
    mark = house.log("daemon").count(sign)
    wait_for(lambda: house.log("daemon").count(sign) > mark, "a round of the daemon", 240)
    assert len(fetches()) == 1 and len(production.publisher.asked) == asked
    assert "has not reported" not in look_from_outside(house, "+0")
    assert "services: back to normal" in production.inbox.text()


def look_from_outside(house: Instance, clock: str) -> str:
    """Do what the timer of the watch does, at another time than it is."""
    done = subprocess.run(
        ["faketime", "-f", clock, str(ORETRACE), "alerts", "check", "--services"],
        env=house.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_the_ui_shows_that_what_was_published_is_fresh(production: Production) -> None:
    def fresh() -> bool:
        found = production.instance.ask(
            "query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { "
            "freshnessStatusInfo { freshnessStatus } } } }",
            key={"path": ["marts", "mart_claims"]},
        )["assetNodeOrError"]
        return (found["freshnessStatusInfo"] or {}).get("freshnessStatus") == "HEALTHY"

    wait_for(fresh, "the daemon's word on freshness", 120)


def test_run_history_is_dumped_and_brought_back(production: Production, tmp_path: Path) -> None:
    postgres, house = production.postgres, production.instance
    path = {"PATH": f"{postgres.binaries}:{os.environ['PATH']}", "PGPASSWORD": PASSWORD}
    for _ in range(2):
        done = subprocess.run(
            [str(DEPLOY / "dump-history"), str(tmp_path / "history"), "1"],
            env=house.environment | path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        threading.Event().wait(1.1)  # the next dump has another name
    (dump,) = (tmp_path / "history").iterdir()
    postgres.psql("create database again", database="postgres")
    subprocess.run(
        ["pg_restore", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "oretrace", "-d", "again", str(dump)],
        env=house.environment | path, check=True, capture_output=True,
    )  # fmt: skip
    runs = "select run_id, status from runs order by 1"
    assert postgres.psql(runs, database="again") == postgres.psql(runs)


def test_readers_never_noticed_and_no_log_holds_the_password(production: Production) -> None:
    assert production.reader.failed == [] and production.reader.reads > 50
    for name in ("code", "daemon", "webserver"):
        text = production.instance.log(name)
        assert PASSWORD not in text and "a%20password" not in text
    assert PASSWORD not in production.inbox.text()
