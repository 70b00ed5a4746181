"""Whatever word a command takes, a wrong one is answered with the nearest; every command is asked, also new ones."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import click
import pytest

import oretrace
from ingest.errors import BadInput
from ingest.home import Home
from orchestration.alerting.message import Alert, now
from orchestration.alerting.outbox import Outbox
from orchestration.cli import cli
from orchestration.publish import current_release
from tests.unit.test_command_words import COMMANDS, examples, parse

pytestmark = pytest.mark.xdist_group("pipeline")

Run = tuple[Path, subprocess.CompletedProcess[str]]
# A parameter that takes a word, a mistyped one, and what it is likely to be.
MISTYPED = {
    "material": ("galium", "gallium"),
    "materials": ("galium", "gallium"),
    "importer": ("Germny", "DEU"),
    "to": ("Germny", "DEU"),
    "by": ("Chna", "CHN"),
    "stage": ("compnent", "component"),
    "stages": ("compnent", "component"),
    "tables": ("mart_claim", "mart_claims"),
    "source": ("worldbnk", "worldbank"),
    "offtake": ("AUS:componnd:1000", "compound"),
    "version": ("2026-11-27", None),
    "name": ("20261127T101500Z-run_faild", None),
}
# What is no word of a list: SQL, dates, names to be given.
FREE = {"sql", "first", "last", "months", "vintage", "host", "remote", "broker", "called"}


def words() -> list[tuple[tuple[str, ...], click.Parameter]]:
    """Return every parameter that takes free text, with the words of its command."""
    return [
        (path, parameter)
        for path, command in COMMANDS
        for parameter in command.params
        if type(parameter.type) is type(click.STRING) and parameter.name not in FREE
    ]


WORDS = words()


def test_every_word_that_a_command_takes_is_tried() -> None:
    assert {str(parameter.name) for _, parameter in WORDS} == set(MISTYPED)


def mistyped(path: tuple[str, ...], parameter: click.Parameter, wrong: str) -> list[str]:
    """Return an example of a command with one word wrong."""
    command = dict(COMMANDS)[path]
    found = [line for line in examples(command) if _takes(line, parameter)] or examples(command)[:1]
    line = found[0]
    if isinstance(parameter, click.Option):
        return [*line, parameter.opts[0], wrong]
    given = str(parse(line).params[str(parameter.name)])
    at = line.index(given, len(path))
    return [*line[:at], wrong, *line[at + 1 :]]


def _takes(line: list[str], parameter: click.Parameter) -> bool:
    return any(option in line for option in parameter.opts)


def refusal(line: list[str]) -> str:
    """Run a command that must be refused as bad input; return what it says."""
    with pytest.raises(BadInput) as refused:
        cli.main(line, standalone_mode=False)
    assert refused.value.exit_code == 2
    return str(refused.value)


@pytest.fixture
def asked(first_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with a release and an alert, in a folder of its own because a refused command must not change it."""
    for name in ("warehouse", "canonical"):
        shutil.copytree(first_run[0] / name, tmp_path / "home" / name, symlinks=True)
    monkeypatch.setenv("ORETRACE_HOME", str(tmp_path / "home"))
    return Home.from_environment()


@pytest.mark.parametrize(
    ("path", "parameter"), WORDS, ids=[f"{' '.join(path)} {parameter.name}" for path, parameter in WORDS]
)
def test_a_mistyped_word_is_answered_with_the_nearest(
    asked: Home, capsys: pytest.CaptureFixture[str], tmp_path: Path, path: tuple[str, ...], parameter: click.Parameter
) -> None:
    wrong, right = MISTYPED[str(parameter.name)]
    if parameter.name == "version":
        right = _release(asked)
        wrong = right[:-1] + "x"
    elif parameter.name == "name":
        right = _alert(asked)
        wrong = right.replace("failed", "faild")
    assert right is not None
    said = refusal(_elsewhere(mistyped(path, parameter, wrong), tmp_path))
    assert repr(wrong) in said or wrong.split(":")[-2:][0] in said
    assert "Nearest: " in said
    assert right in said.partition("Nearest: ")[2]
    assert capsys.readouterr().out == ""


def _elsewhere(line: list[str], folder: Path) -> list[str]:
    """Have an export write into a folder of the test, if it should write after all."""
    return [line[0], line[1], str(folder / line[2]), *line[3:]] if line[0] == "export" else line


def _release(home: Home) -> str:
    release = current_release(home.warehouse)
    assert release is not None
    return release.version


def _alert(home: Home) -> str:
    alert = Alert("run_failed", "refresh", "a step failed", now())
    Outbox(home).put(alert)
    return alert.id


def test_a_source_that_does_not_exist_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORETRACE_HOME", str(tmp_path / "home"))
    for line in (
        ["fetch", "comtrad"],
        ["backfill", "comtrad", "--from", "2020", "--to", "2021"],
        ["raw", "add", "comtrad", "2024", str(tmp_path)],
    ):
        assert "Nearest: comtrade" in refusal(line)
    assert not (tmp_path / "home").exists()


def test_a_mistyped_table_in_python_is_answered_with_the_nearest(asked: Home) -> None:
    with pytest.raises(BadInput, match=r"no table 'mart_claim' in the warehouse. Nearest: mart_claims"):
        oretrace.table("mart_claim")
    with pytest.raises(BadInput, match=r"Tables: .*mart_claims"):
        oretrace.table("zzzzzz")


def test_the_examples_of_the_python_functions_work(asked: Home) -> None:
    import doctest

    from orchestration import warehouse

    tried = doctest.testmod(warehouse)
    assert (tried.failed, tried.attempted) == (0, 5)
