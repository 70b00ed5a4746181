"""Options of ``oretrace run`` that choose the engine.

What belongs here: the words, and finding out early that an engine cannot be used. What does not: engines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def engine_options(command: F) -> F:
    """Add ``--engine`` and ``--remote``."""
    command = click.option(
        "--remote",
        default="",
        envvar="ORETRACE_SPARK_REMOTE",
        show_envvar=True,
        metavar="sc://HOST:PORT",
        help="The Spark Connect server that --engine spark works on.",
    )(command)
    return click.option(
        "--engine",
        type=click.Choice(["duckdb", "spark"]),
        default="duckdb",
        envvar="ORETRACE_ENGINE",
        show_envvar=True,
        show_default=True,
        help="What builds and audits the warehouse: DuckDB here, or Spark on a cluster (docs/spark.md).",
    )(command)


def usable(engine: str, remote: str) -> None:
    """Find out before anything is begun whether the engine can be used.

    Raises:
        BadInput: what is missing.
    """
    if engine == "duckdb":
        context = click.get_current_context()
        if remote and context.get_parameter_source("remote") == click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("--remote goes with --engine spark; DuckDB builds in this process.", context)
        return
    from orchestration.engines import engine_named
    from orchestration.progress import shown

    with shown("asking Spark for a row"):
        engine_named(engine, remote)
