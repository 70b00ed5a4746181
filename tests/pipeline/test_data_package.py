"""The data package of a release says what is in it, in the words of its standard, and the data are as it says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from ingest.home import Home
from orchestration.publish import current_release

pytestmark = pytest.mark.xdist_group("pipeline")

Run = tuple[Path, subprocess.CompletedProcess[str]]
# The validator walks rows of a table one by one, tens of seconds for the larger ones.
SOME_ROWS = 40


@pytest.fixture(scope="module")
def folder(first_run: Run) -> Path:
    release = current_release(Home(first_run[0]).warehouse)
    assert release is not None
    return release.folder


@pytest.fixture(scope="module")
def package(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "datapackage.json").read_text())
    return content


def tables(package: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in package["resources"] if item["format"] == "parquet"]


def test_the_validator_of_the_standard_finds_nothing_wrong(
    folder: Path, package: dict[str, Any], tmp_path: Path
) -> None:
    frictionless = pytest.importorskip("frictionless")
    assert frictionless.Package.metadata_validate(package) is not None
    assert list(frictionless.Package.metadata_validate(package)) == []
    for item in package["resources"]:
        source = folder / item["path"]
        if item["format"] != "parquet":
            (tmp_path / item["path"]).symlink_to(source)
            continue
        # Every table with its whole schema, on the rows that say most: those with the fewest blanks and the most.
        frame = pl.read_parquet(source)
        blanks = frame.select(pl.sum_horizontal(pl.all().is_null())).to_series().arg_sort()
        few = pl.concat([blanks.head(SOME_ROWS // 2), blanks.tail(SOME_ROWS // 2)]).unique()
        frame[few.to_list()].write_parquet(tmp_path / item["path"])
        item = {**item, "rows": len(few)}
        package = {**package, "resources": [item if x["path"] == item["path"] else x for x in package["resources"]]}
    (tmp_path / "datapackage.json").write_text(json.dumps(package))
    report = frictionless.Package.from_descriptor(str(tmp_path / "datapackage.json")).validate()
    assert [(task.name, error.message) for task in report.tasks for error in task.errors] == []
    assert len(report.tasks) == len(package["resources"]) > 25


def test_a_broken_table_is_found_by_the_validator(package: dict[str, Any], tmp_path: Path) -> None:
    frictionless = pytest.importorskip("frictionless")
    item = next(item for item in package["resources"] if item["name"] == "dim_stage")
    frame = pl.DataFrame({"stage": ["mine", "mine"], "position": [1, None], "name": ["Mine", None], "definition": ""})
    frame.write_parquet(tmp_path / item["path"])
    broken = {"name": "x", "resources": [item]}
    (tmp_path / "datapackage.json").write_text(json.dumps(broken))
    report = frictionless.Package.from_descriptor(str(tmp_path / "datapackage.json")).validate()
    found = {error.type for task in report.tasks for error in task.errors}
    assert {"primary-key", "row-count"} <= found


def test_every_row_of_every_table_keeps_the_schema(folder: Path, package: dict[str, Any]) -> None:
    wrong = []
    with duckdb.connect() as db:
        for item in tables(package):
            path, schema = str(folder / item["path"]), item["schema"]
            rules = {
                rule: sql
                for field in schema["fields"]
                for rule, sql in conditions(field["name"], field.get("constraints", {}))
            }
            (rows,) = db.execute("select count(*) from read_parquet(?)", [path]).fetchone() or (0,)
            wrong += [f"{item['name']}: {rows} rows"] if rows != item["rows"] else []
            for rule, sql in rules.items():
                (bad,) = db.execute(f"select count(*) from read_parquet(?) where {sql}", [path]).fetchone() or (1,)
                wrong += [f"{item['name']}.{rule}"] if bad else []
            if key := ", ".join(schema.get("primaryKey", [])):
                once = f"select count(*) from (select {key} from read_parquet(?) group by all having count(*) > 1)"
                (twice,) = db.execute(once, [path]).fetchone() or (1,)
                wrong += [f"{item['name']}: primary key"] if twice else []
    assert wrong == []


def conditions(name: str, constraints: dict[str, Any]) -> list[tuple[str, str]]:
    """Return for each constraint its name and what a row that breaks it looks like."""
    found = []
    for rule, limit in constraints.items():
        if rule == "required":
            found.append((f"{name} required", f'"{name}" is null'))
        elif rule in ("minimum", "maximum"):
            found.append((f"{name} {rule}", f'"{name}" {"<" if rule == "minimum" else ">"} {limit}'))
        elif rule == "enum":
            listed = ", ".join("'" + str(value).replace("'", "''") + "'" for value in limit)
            found.append((f"{name} enum", f'"{name}" not in ({listed})'))
    return found


def test_every_column_says_what_it_is_and_every_number_in_which_unit(package: dict[str, Any]) -> None:
    fields = [(item, field) for item in tables(package) for field in item["schema"]["fields"]]
    assert len(fields) > 500
    for item, field in fields:
        where = f"{item['name']}.{field['name']}"
        assert field["description"], where
        assert field["title"], where
        assert ("unit" in field) == (field["type"] in ("integer", "number")), where
    assert all(item["description"] and item["title"] for item in tables(package))
    without = {item["name"] for item in tables(package) if "primaryKey" not in item["schema"]}
    assert without == {"mart_claim_inputs"}, "its rows have no key: a figure may count twice in one claim"
    assert package["licenses"] and package["contributors"] and package["sources"] and package["keywords"]


def test_the_types_are_those_of_the_file(folder: Path, package: dict[str, Any]) -> None:
    names = {pl.String: "string", pl.Float64: "number", pl.Int32: "integer", pl.Int64: "integer"}
    names |= {pl.Boolean: "boolean", pl.Date: "date"}
    for item in tables(package):
        schema = pl.read_parquet_schema(folder / item["path"])
        assert [(name, names[kind.base_type()]) for name, kind in schema.items()] == [
            (field["name"], field["type"]) for field in item["schema"]["fields"]
        ]
