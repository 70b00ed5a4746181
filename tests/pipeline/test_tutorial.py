"""``docs/tutorial.md`` and the README, run as a new user would: commands pasted as they stand, answers as printed.

A command is a ```sh block; the ```text block after it holds what it prints. To write the outputs of the warehouse
under test into the tutorial, after a change that is meant to move figures, run

    ORETRACE_WRITE_PAGES=1 .venv/bin/python -m pytest tests/pipeline/test_tutorial.py

and read the difference before it is committed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.home import PROJECT
from orchestration.warehouse import connect

pytestmark = pytest.mark.xdist_group("pipeline")

Run = tuple[Path, subprocess.CompletedProcess[str]]

TUTORIAL = PROJECT / "docs" / "tutorial.md"
README = PROJECT / "README.md"
WRITE = os.environ.get("ORETRACE_WRITE_PAGES") == "1"
_STEP = re.compile(r"^```sh\n(?P<command>.*?)^```\n(?:\s*^```text\n(?P<text>.*?)^```$)?", re.MULTILINE | re.DOTALL)
_HEADLINE = re.compile(r"^```text\n(importer .*?)^```$", re.MULTILINE | re.DOTALL)


def lines(text: str) -> list[str]:
    """Return the lines without the blanks that pad the last column."""
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def steps(page: Path) -> list[tuple[str, str | None]]:
    """Return every command of a page with what the page says it prints."""
    return [(found["command"], found["text"]) for found in _STEP.finditer(page.read_text(encoding="utf-8"))]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder in which ``.venv/bin/oretrace`` is there, as in a clone, and in which a command may write."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def pasted(command: str, folder: Path, home: Path) -> str:
    """Return what a command prints that is pasted into a shell."""
    environment = {**os.environ, "ORETRACE_HOME": str(home)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def test_every_command_of_the_tutorial_prints_what_the_page_shows(first_run: Run, clone: Path) -> None:
    home, ran = first_run
    if WRITE:
        TUTORIAL.write_text(rewritten(TUTORIAL.read_text(encoding="utf-8"), ran.stdout, clone, home), encoding="utf-8")
    found = steps(TUTORIAL)
    assert len(found) > 4
    for command, text in found:
        assert text is not None, f"{TUTORIAL.name} does not say what this prints:\n{command}"
        printed = lines(pasted(command, clone, home))
        assert lines(text) == printed, f"{command}\nnow prints\n" + "\n".join(printed)


def germany(stdout: str) -> list[str]:
    """Return the head of the table of magnets that a run prints, and Germany's row."""
    return [line.rstrip() for line in stdout.splitlines() if line.startswith(("importer ", "Germany "))]


def test_the_tutorial_shows_what_a_run_prints_of_germany(first_run: Run) -> None:
    (shown,) = _HEADLINE.findall(TUTORIAL.read_text(encoding="utf-8"))
    assert lines(shown) == germany(first_run[1].stdout)


def test_the_readme_shows_the_figures_that_a_run_prints(first_run: Run) -> None:
    shown = re.findall(r"^```\n(Rare-earth magnets.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.S)
    assert len(shown) == 1
    printed = lines(first_run[1].stdout)
    absent = [line for line in lines(shown[0]) if line and line not in printed]
    assert absent == []


def test_every_question_of_the_readme_has_an_answer_and_the_one_it_shows(first_run: Run, clone: Path) -> None:
    if WRITE:
        README.write_text(rewritten(README.read_text(encoding="utf-8"), "", clone, first_run[0]), encoding="utf-8")
    asked = 0
    for command, text in steps(README):
        for part in [command] if text is not None else one_by_one(command):
            if not re.match(r"\.venv/bin/oretrace (show|query|scenario) ", part):
                continue
            printed, asked = lines(pasted(part, clone, first_run[0])), asked + 1
            assert len(printed) > 1, f"{part} prints nothing"
            assert text is None or lines(text) == printed, f"{part}\nnow prints\n" + "\n".join(printed)
    assert asked > 5


def test_what_the_readme_says_of_germany_is_what_it_shows(first_run: Run) -> None:
    text = README.read_text(encoding="utf-8")
    (sold, made) = re.findall(r"^CHN +China +([0-9.]+) +([0-9.]+) ", text, re.MULTILINE)[0]
    assert f"China sells {round(float(sold))} % of them and makes {round(float(made))} %" in text


def test_the_makers_that_readme_and_tutorial_name_are_those_whose_output_of_magnets_is_known(first_run: Run) -> None:
    sql = """
        select distinct name from mart_supplier_exposure inner join dim_country on iso3 = country
        where importer = country and material = 'rare_earths' and stage = 'component' and year = 2024
            and face_value_share > 0 and made_in_share > 0
    """
    with connect((first_run[0] / "warehouse" / "oretrace.duckdb").resolve()) as db:
        makers = {name for (name,) in db.execute(sql).fetchall()}
    words = r"published for five countries only[:(\s]+(.*?)[.)]"
    for page in (README, TUTORIAL):
        (named,) = re.findall(words, " ".join(page.read_text(encoding="utf-8").split()))
        assert {name.removeprefix("the ") for name in re.split(r", | and ", named)} == makers


def one_by_one(command: str) -> list[str]:
    """Return the commands of a block that has one on each line."""
    return command.splitlines()


def rewritten(text: str, stdout: str, folder: Path, home: Path) -> str:
    """Return the tutorial with the outputs of the warehouse under test."""

    def shown(printed: list[str]) -> str:
        return "```text\n" + "\n".join(printed) + "\n```"

    text = _HEADLINE.sub(lambda _: shown(germany(stdout)), text)
    return _STEP.sub(
        lambda step: (
            f"```sh\n{step['command']}```\n\n{shown(lines(pasted(step['command'], folder, home)))}"
            if step["text"] is not None
            else step[0]
        ),
        text,
    )
