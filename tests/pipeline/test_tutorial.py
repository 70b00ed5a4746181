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


def test_every_question_of_the_readme_has_an_answer(first_run: Run, clone: Path) -> None:
    text = README.read_text(encoding="utf-8")
    asked = [
        line for command, _ in steps(README) for line in command.splitlines() if re.search(r" (show|query) ", line)
    ]
    assert len(asked) > 2, text
    for command in asked:
        assert len(lines(pasted(command, clone, first_run[0]))) > 1, f"{command} prints nothing"


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
