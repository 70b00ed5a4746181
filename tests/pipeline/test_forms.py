"""Every command that prints a table prints it as JSON, as a workbook where that makes sense, and plainly in a pipe."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.pipeline.conftest import ORETRACE, oretrace
from tests.unit.test_command_words import COMMANDS

pytestmark = pytest.mark.xdist_group("pipeline")

Run = tuple[Path, subprocess.CompletedProcess[str]]
DEPENDENCE = ("show", "dependence", "--importer", "us", "--material", "REE", "--stage", "magnets")
SCENARIO = ("scenario", "--by", "CHN", "--material", "rare_earths", "--stage", "metal", "--to", "USA")


@pytest.mark.parametrize(
    "command",
    [("query", "select 1 as one"), DEPENDENCE, ("sources",), ("releases",), ("verify",), ("alerts",), SCENARIO],
    ids=lambda words: words[0],
)
def test_every_table_comes_as_json(first_run: Run, command: tuple[str, ...]) -> None:
    done = oretrace(*command, "--json", home=first_run[0])
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), list | dict)


# What prints no list, keeps at work, or writes a page.
PLAIN = {
    "run",
    "docs",
    "ui",
    "raw add",
    "alerts show",
    "alerts test",
    "alerts check",
    "serve",
    "site",
    "completion",
    "worker",
}


def test_every_command_that_lists_something_takes_json() -> None:
    without = {
        " ".join(path) for path, command in COMMANDS if not any("--json" in option.opts for option in command.params)
    }
    assert without == PLAIN


def test_what_moves_releases_and_homes_says_so_as_json(home: Path, tmp_path: Path) -> None:
    def asked(*command: str, at: Path = home) -> dict[str, Any]:
        done = oretrace(*command, "--json", home=at)
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    version = json.loads(oretrace("releases", "--json", home=home).stdout)[0]["version"]
    assert asked("rollback", version)["published"] == version
    written = asked("backup", str(tmp_path / "backups"))
    assert written["files"] > 50 and written["bytes"] == written["new_bytes"] > 1e6
    read = asked("restore", written["path"], "--check")
    assert (read["files"], read["bytes"], read["restored_into"]) == (written["files"], written["bytes"], None)
    new = tmp_path / "new"
    assert asked("restore", written["path"], at=new)["restored_into"] == str(new)
    export = asked("export", "csv", str(tmp_path / "claims.csv"), "--table", "mart_claims", at=new)
    assert export["release"] == version and export["files"] == [str(tmp_path / "claims.csv")]
    assert export["rows"]["mart_claims"] == pl.read_csv(tmp_path / "claims.csv", infer_schema=False).height


def test_a_damaged_release_is_told_as_json_too(home: Path) -> None:
    (home / "warehouse" / "oretrace.duckdb").resolve().with_name("diff.md").write_text("nothing changed\n")
    done = oretrace("verify", "--json", home=home)
    said = json.loads(done.stdout)
    assert done.returncode == 1 and said["releases"] == 1
    assert len(said["wrong"]) == 1 and "diff.md changed" in said["wrong"][0]


def test_nothing_in_a_pipe_is_coloured_and_two_forms_at_once_are_refused(first_run: Run) -> None:
    done = oretrace(*DEPENDENCE, home=first_run[0], environment={"TERM": "xterm-256color"})
    assert "component" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    both = oretrace("sources", "--json", "--format", "csv", home=first_run[0])
    assert (both.returncode, "one at a time" in both.stderr) == (2, True)


def test_a_query_comes_as_a_workbook(first_run: Run, tmp_path: Path) -> None:
    file = tmp_path / "out.xlsx"
    with file.open("wb") as out:
        subprocess.run(
            [str(ORETRACE), "query", "select '=1+1' as text, 0.5 as half", "--format", "xlsx"],
            env={"ORETRACE_HOME": str(first_run[0])}, stdout=out, check=True, timeout=120,
        )  # fmt: skip
    assert pl.read_excel(file, sheet_name="result").rows() == [("=1+1", 0.5)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("oretrace show dependence --material gal", "gallium"),
        ("oretrace show dependence --importer DE", "DEU"),
        ("oretrace export csv x --table mart_clai", "mart_claims"),
        ("oretrace export csv x --stage comp", "component"),
        ("oretrace rollback 20", "Z-"),
        ("oretrace fetch comt", "comtrade"),
    ],
)
def test_words_of_the_published_warehouse_complete(first_run: Run, line: str, expected: str) -> None:
    asked = {"_ORETRACE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = oretrace(home=first_run[0], environment=asked)
    assert expected in done.stdout
    assert done.stderr == ""


def test_lists_structs_bytes_and_zoned_times_are_text_where_a_format_has_plain_cells(
    first_run: Run, tmp_path: Path
) -> None:
    sql = "select [1, null] l, {'a': date '2020-01-02'} s, 'ab'::blob b, timestamptz '2020-01-01 00:00:00+00' z"
    done = oretrace("query", sql, "--format", "csv", home=first_run[0])
    assert done.stdout.splitlines()[1].startswith('"[1, null]","{""a"": ""2020-01-02""}",6162,2020-01-01T00:00:00')
    for form in ("json", "table", "parquet", "xlsx"):
        with (tmp_path / form).open("wb") as file:
            command = [str(ORETRACE), "query", sql, "--format", form]
            settings = {"ORETRACE_HOME": str(first_run[0])}
            subprocess.run(command, env=settings, stdout=file, check=True)
        assert (tmp_path / form).stat().st_size > 0
    refused = oretrace("query", "select interval 1 day as pause", "--format", "csv", home=first_run[0])
    assert (refused.returncode, "cast(" in refused.stderr, "pause" in refused.stderr) == (2, True, True)
