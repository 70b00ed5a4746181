"""``docs/reference``: pages written from the program are those of the program as it is, and no setting is missing."""

from __future__ import annotations

import csv
import re
import subprocess
from pathlib import Path

import click
import pytest

from docs.generate import REFERENCE, SETTINGS, pages
from ingest.home import PROJECT
from ingest.net.settings import Settings
from ingest.sources import sources
from orchestration.alerting import backends
from orchestration.cli import cli

PROGRAM = ("dbt_project", "deploy", "expectations", "exports", "ingest", "orchestration", "tracing", "website")
_NAME = re.compile(r"\bORETRACE_[A-Z0-9_]+")
# Names that are made of a prefix: what the program makes of it, and how the page writes it.
MADE = {
    "ORETRACE_HTTP_": [f"ORETRACE_HTTP_{name.upper()}" for name in Settings.__annotations__],
    "ORETRACE_SMTP_": [backends.HOST, backends.PORT, backends.USER, backends.PASSWORD, backends.TLS],
    "ORETRACE_URL_": ["ORETRACE_URL_<SOURCE>"],
    "ORETRACE_PG_": [],
}


def program_files() -> list[Path]:
    """Return the files of the program, tests and pages aside."""
    folders = [PROJECT / name for name in PROGRAM]
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    kept = [
        path for path in found if path.suffix in {"", ".py", ".yml", ".yaml", ".sql", ".service", ".timer", ".example"}
    ]
    return [*kept, PROJECT / "oretrace.py"]


def read_by_the_program() -> set[str]:
    """Return every variable that the program names, with those that it makes of a prefix."""
    names: set[str] = set()
    for path in program_files():
        for name in _NAME.findall(path.read_text(encoding="utf-8", errors="ignore")):
            if name.endswith("_FILE"):
                name = "<NAME>_FILE"
            names |= set(MADE[name]) if name.endswith("_") else {name}
    return names | {"<NAME>_FILE"}


def documented() -> list[str]:
    with SETTINGS.open(encoding="utf-8", newline="") as lines:
        return [row["variable"] for row in csv.DictReader(lines)]


@pytest.mark.parametrize("page", ["cli.md", "tables.md", "settings.md"])
def test_a_page_of_the_reference_is_what_the_program_says_of_itself(page: str) -> None:
    assert (REFERENCE / page).read_text(encoding="utf-8") == pages()[REFERENCE / page], "run `make reference`"


def test_every_page_of_the_reference_is_made() -> None:
    assert sorted(path for path in pages()) == sorted(REFERENCE.glob("*.md"))


def test_every_setting_is_on_the_page_and_none_that_is_not_read() -> None:
    assert sorted(documented()) == sorted(read_by_the_program())


def test_a_source_can_be_pointed_to_a_mirror_by_its_name() -> None:
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name.upper()) for name in sources())


def names(command: click.Command, path: str) -> list[str]:
    """Return a command and all below it."""
    below = command.commands.items() if isinstance(command, click.Group) else []
    return [path, *(name for part, inner in below if not inner.hidden for name in names(inner, f"{path} {part}"))]


def test_every_command_is_on_the_page_of_the_command_line() -> None:
    page = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    shown = re.findall(r"^## (oretrace.*)$", page, re.MULTILINE)
    assert len(shown) > 15
    assert sorted(shown) == sorted(names(cli, "oretrace"))


def test_every_command_says_what_it_does() -> None:
    page = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    for part in page.split("\n## ")[1:]:
        usage, _, rest = part.split("```text\n")[1].partition("\n\n")
        assert usage.startswith("Usage: oretrace")
        assert re.match(r" {2}[A-Z]", rest), f"no help: {part.splitlines()[0]}"


def test_the_generator_runs_as_the_makefile_calls_it() -> None:
    recipe = re.search(r"^reference:.*\n((?:\t.*\n)+)", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    assert recipe[1].strip() == "@$(BIN)/python -m docs.generate"
    assert (
        subprocess.run(["git", "check-ignore", "-q", "docs/reference/cli.md"], cwd=PROJECT, check=False).returncode == 1
    )
