"""Spark builds the candidate on a cluster, through Spark Connect: a folder of one Parquet file per mart.

What belongs here: whether the cluster can be used, the tables of a build on it, and bringing the marts home. What does
not: running dbt (``orchestration.dbt``), the gate on Spark (``expectations.spark_frames``).

The cluster must see ``ORETRACE_HOME`` under the same path as this machine (one machine, or a shared file system).
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import socket
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import duckdb

from ingest.errors import BadInput, OretraceError
from ingest.home import Home
from orchestration.candidate import write_parquet
from orchestration.engines import PREVIEW_ROWS, Relation
from orchestration.failing import SAMPLE_ROWS, FailingRows

NEEDED = {"pyspark": "pyspark", "grpc": "grpcio", "dbt.adapters.spark": "dbt-spark"}
# Schemas of a build, after the prefix of the home; marts have the prefix alone.
LAYERS = ("", "_staging", "_intermediate", "_canonical", "_traced")
KNOCK_S = 5.0
PATIENCE_S = 120.0  # a cluster that is idle may have to start executors


class SparkEngine:
    """See ``Engine``."""

    name = "spark"
    quote = "`"

    def __init__(self, remote: str) -> None:
        """Make sure that the cluster can be used, before anything is begun.

        Args:
            remote: the Spark Connect server, ``sc://host:port``.

        Raises:
            BadInput: it is no such address, what is needed is not installed, or no rows come from there.
        """
        self.remote = remote
        host, port = _address(remote)
        missing = [package for module, package in NEEDED.items() if not _installed(module)]
        if missing:
            raise BadInput(
                f"the engine spark needs {' and '.join(missing)}, not installed here. Install: pip install "
                "'oretrace[spark]' (from a clone: make scale)"
            )
        try:
            socket.create_connection((host, port), KNOCK_S).close()
        except OSError as error:
            raise BadInput(
                f"nothing answers at {remote} ({error.strerror or error}). Start a Spark Connect server there "
                "(docs/spark.md) or name another with --remote."
            ) from None
        self.spark = _usable_session(remote)

    def candidate(self, home: Home) -> Path:
        """Return the folder."""
        return home.build / "candidate"

    def settings(self, home: Home) -> dict[str, str]:
        """Name the server, the schemas, the folder for tables; the DuckDB profile is read too."""
        return {
            "ORETRACE_CANDIDATE": str(home.build / "candidate.duckdb"),
            "ORETRACE_SPARK_REMOTE": self.remote,
            "ORETRACE_SPARK_SCHEMA": self._schema(home),
            "ORETRACE_SPARK_FOLDER": self._tables(home).as_uri(),
        }

    def clear(self, home: Home) -> None:
        """Remove the folders."""
        for folder in (self.candidate(home), self._tables(home)):
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def session(self, home: Home) -> Iterator[None]:
        """Give dbt the canonical tables; afterwards leave nothing in the cluster's catalog, nor the tables' files.

        Raises:
            OretraceError: the cluster does not see the home.
        """
        try:
            self._drop_schemas(home)
            self._register(home)
            yield
        finally:
            self._drop_schemas(home)
            shutil.rmtree(self._tables(home), ignore_errors=True)

    def relations(self, home: Home, models: Iterable[Mapping[str, Any]]) -> dict[str, Relation]:
        """Count tables in their files, which takes no job of the cluster, and views on the cluster."""
        found = {}
        with duckdb.connect() as db:
            for model in models:
                files = self._tables(home) / model["name"]
                if files.is_dir():
                    rows = db.read_parquet(str(files / "*.parquet"))
                    counted = rows.count("*").fetchone()
                    types = dict(zip(rows.columns, map(str, rows.types), strict=True))
                    head = rows.limit(PREVIEW_ROWS).fetchall()
                    found[model["name"]] = Relation(types, int(counted[0]) if counted else 0, head)
                else:
                    frame = self.spark.table(f"{model['schema']}.{model['name']}")
                    head = [tuple(row) for row in frame.limit(PREVIEW_ROWS).collect()]
                    found[model["name"]] = Relation(dict(frame.dtypes), frame.count(), head)
        return found

    def reader(self) -> Callable[[str], FailingRows]:
        """Read on the cluster."""

        def read(sql: str) -> FailingRows:
            frame = self.spark.sql(sql)
            rows = [tuple(row) for row in frame.orderBy(*frame.columns).limit(SAMPLE_ROWS).collect()]
            return FailingRows(tuple(frame.columns), rows, frame.count())

        return read

    def finish(self, home: Home, marts: Iterable[str]) -> None:
        """Write one ordered Parquet file per mart, as a release holds them.

        Raises:
            OretraceError: rows that Spark counts are not in the files here.
        """
        self.candidate(home).mkdir(parents=True)
        with duckdb.connect() as db:
            for mart in marts:
                files = str(self._tables(home) / mart / "*.parquet")
                counted = self.spark.table(f"{self._schema(home)}.{mart}").count()
                try:
                    written = write_parquet(db, db.read_parquet(files), self.candidate(home) / f"{mart}.parquet")
                except duckdb.IOException:
                    written = 0
                if written != counted:
                    raise OretraceError(
                        f"Spark wrote {counted} rows of {mart} and {written} are in {files}: its workers must see "
                        f"{home.root} as the same folder. Nothing is published."
                    )

    def released(self, home: Home) -> None:
        """Nothing is left to do."""

    @contextmanager
    def open(self, home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
        """Show the files as tables."""
        with duckdb.connect() as db:
            for file in sorted(self.candidate(home).glob("*.parquet")):
                db.read_parquet(str(file)).create_view(file.stem)
            yield db

    def _tables(self, home: Home) -> Path:
        return home.build.absolute() / "spark"

    def _schema(self, home: Home) -> str:
        """A cluster has one catalog for everybody; each home has names of its own."""
        return f"oretrace_{hashlib.sha256(str(home.root).encode()).hexdigest()[:10]}"

    def _drop_schemas(self, home: Home) -> None:
        for layer in LAYERS:
            self.spark.sql(f"drop schema if exists {self._schema(home)}{layer} cascade")

    def _register(self, home: Home) -> None:
        """Show the canonical Parquet files as tables."""
        schema = self._schema(home)
        for layer in ("_canonical", "_traced"):
            self.spark.sql(f"create schema {schema}{layer}")
        for file in sorted(home.canonical.absolute().glob("*.parquet")):
            traced = file.stem.startswith("traced_")
            table = f"_traced.{file.stem.removeprefix('traced_')}" if traced else f"_canonical.{file.stem}"
            location = file.as_uri().replace("'", "%27")
            try:
                self.spark.sql(f"create table {schema}{table} using parquet location '{location}'")
            except Exception as error:
                raise OretraceError(
                    f"Spark at {self.remote} cannot read {file}: it must see {home.root} as the same folder as this "
                    f"machine. {_first_line(error)}"
                ) from None


def _address(remote: str) -> tuple[str, int]:
    """Return host and port of ``sc://host:port``, with or without ``/;parameters``."""
    try:
        parts = urlparse(remote)
        if parts.scheme == "sc" and parts.hostname:
            return parts.hostname, parts.port or 15002
    except ValueError:
        pass
    given = f"found {remote!r}" if remote else "none is given"
    raise BadInput(f"--engine spark needs a Spark Connect server, --remote sc://host:port; {given}.")


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _usable_session(remote: str) -> Any:
    """Open the session and get a first row, which takes a worker.

    Raises:
        BadInput: what answers is no Spark Connect server, or has no worker to give.
    """
    # dbt asks for a Hive catalog with every statement and is told each time that this is the server's business.
    warnings.filterwarnings("ignore", message="Failed to set spark.sql.catalogImplementation")
    # Failed statements are told of in our own words, not as pages of JSON.
    logging.getLogger("SQLQueryContextLogger").disabled = True
    logging.getLogger("DataFrameQueryContextLogger").disabled = True
    from expectations.spark_frames import session

    answer: list[Any] = []

    def ask() -> None:
        try:
            spark = session(remote)
            spark.range(1).count()
            answer.append(spark)
        except Exception as error:
            answer.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE_S)
    if not answer:
        raise BadInput(f"{remote} gave no row in {PATIENCE_S:.0f} s: no Spark Connect server, or one without workers.")
    if isinstance(answer[0], Exception):
        raise BadInput(f"{remote} cannot be used: {_first_line(answer[0])}")
    return answer[0]


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
