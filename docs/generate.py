"""Writes ``docs/reference`` from the program itself: commands, tables and columns, settings.

What belongs here: putting them on pages. What does not: their words, which stand in the commands' own help, in the
dbt project and in ``docs/reference/settings.csv``. Run ``make reference``; a test holds the pages to the program.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import click

from ingest.home import PROJECT
from orchestration.cli import cli
from orchestration.dictionary import Column, Table, dictionary

REFERENCE = PROJECT / "docs" / "reference"
SETTINGS = REFERENCE / "settings.csv"
MADE = "<!-- Written by `make reference`; a change belongs into what it is made of. -->\n"
WIDTH = 110

EXIT_CODES = """| exit code | meaning |
|---|---|
| 0 | done |
| 1 | something failed or was refused: a publisher, the audit, a damaged file; the message on stderr says what to do |
| 2 | bad input: an unknown option, a name, a file of yours; nothing was done |
| 130 | stopped with Ctrl-C |

Answers go to stdout, all else to stderr. A command that was refused leaves nothing half-written.
"""


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the name and the help of a command and of all commands below it, in order of their names."""
    command._help_option = None  # click keeps that of its first use, which a command called alone has without -h
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                inner = click.Context(
                    below, info_name=name, parent=context, terminal_width=WIDTH, max_content_width=WIDTH
                )
                yield from commands(below, inner)


def cli_page() -> str:
    """Return the page of the command line: exit codes, and what ``--help`` prints of each command."""
    top = click.Context(
        cli, info_name="oretrace", terminal_width=WIDTH, max_content_width=WIDTH, help_option_names=["-h", "--help"]
    )
    found = list(commands(cli, top))
    index = "\n".join(f"- [{name}](#{name.replace(' ', '-')})" for name, _ in found)
    parts = [f"## {name}\n\n```text\n{plain(text)}\n```\n" for name, text in found]
    return "\n".join([MADE, "# Command line\n", EXIT_CODES, index + "\n", *parts])


def plain(text: str) -> str:
    """Return text without blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def tables_page() -> str:
    """Return the page of the published tables: what a row is, each column with type, unit and meaning."""
    tables = dictionary()
    intro = (
        "# Tables and columns\n\nShares are 0 to 1. A missing value is unknown, never 0. Questions, formulas and "
        "examples: [pages of the marts](../marts/README.md).\n"
    )
    index = "\n".join(f"- [{name}](#{name})" for name in tables)
    return "\n".join([MADE, intro, index + "\n", *map(table_part, tables.values())])


def table_part(table: Table) -> str:
    """Return one table of the page of tables."""
    key = ", ".join(f"`{name}`" for name in table.key)
    head = f"## {table.name}\n\n{one_line(table.description)}\n" + (f"\nA row is named by {key}.\n" if key else "")
    return f"{head}\n| column | type | unit | meaning |\n|---|---|---|---|\n" + "".join(map(column_row, table.columns))


def column_row(column: Column) -> str:
    """Return one column of a table as a row."""
    return f"| `{column.name}` | {column.type} | {cell(column.unit)} | {cell(column.description)} |\n"


def settings_page() -> str:
    """Return the page of the settings: every variable of the environment that the program reads."""
    with SETTINGS.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    intro = (
        "# Settings\n\nThe program is set by variables of the environment. None is needed for `make run`. "
        "For services, put them into one file (`deploy/oretrace.env.example`). "
        "Keys and passwords are read from here only and shown nowhere.\n"
    )
    parts = []
    for about in dict.fromkeys(row["about"] for row in rows):
        head = f"## {about}\n\n| variable | default | meaning |\n|---|---|---|\n"
        own = (row for row in rows if row["about"] == about)
        parts.append(
            head + "".join(f"| `{r['variable']}` | {cell(r['default'])} | {cell(r['meaning'])} |\n" for r in own)
        )
    return "\n".join([MADE, intro, *parts])


def one_line(text: str) -> str:
    """Return text with each run of blanks and line breaks as one blank."""
    return " ".join(text.split())


def cell(text: str) -> str:
    """Return text for a cell of a table."""
    return one_line(text).replace("|", "\\|")


def pages() -> dict[Path, str]:
    """Return every page of the reference by its path."""
    return {
        REFERENCE / "cli.md": cli_page(),
        REFERENCE / "tables.md": tables_page(),
        REFERENCE / "settings.md": settings_page(),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(PROJECT))
