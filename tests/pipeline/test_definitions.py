"""What Dagster loads: keys, groups, checks and the place of the gate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingest.clients import clients
from ingest.sources import table_owner

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LAYERS = {"vintage", "ensemble", "raw", "canonical", "traced", "staging", "intermediate", "marts", "published"}

pytestmark = pytest.mark.xdist_group("pipeline")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Any:
    os.environ["ORETRACE_HOME"] = str(tmp_path_factory.mktemp("definitions"))
    from orchestration.definitions import build_definitions

    yield build_definitions()
    del os.environ["ORETRACE_HOME"]


def test_every_table_is_an_asset_with_group_kind_owner_and_description(graph: dg.Definitions) -> None:
    for spec in graph.resolve_all_asset_specs():
        layer = spec.key.path[0]
        if spec.key not in graph.resolve_asset_graph().materializable_asset_keys:
            continue
        assert layer in LAYERS
        assert spec.group_name == layer
        assert spec.kinds, spec.key
        assert spec.owners, spec.key
        assert spec.description, spec.key


def test_no_dependency_and_no_check_points_at_a_key_that_nothing_makes(graph: dg.Definitions) -> None:
    """A wrong key would fail silently: Dagster would invent an external asset and publish too early."""
    assets = graph.resolve_asset_graph()
    made = assets.materializable_asset_keys
    for key in made:
        assert assets.get(key).parent_keys <= made, key
    assert {key.asset_key for key in assets.asset_check_keys} <= made


def test_publication_waits_for_a_blocking_gate_on_every_mart(graph: dg.Definitions) -> None:
    assets = graph.resolve_asset_graph()
    marts = {key for key in assets.materializable_asset_keys if key.path[0] == "marts"}
    assert len(marts) >= 5
    assert assets.get(dg.AssetKey(["published"])).parent_keys == marts
    for mart in marts:
        check = assets.get(dg.AssetCheckKey(mart, "gate"))
        assert check.blocking, mart


def test_schedules_and_sensors_start_jobs_that_exist_and_no_two_things_share_a_name(graph: dg.Definitions) -> None:
    jobs = {job.name for job in graph.resolve_all_job_defs()}
    repository = graph.get_repository_def()
    ticking = [*repository.schedule_defs, *repository.sensor_defs]
    assert len(repository.schedule_defs) == len(clients())
    names = [item.name for item in ticking]
    assert len({*names, *jobs}) == len(names) + len(jobs)
    for item in ticking:
        targets = {item.job_name} if isinstance(item, dg.ScheduleDefinition) else {job.job_name for job in item.targets}
        assert targets <= jobs, item.name


def test_a_job_is_of_one_kind_of_partitions_and_the_whole_job_of_none(graph: dg.Definitions) -> None:
    assets = graph.resolve_asset_graph()
    for job in graph.resolve_all_job_defs():
        if job.name.startswith("__"):
            continue
        kinds = {assets.get(key).partitions_def for key in job.asset_layer.executable_asset_keys}
        assert len(kinds) == 1, job.name
    refresh = graph.resolve_job_def("refresh").asset_layer.executable_asset_keys
    vintages, ensembles = (
        {key for key in assets.materializable_asset_keys if key.path[0] == layer} for layer in ("vintage", "ensemble")
    )
    assert refresh == assets.materializable_asset_keys - vintages - ensembles
    assert {key.path[1] for key in vintages} == set(clients())


def test_a_table_of_a_publisher_that_answers_over_http_depends_on_its_vintages(graph: dg.Definitions) -> None:
    assets = graph.resolve_asset_graph()
    for table, source in table_owner().items():
        expected = {dg.AssetKey(["vintage", source])} if source in clients() else set()
        assert assets.get(dg.AssetKey(["raw", table])).parent_keys == expected, table


def test_nothing_but_the_network_is_tried_again(graph: dg.Definitions) -> None:
    """A transform that failed fails again; a gate that is asked twice is no gate."""
    retried = {
        node.name
        for job in graph.resolve_all_job_defs()
        for node in job.nodes
        if node.definition.retry_policy or node.retry_policy
    }
    assert retried == {f"vintage__{source}" for source in clients()}


def test_marts_and_vintages_have_an_age_at_which_they_are_old(graph: dg.Definitions) -> None:
    for spec in graph.resolve_all_asset_specs():
        if spec.key.path[0] in ("marts", "vintage"):
            assert spec.freshness_policy is not None, spec.key
        if spec.key == dg.AssetKey(["marts", "mart_import_monitor"]):
            assert spec.freshness_policy == dg.FreshnessPolicy.time_window(timedelta(days=45), timedelta(days=40.5))


def test_both_ways_to_load_the_definitions_give_the_same_keys(tmp_path: Path, graph: dg.Definitions) -> None:
    environment = {**os.environ, "ORETRACE_HOME": str(tmp_path), "DAGSTER_DISABLE_TELEMETRY": "yes"}

    def run(*command: str) -> str:
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("dg", "check", "defs")
    run("dagster", "definitions", "validate", "-w", "workspace.yaml")
    listed = json.loads(run("dg", "list", "defs", "--json"))
    keys = {item["asset_key"] for item in listed["assets"]}
    assert keys == {key.to_user_string() for key in graph.resolve_asset_graph().materializable_asset_keys}
