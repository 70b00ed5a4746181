"""Options and completion that commands share: the form of a table, words of the published warehouse, shell completion.

What belongs here: what more than one command says alike, and ``oretrace completion``. What does not: a command's own
words.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
_JSON = "oretrace.json"

# What a shell runs to complete; the quoting is the shell's.
_START = {
    "bash": 'eval "$(oretrace completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(oretrace completion zsh)"   # in ~/.zshrc',
    "fish": "oretrace completion fish | source   # in ~/.config/fish/config.fish",
}


def form_option(*forms: str, default: str = "table") -> Callable[[F], F]:
    """Add ``--format`` with these forms, and ``--json`` where JSON is one of them; the value comes as ``form``."""

    def choose(context: click.Context, parameter: click.Parameter, value: str) -> str:
        if not context.meta.get(_JSON):
            return value
        if context.get_parameter_source("form") == click.core.ParameterSource.COMMANDLINE and value != "json":
            raise click.UsageError("--json and --format go one at a time.", context)
        return "json"

    def remember(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        context.meta[_JSON] = value

    def add(command: F) -> F:
        command = click.option(
            "--format", "form", type=click.Choice(forms), default=default, show_default=True, callback=choose
        )(command)
        return click.option(
            "--json",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=remember,
            help="Short for --format json.",
        )(command)

    return add


def json_option(help_text: str = "As JSON.") -> Callable[[F], F]:
    """Add ``--json`` to a command whose answer is no plain table; the value comes as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help=help_text)


def print_json(answer: Any) -> None:
    """Print an answer as JSON on stdout."""
    print(json.dumps(answer, indent=1, ensure_ascii=False, default=str))


def published_words(column: str) -> Callable[[click.Context, click.Parameter, str], list[Any]]:
    """Return a completer of what the published warehouse holds: ``importer``, ``material``, ``stage`` or ``table``."""

    def complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(word, help=name if name != word else None)
            for word, name in _words(column).items()
            if word.casefold().startswith(typed.casefold())
        ]

    return complete


def release_versions(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Complete the versions of releases."""
    from ingest.home import Home
    from ingest.store import configured
    from orchestration.publish import list_releases

    if configured():
        from ingest.errors import OretraceError
        from orchestration.store.upkeep import listed

        try:
            return [row["version"] for row in listed() if row["version"].startswith(typed)]
        except OretraceError:
            return []
    found = [release.version for release, _ in list_releases(Home.from_environment().warehouse)]
    return [version for version in found if version.startswith(typed)]


def source_names(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Complete the sources that can be fetched."""
    from ingest.calendar import calendar

    return [name for name in sorted(calendar()) if name.startswith(typed)]


def _words(column: str) -> dict[str, str]:
    """Return words with their names; none where nothing is published, because a completion never fails aloud."""
    import duckdb

    from ingest.errors import OretraceError
    from orchestration.show import vocabulary
    from orchestration.warehouse import connect, tables

    try:
        with connect() as db:
            return {name: name for name in tables(db)} if column == "table" else vocabulary(db, column)
    except (OretraceError, OSError, duckdb.Error):
        return {}


@click.command()
@click.argument("shell", type=click.Choice(sorted(_START)))
def completion(shell: str) -> None:
    """Print what makes SHELL (bash, zsh, fish) complete commands, options, materials, stages, importers and tables.

    \b
    Example: eval "$(oretrace completion bash)"
             oretrace completion fish | source
    """  # noqa: D301  # click's mark needs the character itself
    from click.shell_completion import get_completion_class

    from orchestration.cli import cli

    kind = get_completion_class(shell)
    if kind is None:  # click knows the three
        raise click.UsageError(f"{shell} is not known here.")
    script = kind(cli, {}, "oretrace", "_ORETRACE_COMPLETE")
    # Without asking bash for its version, as click would: the script says itself what it needs.
    sys.stdout.write(script.source_template % script.source_vars() + "\n")
    if sys.stdout.isatty():
        print(f"To use it: {_START[shell]}", file=sys.stderr)
