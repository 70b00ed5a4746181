"""Partitions run by two real workers from a real broker: none is lost, and the figures are those of one process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from ingest.home import PROJECT, Home
from ingest.vintages import raw_vintages
from tests.pipeline.broker import MISSING, Broker, Workers
from tests.pipeline.conftest import ORETRACE, oretrace
from tests.pipeline.instance import DEPLOY, PASSWORD, Postgres, free_port, postgres_binaries, wait_for
from tests.publishers import census, embedded
from tests.replay import Replay
from tracing.ensemble import BOUNDS

pytestmark = pytest.mark.xdist_group("fan_out")
needs_servers = [
    pytest.mark.skipif(MISSING is not None, reason=MISSING or ""),
    pytest.mark.skipif(postgres_binaries() is None, reason="PostgreSQL is not installed (Debian package postgresql)"),
]
FEW = ("--draws", "300", "--material", "rare_earths", "--material", "cobalt", "--json")


def fresh(finished: Path, home: Path) -> Path:
    """A home with the canonical tables of a finished run and nothing else."""
    shutil.copytree(finished / "canonical", home / "canonical")
    (home / "dagster").mkdir()
    return home


def hashes(home: Path, folder: Path | None = None) -> dict[str, str]:
    """Every file of the ensembles of a home, or of a folder, and what it holds."""
    folder = folder or home / "build" / "ensemble"
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".partial")
    }


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@dataclass
class House:
    """A home on PostgreSQL, a broker, and workers."""

    home: Path
    postgres: Postgres
    broker: Broker
    workers: Workers
    environment: dict[str, str]

    def crew(self, *names: str) -> None:
        """Have these workers, and no others."""
        for name in self.workers.running.keys() - set(names):
            self.workers.kill(name)
        self.workers.start(*sorted(set(names) - self.workers.running.keys()))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command that hands out partitions."""
        return subprocess.Popen(
            [str(ORETRACE), "ensemble", *arguments],
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def finish(self, process: subprocess.Popen[str], seconds: float = 240) -> subprocess.CompletedProcess[str]:
        try:
            out, error = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, error = process.communicate()
            raise AssertionError(f"not within {seconds:.0f} s\n{error}") from None
        return subprocess.CompletedProcess(process.args, process.returncode, out, error)

    def events(self, kind: str) -> list[tuple[str, str]]:
        """Step and worker (of engine events) of every event of a kind, oldest first."""
        if not self.postgres.psql("select to_regclass('event_logs')"):
            return []  # the first run makes the tables
        found = self.postgres.psql(f"select event from event_logs where dagster_event_type = '{kind}' order by id")
        told = [json.loads(line)["dagster_event"] for line in found.splitlines()]
        return [(event["step_key"] or "", json.dumps(event.get("event_specific_data"))) for event in told]

    def begun(self, step: str) -> list[str]:
        """Names of the workers that began a step, in order."""
        told = [data for key, data in self.events("ENGINE_EVENT") if key == step and "Celery worker" in data]
        return [name for data in told for name in ("a", "b", "c") if f'"{name}@' in data]

    def starts(self, step: str) -> int:
        return sum(key == step for key, _ in self.events("STEP_START"))


@pytest.fixture(scope="module")
def house(
    first_run: tuple[Path, subprocess.CompletedProcess[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    root = tmp_path_factory.mktemp("fan_out")
    home = fresh(first_run[0], root / "home")
    shutil.copy(DEPLOY / "dagster.yaml", home / "dagster" / "dagster.yaml")
    postgres, broker = Postgres(), Broker()
    publisher = Replay()
    held = census.Census({("imports", f"{year}-12"): census.trade("imports") for year in (2023, 2024)})
    held.serve(publisher)
    environment = (
        os.environ
        | embedded.environment(publisher)
        | {
            "ORETRACE_HOME": str(home),
            "DAGSTER_HOME": str(home / "dagster"),
            "ORETRACE_BROKER": broker.url,
            "ORETRACE_PG_HOST": "127.0.0.1",
            "ORETRACE_PG_PORT": str(postgres.port),
            "ORETRACE_PG_DATABASE": "oretrace",
            "ORETRACE_PG_USER": "oretrace",
            "ORETRACE_PG_PASSWORD": PASSWORD,
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }
    )
    workers = Workers(environment, root)
    try:
        with publisher:
            postgres.start()
            postgres.psql("create database oretrace", database="postgres")
            broker.start()
            yield House(home, postgres, broker, workers, environment)
    finally:
        workers.stop_all()
        broker.remove()
        postgres.remove()


class TestTwoWorkers:
    """With the servers."""

    pytestmark = needs_servers

    def test_without_a_worker_nothing_is_handed_out(self, house: House) -> None:
        done = house.finish(house.start(*FEW))
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert "no worker listens" in line
        assert "oretrace worker" in line
        assert "guest:guest" not in line

    def test_killing_a_worker_and_the_hand_of_the_other_loses_no_partition_and_changes_no_byte(
        self, house: House, first_run: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
    ) -> None:
        """The first cells are those that take longest: each is killed in mid-work, one with its whole worker."""
        house.workers.start("a", "b")
        process = house.start(*FEW)
        steps = [f"ensemble__cell[rare_earths_{year}]" for year in (2024, 2023)]
        wait_for(lambda: all(house.starts(step) for step in steps), "both workers at work")
        files = hashes(house.home)
        by = {house.begun(step)[0]: step for step in steps}
        assert by.keys() == {"a", "b"}
        (hand,) = house.workers.hands("b")
        hand.kill()
        house.workers.kill("a")
        assert hashes(house.home) == files == {}, "they were done before they were killed: give them more draws"
        found = answer(house.finish(process))

        assert found["computed"] == 4
        assert found["kept"] == 0
        assert found["joined"]["cells"] == 4
        assert [len(house.begun(step)) for step in steps] == [2, 2]
        assert house.begun(by["a"]) == ["a", "b"]
        ended = [step for step, _ in house.events("STEP_SUCCESS")]
        assert sorted(ended) == sorted(set(ended))
        assert len([step for step in ended if step.startswith("ensemble__cell[")]) == 4

        alone = fresh(first_run[0], tmp_path / "alone")
        one = answer(oretrace("ensemble", *FEW, home=alone))
        assert one["workers"] == {"": 4}
        assert hashes(alone) == hashes(house.home)
        assert len(hashes(alone)) == 6
        assert one["joined"]["sha256"] == found["joined"]["sha256"]

    def test_what_is_there_is_kept_and_what_is_not_of_these_tables_is_made_anew(self, house: House) -> None:
        before = hashes(house.home)
        assert len(before) == 6
        changed = house.home / "build" / "ensemble" / "300-20240607" / "cobalt" / "2024.parquet"
        pl.read_parquet(changed).write_parquet(changed, metadata={"oretrace.inputs": "others"})
        found = answer(house.finish(house.start(*FEW)))
        assert (found["computed"], found["kept"]) == (1, 3)
        assert hashes(house.home) == before

    @pytest.mark.long  # about two minutes of a quiet core
    def test_a_partition_that_kills_every_worker_is_given_up_and_the_others_are_done(self, house: House) -> None:
        house.crew("b")
        step = "ensemble__cell[rare_earths_2023]"
        begun, before = house.starts(step), hashes(house.home)
        over = threading.Event()

        def kill() -> None:
            """Kill the hand that works on the step, each time that it begins."""
            killed = begun
            while not over.wait(0.1):
                if house.starts(step) > killed and killed - begun < 3:
                    killed += 1
                    with suppress(psutil.NoSuchProcess, IndexError):
                        house.workers.hands("b")[0].kill()

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            done = house.finish(house.start("--draws", "400", *FEW[2:]))
        finally:
            over.set()
            killer.join()
        assert done.returncode == 1
        assert "3 workers died of it" in done.stderr
        assert "1 of 4 partitions" in done.stderr
        assert house.starts(step) == begun + 4
        assert len(hashes(house.home)) == len(before) + 3
        found = answer(house.finish(house.start("--draws", "400", *FEW[2:])))
        assert (found["computed"], found["kept"]) == (1, 3)

    @pytest.mark.long  # about two minutes of a quiet core: four processes load all definitions
    def test_partitions_that_dagster_starts_go_to_the_workers_source_by_year_and_material_by_year(
        self, house: House
    ) -> None:
        """As a backfill from the UI does: a run per partition."""
        house.crew("a", "b")
        runs = [("vintage/census", "2023"), ("vintage/census", "2024"), ("ensemble/cell", "cobalt|2024")]
        for asset, partition in runs:
            done = subprocess.run(
                [str(ORETRACE.with_name("dagster")), "asset", "materialize", "-m", "orchestration.definitions",
                 "--select", asset, "--partition", partition],
                cwd=PROJECT, env=house.environment, capture_output=True, text=True, timeout=400, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-3000:]
        assert [item.vintage for item in raw_vintages(Home(house.home).raw)] == ["2023", "2024"]
        for step, times in (("vintage__census", 2), ("ensemble__cell", 1)):
            assert len(house.begun(step)) == times, step
        cell = house.home / "build" / "ensemble" / "5000-20240607" / "cobalt" / "2024.parquet"
        found = pl.read_parquet(cell)
        assert found["draws"].unique().to_list() == [5000]

    @pytest.mark.long  # about ten minutes of a quiet core, half of it for the single process
    def test_the_whole_ensemble_of_five_thousand_draws_survives_a_killed_worker(
        self, house: House, first_run: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
    ) -> None:
        """Every material and year; a worker is killed when a few partitions are done, and another one comes."""
        house.crew("a", "b")
        folder = house.home / "build" / "ensemble" / "5000-20240607"
        shutil.rmtree(folder, ignore_errors=True)
        before = len(house.events("STEP_SUCCESS"))
        process = house.start("--json")
        wait_for(lambda: len(hashes(house.home, folder)) >= 6, "six partitions", 1800)
        house.workers.kill("a")
        house.workers.start("c")
        found = answer(house.finish(process, 3600))
        assert found["joined"]["cells"] == found["computed"] == 44
        assert len(house.events("STEP_SUCCESS")) - before == 44 + 2
        assert found["joined"]["rows"] == pl.read_parquet(house.home / "canonical" / "traced_exposure.parquet").height
        assert {row["measure"] for row in found["moved"]} == set(BOUNDS)

        alone = fresh(first_run[0], tmp_path / "alone")
        done = subprocess.run(
            [str(ORETRACE), "ensemble", "--json"], env=os.environ | {"ORETRACE_HOME": str(alone)},
            capture_output=True, text=True, timeout=3600, check=False,
        )  # fmt: skip
        assert answer(done)["joined"]["sha256"] == found["joined"]["sha256"]
        assert hashes(alone) == {f"{folder.name}/{name}": digest for name, digest in hashes(house.home, folder).items()}


def test_a_broker_that_is_not_there_is_told_in_one_line(tmp_path: Path, first_run: tuple[Path, Any]) -> None:
    home = fresh(first_run[0], tmp_path / "home")
    address = f"amqp://somebody:secret-word@127.0.0.1:{free_port()}/"
    for command in (("ensemble", "--draws", "5"), ("worker",)):
        done = oretrace(*command, "--broker", address, home=home)
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.splitlines()
        assert "no broker at amqp://somebody:***@127.0.0.1" in line
        assert "Start RabbitMQ" in line
        assert done.stdout == ""
    assert not (home / "build" / "ensemble").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ensemble", "--broker", "redis://:word@127.0.0.1:6379/0"), "expected amqp://"),
        (("ensemble", "--material", "unobtainium"), "unknown material 'unobtainium'. Nearest: niobium (Niobium),"),
        (("ensemble", "--year", "1999"), "year 1999: not traced; one of 2023, 2024"),
        (("ensemble",), "there are no canonical tables"),
        (("worker",), "a worker needs the address of its broker"),
    ],
)
def test_what_cannot_start_says_what_is_missing(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = oretrace(*arguments, home=tmp_path / "home")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line
    assert "word" not in line.replace("password", "")
    assert done.stdout == ""


def test_a_command_that_is_stopped_says_so_and_goes_on_where_it_was(
    tmp_path: Path, first_run: tuple[Path, Any]
) -> None:
    home = fresh(first_run[0], tmp_path / "home")
    few = (
        "ensemble",
        "--draws",
        "300",
        "--year",
        "2024",
        "--material",
        "cobalt",
        "--material",
        "rare_earths",
        "--json",
    )
    process = subprocess.Popen(
        [str(ORETRACE), *few], env=os.environ | {"ORETRACE_HOME": str(home)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for(lambda: len(hashes(home)) == 1, "the first cell")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert error.splitlines()[-1] == "oretrace: stopped"
    found = answer(oretrace(*few, home=home))
    assert found["kept"] >= 1
    assert found["kept"] + found["computed"] == 2
