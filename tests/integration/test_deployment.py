"""The files in deploy/: read by the programs they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import DagsterInvalidConfigError
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.workspace.load_target import WorkspaceFileTarget

from tests.conftest import PROJECT

DEPLOY = PROJECT / "deploy"


def settings(path: Path = DEPLOY / "oretrace.env.example") -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_every_variable_of_the_instance_and_workspace_is_in_the_example_settings() -> None:
    def wanted(part: Any) -> set[str]:
        if isinstance(part, dict):
            return (
                {part["env"]} if part.keys() == {"env"} else {name for item in part.values() for name in wanted(item)}
            )
        return {name for item in part for name in wanted(item)} if isinstance(part, list) else set()

    for file in ("dagster.yaml", "workspace.yaml"):
        assert wanted(yaml.safe_load((DEPLOY / file).read_text())) <= settings().keys()


@pytest.fixture
def dagster_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
    return tmp_path


def test_dagster_reads_the_instance_and_the_workspace_as_they_are_meant(dagster_home: Path) -> None:
    ref = InstanceRef.from_dir(str(dagster_home))  # refuses every key and type that Dagster does not know
    assert ref.storage_data is not None
    assert (ref.storage_data.module_name, ref.storage_data.class_name) == ("dagster_postgres", "DagsterPostgresStorage")
    assert isinstance(ref.run_coordinator, QueuedRunCoordinator)
    logs = ref.compute_log_manager
    assert isinstance(logs, LocalComputeLogManager) and logs._base_dir == str(dagster_home / "storage")
    read = ref.settings
    assert read["telemetry"] == {"enabled": False} and read["nux"] == {"enabled": False}
    assert read["run_monitoring"]["enabled"] and read["freshness"]["enabled"]
    assert read["concurrency"]["pools"] == {"granularity": "run", "default_limit": 1}
    assert read["retention"]["sensor"]["purge_after_days"]["skipped"] == 7
    (origin,) = WorkspaceFileTarget([str(DEPLOY / "workspace.yaml")]).create_origins()
    assert isinstance(origin, GrpcServerCodeLocationOrigin) and origin.socket == settings()["ORETRACE_CODE_SOCKET"]


@pytest.mark.parametrize("key", ["retention", "concurrency", "run_monitoring", "run_retries", "schedules"])
def test_dagster_would_refuse_a_misspelt_setting(dagster_home: Path, key: str) -> None:
    content = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    content[key]["mispelt"] = 1
    (dagster_home / "dagster.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(DagsterInvalidConfigError, match="mispelt"):
        InstanceRef.from_dir(str(dagster_home))
