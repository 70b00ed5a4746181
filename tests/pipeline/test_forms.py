"""Every command that prints a table prints it as JSON, as a workbook where that makes sense, and plainly in a pipe."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import polars as pl
import pytest

from tests.pipeline.conftest import ORETRACE, oretrace

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
