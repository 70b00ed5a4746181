"""``docs/howto``: every change shown there applies to the project as it is, and does what its page says.

Each page's differences are applied to a copy of the project, in which readers, transforms and suites are then run
directly. A difference that no longer applies is made anew: make the change by hand, and paste ``git diff -U1``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from ingest.home import PROJECT

PAGES = PROJECT / "docs" / "howto"
FOLDERS = ("dbt_project", "exports", "expectations", "ingest", "orchestration", "tracing", "website")
_DIFF = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CSV = re.compile(r"^```csv\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Makes canonical tables, and those they need, from the embedded figures; ``given`` stands in for some.
MAKE = """
import json, sys
from pathlib import Path
import polars as pl
from ingest.live import embedded_tables
from ingest.transforms import run, transforms

def make(*wanted, **given):
    tables = {**embedded_tables(), **given}
    def one(name):
        for need in transforms()[name].inputs:
            if need not in tables:
                one(need)
        tables[name] = run(transforms()[name], tables)[0]
    for name in wanted:
        one(name)
    return tables

def say(**found):
    print(json.dumps(found, default=str))
"""


def text(page: str) -> str:
    """Return a page."""
    return (PAGES / f"{page}.md").read_text(encoding="utf-8")


def project(folder: Path) -> Path:
    """Return a copy of the project's code and data."""
    for name in FOLDERS:
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
    shutil.copyfile(PROJECT / "pyproject.toml", folder / "pyproject.toml")
    return folder


def changed(page: str, folder: Path) -> Path:
    """Return a copy of the project with the differences of a page, applied as the page says."""
    change = folder / "change.diff"
    project(folder)
    change.write_text("".join(_DIFF.findall(text(page))), encoding="utf-8")
    for options in (["--check"], []):
        done = subprocess.run(
            ["git", "apply", "--verbose", *options, "change.diff"],
            cwd=folder, capture_output=True, text=True, check=False,
            env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
        )  # fmt: skip
        assert done.returncode == 0, (
            f"docs/howto/{page}.md no longer applies; see this module's docstring\n{done.stderr}"
        )
    return folder


def python(code: str, folder: Path, home: Path | None = None, *arguments: str) -> str:
    """Return what code prints that runs in a copy of the project."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "ORETRACE_HOME": str(home or folder / "var")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer(code: str, folder: Path, home: Path | None = None, *arguments: str) -> dict:
    """Return what code in a copy of the project says."""
    return json.loads(python(MAKE + code, folder, home, *arguments).splitlines()[-1])


def test_the_index_names_every_howto_and_every_howto_shows_a_difference() -> None:
    found = sorted(page.stem for page in PAGES.glob("*.md") if page.name != "README.md")
    assert found == sorted(re.findall(r"\]\((\w+)\.md\)", (PAGES / "README.md").read_text()))
    assert found == ["expectation", "material", "source", "stage"]
    assert all(_DIFF.findall(text(page)) for page in found)


def test_a_material_added_as_shown_has_output_and_import_sources(tmp_path: Path) -> None:
    code = """
made = make("material", "production", "import_source")
say(
    named=made["material"].filter(material="iodine")["basis"].to_list(),
    editions=sorted(made["production"].filter(material="iodine", measure="production")["vintage"].unique()),
    makers=made["production"].filter(material="iodine", vintage="2026", year=2024)["iso3"].to_list(),
    chile=made["production"].filter(material="iodine", vintage="2026", year=2024, iso3="CHL")["quantity_t"].item(),
    world=made["production"].filter(material="iodine", vintage="2026", year=2024, iso3="WLD")["quantity_t"].item(),
    sellers=dict(made["import_source"].filter(material="iodine").select("iso3", "share").iter_rows()),
)
"""
    found = answer(code, changed("material", tmp_path))
    assert found["named"] == ["I"]
    assert found["editions"] == ["2023", "2024", "2025", "2026"]
    assert {"CHL", "JPN", "WLD"} <= set(found["makers"])
    assert 0 < found["chile"] < found["world"]
    assert found["sellers"]["CHL"] > 0.5
    assert sum(found["sellers"].values()) == pytest.approx(1, abs=0.02)


def test_a_material_that_is_only_half_added_stops_and_says_so(tmp_path: Path) -> None:
    folder = changed("material", tmp_path)
    table = folder / "ingest/reference/mcs_world_map.csv"
    table.write_text("".join(line for line in table.open() if not line.startswith("Iodine,Mine production,")))
    code = "try:\n    make('production')\nexcept Exception as error:\n    say(error=error)"
    message = answer(code, folder)["error"]
    assert "Iodine" in message and "mcs_world_map.csv" in message


def test_a_stage_added_as_shown_is_in_order_has_its_trade_and_passes_its_suite(tmp_path: Path) -> None:
    code = """
import duckdb
from expectations.adapter import run_suites
from expectations.rules import load_suites
from tracing import STAGES, look_through

made = make("stage", "stage_flow")
ends = {"stage": ["metal", "powder"], "quantity_t": [1.0, 1.0]}
chain = pl.DataFrame({**ends, "country": ["A", "B"]})
moved = pl.DataFrame({**ends, "exporter": ["A", "B"], "importer": ["B", "C"]})
traced = look_through(chain, moved).filter(stage="powder", importer="C", country="A")
order = made["stage"].sort("position")["stage"].to_list()
with duckdb.connect("stages.duckdb") as db:
    stages = made["stage"]
    db.execute("create table dim_stage as from stages")
report = run_suites(Path("stages.duckdb"), [suite for suite in load_suites() if suite.mart == "dim_stage"])
say(
    order=order,
    tracing=list(STAGES),
    trade=made["stage_flow"].filter(stage="powder", material="germanium", importer="USA")["quantity_t"].to_list(),
    passed_through=traced["processed_in_share"].item(),
    failures=[outcome.message for outcome in report.failures],
)
"""
    found = answer(code, changed("stage", tmp_path))
    assert found["order"][3:6] == ["metal", "powder", "alloy"]
    assert found["tracing"] == [stage for stage in found["order"] if stage != "secondary"]
    assert found["trade"] and all(tonnes > 0 for tonnes in found["trade"])
    assert found["passed_through"] == 1
    assert found["failures"] == []


def test_a_source_added_as_shown_is_fetched_listed_and_counts(tmp_path: Path) -> None:
    folder, home = changed("source", tmp_path / "project"), tmp_path / "home"
    drop = home / "drop" / "plant_survey" / "2026"
    drop.mkdir(parents=True)
    (drop / "output.csv").write_text(_CSV.findall(text("source"))[0], encoding="utf-8")
    command = "import sys; from orchestration.cli import main; sys.argv[0] = 'oretrace'; main()"
    assert "plant_survey 2026: kept" in python(command, folder, home, "fetch", "plant_survey")
    listed = json.loads(python(command, folder, home, "sources", "--format", "json"))
    row = next(source for source in listed if source["source"] == "plant_survey")
    assert (row["from"], row["kept"], row["newest"], row["licence"]) == ("file drop", 1, "2026", "internal")
    code = """
from ingest.sources import sources
from ingest.vintages import newest
from ingest.home import Home
from orchestration.assets.raw import assets
from ingest.transforms.stage_candidates import source_order, world_tables

kept = newest(Home.from_environment().raw)["plant_survey", "2026"]
survey = sources()["plant_survey"].read_vintage(kept.folder, kept.edition)
made = make("production", **survey)
columns = "material", "stage", "iso3", "quantity_t", "quantity_t_low", "token", "vintage"
say(
    rows=made["production"].filter(source="plant_survey").select(columns).sort("material").rows(),
    candidates=world_tables(made["production"])[0].filter(source="plant_survey")["iso3"].to_list(),
    rank=source_order().filter(source="plant_survey")["rank"].to_list(),
    assets=[key.to_user_string() for asset in assets() for key in asset.keys],
)
"""
    found = answer(code, folder, home)
    assert found["rows"] == [
        ["germanium", "metal", "BEL", None, 10, ">10", "2026"],
        ["rare_earths", "component", "SVN", 1200, 1200, "1,200", "2026"],
    ]
    assert "SVN" in found["candidates"]
    assert found["rank"] == [8]
    assert "raw/raw_plant_survey__output" in found["assets"]


def test_a_file_of_another_shape_is_refused_by_the_source_added_as_shown(tmp_path: Path) -> None:
    folder = changed("source", tmp_path)
    (folder / "survey").mkdir()
    (folder / "survey" / "output.csv").write_text("material,stage,land,year,output_t\n")
    code = """
from ingest.sources import sources
try:
    sources()["plant_survey"].read_vintage(Path("survey"), "2026")
except Exception as error:
    say(error=error)
"""
    assert "land" in answer(code, folder)["error"]


GATE = """
import duckdb
from expectations.adapter import run_suites
from expectations.rules import Suite, load_suites

(suite,) = [suite for suite in load_suites() if suite.mart == "mart_supplier_exposure"]
check = tuple(check for check in suite.checks if check.name == "german_magnets_are_traced")
report = run_suites(Path(sys.argv[1]), [Suite(suite.mart, check)])
say(outcomes=[(outcome.status, outcome.severity, outcome.rows, outcome.message) for outcome in report.outcomes])
"""


@pytest.mark.xdist_group("pipeline")
def test_an_expectation_added_as_shown_holds_on_the_finished_warehouse_and_stops_a_lost_source(
    first_run: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder = changed("expectation", tmp_path / "project")
    published = (first_run[0] / "warehouse" / "oretrace.duckdb").resolve()
    ((status, severity, rows, _),) = answer(GATE, folder, None, str(published))["outcomes"]
    assert (status, severity, rows) == ("passed", "critical", 1)
    lost = tmp_path / "lost.duckdb"
    shutil.copyfile(published, lost)
    with duckdb.connect(str(lost)) as db:
        db.execute(
            "update mart_supplier_exposure set processed_in_share = 0.2 where importer = 'DEU' and country = 'CHN'"
        )
    ((status, _, _, message),) = answer(GATE, folder, None, str(lost))["outcomes"]
    assert status == "failed"
    assert "DEU" in message and "a lost source" in message
