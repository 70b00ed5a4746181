"""Nothing runs twice for the same inputs, and whatever differs is named."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingest import fingerprint
from ingest.home import PROJECT, Home
from orchestration import standing

USED = {"vintage": "2026", "origin": "live"}
SETTINGS = {"draws": None}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a release whose inputs are the present ones."""
    here = Home(tmp_path / "home").create()
    folder = here.warehouse / "releases" / "20260101T000000Z-12345678"
    folder.mkdir(parents=True)
    (folder / "oretrace.duckdb").write_bytes(b"tables")
    digest = hashlib.sha256(b"tables").hexdigest()
    cert = {
        "passed": True,
        "candidate_sha256": digest,
        "audited": "2026-01-01",
        "sources": {"usgs_mcs": {"used": [USED]}},
    }
    (folder / "certificate.json").write_text(json.dumps(cert))
    files = sorted(folder.iterdir())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / "checksums.txt").write_text("".join(lines))
    (here.warehouse / "current").symlink_to(folder.relative_to(here.warehouse))
    (here.warehouse / "oretrace.duckdb").symlink_to("current/oretrace.duckdb")
    publish(here)
    return here


def publish(home: Home, run_id: str = "one", mode: str = "snapshot") -> None:
    noted = standing.begin(home, run_id, mode, SETTINGS)
    standing.published_with(
        home, standing.standing(home).version or "", run_id, {name: noted[name] for name in ("fingerprint", "parts")}
    )


def reasons(home: Home, mode: str = "snapshot", draws: int | None = None) -> list[str]:
    return standing.reasons_to_run(home, mode, {"draws": draws})


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def vintage(home: Home, name: str, content: str = "{}") -> None:
    write(home.raw / "usgs_mcs" / name / "vintage.json", content)


def test_the_same_inputs_are_nothing_new_and_it_is_said_what_stands(home: Home) -> None:
    assert reasons(home) == []
    said = standing.nothing_new(home, standing.standing(home))
    assert said.startswith("nothing new: release 20260101T000000Z-12345678") and "usgs_mcs 2026 (live)" in said


def test_a_user_s_file_that_changed_or_was_dropped_is_new(home: Home) -> None:
    write(home.root / "user" / "stock.csv", "a")
    assert reasons(home) == ["user/stock.csv is new"]
    publish(home, "two")
    write(home.root / "user" / "stock.csv", "b")
    write(home.root / "drop" / "iea" / "2026" / "iea.json", "{}")
    assert reasons(home) == ["drop/iea/2026/iea.json is new", "user/stock.csv changed"]


def test_raw_vintages_count_in_live_mode_only_and_interrupted_pulls_never(home: Home) -> None:
    publish(home, "two", "live")
    vintage(home, "2026-r2")
    vintage(home, ".partial-2027")
    assert reasons(home, "live") == ["usgs_mcs 2026-r2 is new"]
    publish(home, "three", "live")
    vintage(home, "2026-r2", '{"content": 1}')
    assert reasons(home, "live") == ["usgs_mcs 2026-r2 changed"]
    (home.raw / "usgs_mcs" / "2026-r2" / "vintage.json").unlink()
    assert reasons(home, "live") == ["usgs_mcs 2026-r2 is gone"]
    assert reasons(home, "snapshot") == ["mode: live before, snapshot now", "usgs_mcs 2026-r2 is gone"]


def test_other_draws_are_new_to_a_run_but_not_to_the_sensor(home: Home) -> None:
    assert reasons(home, draws=500) == ["draws: default before, 500 now"]
    assert standing.what_is_new(home, "snapshot") == []


def test_reference_code_and_libraries_are_inputs(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    for name in ("ingest/reference/materials.csv", "ingest/a.py", "tracing/b.py", "dbt_project/models/c.sql",
                 "expectations/suites/d.yaml", "orchestration/e.py", "requirements.lock",
                 "ingest/snapshot/datapackage.json",
                 "dbt_project/target/compiled.sql", "tests/test_f.py", "docs/g.md"):  # fmt: skip
        write(project / name, "1")
    monkeypatch.setattr(fingerprint, "PROJECT", project)
    monkeypatch.setattr(fingerprint, "REFERENCE", project / "ingest/reference")
    monkeypatch.setattr(fingerprint, "SNAPSHOT", project / "ingest/snapshot")
    before = fingerprint.parts(home, "snapshot")
    for name, said in {
        "ingest/reference/materials.csv": ["ingest/reference/materials.csv changed"],
        "ingest/a.py": ["code of ingest changed"],
        "tracing/b.py": ["code of tracing changed"],
        "dbt_project/models/c.sql": ["code of dbt_project changed"],
        "expectations/suites/d.yaml": ["code of expectations changed"],
        "orchestration/e.py": ["code of orchestration changed"],
        "requirements.lock": ["requirements.lock changed"],
        "ingest/snapshot/datapackage.json": ["datapackage.json changed"],
        "dbt_project/target/compiled.sql": [],
        "tests/test_f.py": [],
        "docs/g.md": [],
    }.items():
        write(project / name, "2")
        now = fingerprint.parts(home, "snapshot")
        assert fingerprint.differences(before, now) == said
        assert (fingerprint.fingerprint(before) == fingerprint.fingerprint(now)) is not bool(said)
        before = now


def test_a_release_that_is_gone_or_damaged_is_a_reason(home: Home) -> None:
    file = (home.warehouse / "oretrace.duckdb").resolve()
    file.write_bytes(b"tablet")
    assert ["damaged" in line for line in reasons(home)] == [True]
    file.unlink()
    assert ["damaged" in line for line in reasons(home)] == [True]
    (home.warehouse / "oretrace.duckdb").unlink()
    assert reasons(home) == ["nothing is published yet"]


def test_a_certificate_for_other_bytes_or_one_that_did_not_pass_is_a_reason(home: Home) -> None:
    folder = (home.warehouse / "current").resolve()
    cert = json.loads((folder / "certificate.json").read_text())
    for change in ({"passed": False}, {"candidate_sha256": "0" * 64}):
        text = json.dumps(cert | change)
        listed = (folder / "checksums.txt").read_text().splitlines()
        kept = [line for line in listed if "certificate" not in line]
        (folder / "certificate.json").write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        (folder / "checksums.txt").write_text("\n".join([*kept, f"{digest}  certificate.json"]) + "\n")
        assert ["does not vouch" in line for line in reasons(home)] == [True]


def test_a_run_that_did_not_finish_is_a_reason_although_its_inputs_are_gone_again(home: Home) -> None:
    write(home.root / "user" / "stock.csv", "mistaken")
    standing.begin(home, "failed", "snapshot", SETTINGS)
    (home.root / "user" / "stock.csv").unlink()
    assert reasons(home) == ["the last run was not finished"]


def test_a_release_that_was_rolled_back_is_a_reason_for_a_user_not_for_the_sensor(home: Home) -> None:
    older = home.warehouse / "releases" / "20250101T000000Z-00000000"
    (home.warehouse / "current").resolve().rename(older)
    (home.warehouse / "current").unlink()
    (home.warehouse / "current").symlink_to(older.relative_to(home.warehouse))
    assert ["is not the one that was published last" in line for line in reasons(home)] == [True]
    assert standing.what_is_new(home, "snapshot") == []


def test_a_home_of_which_nothing_is_remembered_is_built(home: Home) -> None:
    (home.build / "published_inputs.json").write_text("{")
    assert reasons(home) == ["it is not known what the published release was made of"]


def test_a_run_notes_its_inputs_once_and_vouches_for_no_other_run(home: Home) -> None:
    first = standing.begin(home, "two", "snapshot", SETTINGS)
    write(home.root / "user" / "stock.csv", "later")
    assert standing.begin(home, "two", "snapshot", SETTINGS) == first
    assert standing.inputs_of(home, "two")["fingerprint"] == first["fingerprint"]
    assert standing.inputs_of(home, "three") == {}


def test_nothing_new_is_said_without_loading_any_tool_and_without_running(home: Home) -> None:
    """Seconds go into imports; a command that has nothing to do must not make any of them."""
    script = (
        "import sys; sys.argv = ['oretrace', 'run']\n"
        "from orchestration.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'dagster', 'dbt', 'great_expectations', 'polars', 'duckdb', 'scipy', 'requests'} "
        "& sys.modules.keys()))"
    )
    environment = {**os.environ, "ORETRACE_HOME": str(home.root)}
    environment.pop("ORETRACE_MODE", None)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "nothing new" in done.stdout and "--force" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
    assert not (home.root / "canonical" / "country.parquet").exists()
