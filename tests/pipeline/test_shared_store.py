"""A release of the whole job reaches empty machines through an object store, and nothing runs twice for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ingest.home import Home
from orchestration.assets.published import publish_candidate
from orchestration.engines.duck import candidate
from tests.pipeline.conftest import oretrace
from tests.shelves import Place

# Half a minute besides the run; what it holds is held on small releases by tests/integration/test_object_store.py.
pytestmark = [pytest.mark.xdist_group("object store"), pytest.mark.long]

QUESTION = (
    "select material, stage, top_country, top_share from mart_stage_concentration where is_preferred order by all"
)


def test_a_release_of_the_whole_job_is_there_on_an_empty_machine(
    home: Path, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as alone:
        alone.delenv("ORETRACE_STORE")
        expected = oretrace("query", QUESTION, "--json", home=home).stdout
    maker = Home(home)
    shutil.rmtree(maker.warehouse)
    release = publish_candidate(maker.create(), candidate(maker))  # as the asset does
    sent = place.names(f"releases/{release.version}/")
    assert len(sent) == sum(path.is_file() for path in release.folder.rglob("*")) > 100
    tables = {part for name in place.names("canonical/") for part in Path(name).parts}
    assert tables >= {"trade_flow.parquet", "stage_flow.parquet"}

    empty = tmp_path / "empty"
    run = oretrace("run", home=empty)
    assert run.returncode == 0 and run.stdout.startswith(f"nothing new: release {release.version}"), (
        run.stdout + run.stderr
    )
    asked = oretrace("query", QUESTION, "--json", home=empty)
    assert asked.stdout == expected and len(json.loads(asked.stdout)) > 20
    assert oretrace("verify", home=empty).stdout == "1 release(s) are as they were published.\n"
    missing = oretrace("scenario", "--by", "CHN", "--material", "rare_earths", "--to", "USA", home=empty)
    assert missing.returncode == 2
    assert oretrace("store", "pull", "--canonical", home=empty).returncode == 0
    scenario = oretrace("scenario", "--by", "CHN", "--material", "rare_earths", "--to", "USA", home=empty)
    assert scenario.returncode == 0 and release.version in scenario.stdout + scenario.stderr
