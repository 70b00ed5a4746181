"""The engines that dbt builds a candidate with: DuckDB here (default), or Spark on a cluster.

What belongs here: what an engine must do, and choosing one. What does not: running dbt (``orchestration.dbt``),
judging a candidate (``expectations``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import duckdb

from ingest.errors import BadInput
from ingest.home import Home
from orchestration.failing import FailingRows

ENGINES: tuple[Literal["duckdb"], Literal["spark"]] = ("duckdb", "spark")
PREVIEW_ROWS = 8


@dataclass(frozen=True)
class Relation:
    """What dbt built: column types, number of rows, the first rows."""

    columns: Mapping[str, str]
    rows: int
    head: list[tuple[Any, ...]]


class Engine(Protocol):
    """What builds a candidate.

    Attributes:
        name: the target of dbt's profile.
        remote: the server that the gate asks too; empty where the gate reads the candidate itself.
        quote: what stands around a name in its SQL.
    """

    name: str
    remote: str
    quote: str

    def candidate(self, home: Home) -> Path:
        """Return where the warehouse is built: a file, or a folder of Parquet files."""

    def settings(self, home: Home) -> dict[str, str]:
        """Return the variables that dbt's profile and sources read."""

    def clear(self, home: Home) -> None:
        """Remove what an earlier build left."""

    def session(self, home: Home) -> AbstractContextManager[None]:
        """Keep what dbt builds readable for several commands, then let go of it."""

    def relations(self, home: Home, models: Iterable[Mapping[str, Any]]) -> dict[str, Relation]:
        """Return what the models of the manifest became, by name; within a session."""

    def reader(self) -> Callable[[str], FailingRows]:
        """Return what reads failing rows; within a session."""

    def finish(self, home: Home, marts: Iterable[str]) -> None:
        """Make the candidate stand alone; within a session.

        Raises:
            OretraceError: it cannot.
        """

    def released(self, home: Home) -> None:
        """Do what can be done only after the session."""

    def open(self, home: Home) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Open the marts of the candidate for reading."""


def engine_named(name: str = "duckdb", remote: str = "") -> Engine:
    """Return an engine.

    Args:
        name: ``duckdb`` or ``spark``.
        remote: a Spark Connect server, ``sc://host:port``.

    Raises:
        BadInput: no such engine, or what it needs is not given, not installed or does not answer.
    """
    if name == "duckdb":
        if remote:
            raise BadInput("--remote goes with --engine spark; DuckDB builds in this process.")
        from orchestration.engines.duck import DuckEngine

        return DuckEngine()
    if name == "spark":
        from orchestration.engines.spark import SparkEngine

        return SparkEngine(remote)
    raise BadInput(f"there is no engine {name!r}. Engines: {', '.join(ENGINES)}.")
