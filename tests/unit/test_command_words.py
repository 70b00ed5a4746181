"""Every command explains itself with an example that works, starts at once, and completes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from ingest.errors import BadInput
from ingest.words import known_value
from orchestration.cli import cli

HEAVY = {
    "altair", "dagster", "dbt", "duckdb", "great_expectations", "jinja2", "numpy", "pandas", "polars", "pyarrow",
    "pysdmx", "rich", "scipy", "starlette", "uvicorn", "xlsxwriter", "yaml",
}  # fmt: skip


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command that does something, with the words that lead to it."""
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from leaves(inner, (*path, name))


COMMANDS = list(leaves(cli))


def examples(command: click.Command) -> list[list[str]]:
    """Return the words of every ``oretrace`` line below ``Example:``."""
    after = re.split(r"Examples?:", command.help or "", maxsplit=1)[-1]
    found = (re.fullmatch(r"(?:[A-Z_]+=\S+ )*oretrace (.*)", line.strip()) for line in after.splitlines())
    return [shlex.split(line[1]) for line in found if line]


def parse(words: list[str]) -> click.Context:
    """Read a command line as click does, without doing anything."""
    context, command = click.Context(cli, info_name="oretrace"), cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        _, inner, words = command.resolve_command(context, words)
        assert inner is not None
        nested = isinstance(inner, click.Group)
        context = inner.make_context(words[0] if words else "", list(words), parent=context) if not nested else context
        if not nested:
            return context
        command = inner  # type: ignore[assignment]
    return command.make_context("", list(words), parent=context)


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_every_command_has_an_example_that_parses(path: tuple[str, ...], command: click.Command) -> None:
    found = examples(command)
    if path == ("completion",):  # its example runs inside another command
        assert "$(oretrace completion bash)" in (command.help or "")
    assert found or path == ("completion",), f"oretrace {' '.join(path)} --help has no example"
    for words in found:
        shown = words[: words.index("|")] if "|" in words else words
        assert tuple(shown[: len(path)]) == path
        parse(shown)


def test_a_wrong_example_would_be_seen() -> None:
    with pytest.raises(click.UsageError):
        parse(["show", "dependence", "--importer", "DEU"])
    with pytest.raises(click.UsageError):
        parse(["releases", "--keep", "none"])


def test_the_exit_codes_are_told() -> None:
    assert "0 done, 1 failed or refused, 2 bad input" in (cli.help or "")


def test_a_command_starts_without_the_heavy_tools() -> None:
    code = "import sys, orchestration.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & HEAVY == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_calls_back(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from orchestration.cli import main; main()", "completion", shell],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"_ORETRACE_COMPLETE={shell}_complete" in done.stdout
    if shell == "bash":
        checked = subprocess.run(["bash", "-n"], input=done.stdout, text=True, capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_commands_and_options_complete_without_a_warehouse(tmp_path: object) -> None:
    settings = {**os.environ, "ORETRACE_HOME": str(tmp_path), "_ORETRACE_COMPLETE": "bash_complete"}
    code = "import sys; sys.argv[0] = 'oretrace'; from orchestration.cli import main; main()"
    for line, expected in (("oretrace exp", "plain,export"), ("oretrace export csv x --material g", "")):
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
        done = subprocess.run(
            [sys.executable, "-c", code], env={**settings, **words}, capture_output=True, text=True, check=False
        )
        assert (done.stdout.strip(), done.stderr) == (expected, "")


@pytest.mark.parametrize(
    ("given", "what", "known", "found"),
    [
        ("REE", "material", {"rare_earths": "Rare earths"}, "rare_earths"),
        ("Neodymium Magnets", "material", {"rare_earths": "Rare earths"}, "rare_earths"),
        ("aluminum", "material", {"aluminium": "Aluminium"}, "aluminium"),
        ("magnets", "stage", {"component": "Component"}, "component"),
        ("us", "importer", {"USA": "United States"}, "USA"),
        ("burma", "country", {"MMR": "Myanmar"}, "MMR"),
        ("rare-earths", "material", {"rare_earths": "Rare earths"}, "rare_earths"),
    ],
)
def test_other_names_are_understood(given: str, what: str, known: dict[str, str], found: str) -> None:
    assert known_value(given, known, what) == found


def test_an_unknown_word_is_told_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"unknown material 'galium'. Nearest: gallium \(Gallium\)"):
        known_value("galium", {"gallium": "Gallium", "cobalt": "Cobalt"}, "material")
    with pytest.raises(BadInput, match=r"unknown material 'xyzzy'. Known: gallium, cobalt"):
        known_value("xyzzy", {"gallium": "Gallium", "cobalt": "Cobalt"}, "material")
    with pytest.raises(BadInput, match="unknown material 'REE'"):  # another name of what is not there is no help
        known_value("REE", {"cobalt": "Cobalt"}, "material")
