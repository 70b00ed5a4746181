"""Dagster's storage is made once, however many processes come to a new home at the same moment."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest.home import Home
from orchestration.instance import dagster_home, dagster_instance, is_made

SPAWN = multiprocessing.get_context("spawn")
PROCESSES, HOMES = 3, 3


def come(homes: list[Path], gate: Any, answers: Any) -> None:
    """Open the storage of each home at the moment in which the others do."""
    import dagster  # noqa: F401  # seconds to import

    said = []
    for home in homes:
        gate.wait(120)
        try:
            with dagster_instance(Home(home)) as instance:
                said.append(f"{instance.get_runs_count()} runs")
        except Exception as error:
            said.append(f"{type(error).__name__}: {error}")
    answers.put(said)


def test_processes_that_come_to_a_new_home_at_once_all_find_its_storage(tmp_path: Path) -> None:
    homes = [Home(tmp_path / f"home-{nth}").create().root for nth in range(HOMES)]
    gate, answers = SPAWN.Barrier(PROCESSES), SPAWN.Queue()
    processes = [SPAWN.Process(target=come, args=(homes, gate, answers)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    said = [answers.get(timeout=180) for _ in processes]
    for process in processes:
        process.join(60)
    assert said == [["0 runs"] * HOMES] * PROCESSES
    assert all(is_made(Home(home)) for home in homes)


def test_settings_that_somebody_wrote_for_dagster_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY", "ORETRACE_HOME"):
        monkeypatch.setenv(name, "")
    home = Home(tmp_path).create()
    assert yaml.safe_load((dagster_home(home) / "dagster.yaml").read_text())["telemetry"] == {"enabled": False}
    (home.dagster / "dagster.yaml").write_text("telemetry:\n  enabled: true\n")
    dagster_home(home)
    assert (home.dagster / "dagster.yaml").read_text() == "telemetry:\n  enabled: true\n"
    assert [path.name for path in home.dagster.iterdir()] == ["dagster.yaml"]
