"""What Dagster loads: keys, groups, checks and the place of the gate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LAYERS = {"raw", "canonical", "traced", "staging", "intermediate", "marts", "published"}

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
