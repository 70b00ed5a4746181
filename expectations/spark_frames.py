"""Frames of a Parquet candidate on Spark: queries and Great Expectations both run on the cluster.

What belongs here: reading Parquet through Spark Connect, counting, and the suites' SQL in Spark's words. What does
not: judging (``adapter``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from expectations.frames import Frame
from ingest.errors import OretraceError


class SparkFrames:
    """See ``frames.Frames``."""

    def __init__(self, remote: str, candidate: Path, previous: Path | None) -> None:
        """Open a session and see which tables there are; they are read when a query names them.

        Args:
            remote: the Spark Connect server, ``sc://host:port``.
            candidate: folder of a Parquet file per mart.
            previous: folder of the last release, which has such files too; None on the first.
        """
        self.session = session(remote)
        self.engine = f"on Spark {self.session.version}"
        self.folders = {"": candidate} | ({"previous": previous} if previous else {})
        self.previous = frozenset(path.stem for path in previous.glob("*.parquet")) if previous else None
        self.unreadable: tuple[type[Exception], ...] = (_spark_error(), SqlglotError)

    def batches(self, gx: Any) -> Any:
        """Take any Spark frame."""
        return _batches(gx)

    def columns(self, mart: str) -> list[str]:
        """Ask Spark."""
        return list(self._table("", mart).columns)

    @contextmanager
    def read(self, sql: str, *, ordered: bool) -> Iterator[Frame]:
        """Keep the rows on the cluster for the block: several checks read them."""
        frame = self.session.sql(in_spark(sql, self._view))
        decimals = [name for name, kind in frame.dtypes if kind.startswith("decimal")]
        # Spark reads 0.5 in a query as a decimal; a figure is a double.
        frame = frame.withColumns({name: frame[name].cast("double") for name in decimals}) if decimals else frame
        frame = (frame.orderBy(*frame.columns) if ordered else frame).persist()
        try:
            yield frame
        finally:
            frame.unpersist()

    def names(self, frame: Frame) -> list[str]:
        """Return the columns."""
        return list(frame.columns)

    def counts(self, frame: Frame, groups: Sequence[tuple[str, ...]]) -> list[int]:
        """Count in one pass."""
        distinct = list(dict.fromkeys(groups))
        having = (" and ".join(f"`{name}` is not null" for name in group) or "true" for group in distinct)
        row = frame.selectExpr(*(f"count_if({condition}) as c{n}" for n, condition in enumerate(having))).first()
        found = dict(zip(distinct, map(int, row), strict=True))
        return [found[group] for group in groups]

    def first(self, frame: Frame, rows: int) -> list[Mapping[str, Any]]:
        """Return the first rows."""
        return [row.asDict() for row in frame.limit(rows).collect()]

    def _view(self, schema: str, table: str) -> str | None:
        """Make a table of the candidate or of the last release readable; None for a name that is neither."""
        if schema not in self.folders or not (self.folders[schema] / f"{table}.parquet").is_file():
            return None
        name = f"{schema}__{table}" if schema else table
        self._table(schema, table).createOrReplaceTempView(name)
        return name

    def _table(self, schema: str, table: str) -> Frame:
        return self.session.read.parquet((self.folders[schema] / f"{table}.parquet").absolute().as_uri())


@contextmanager
def open_candidate(remote: str, candidate: Path, previous: Path | None) -> Iterator[SparkFrames]:
    """Open a Parquet candidate; ``previous`` is any file of the last release's folder.

    Raises:
        OretraceError: the candidate is not there.
    """
    if not candidate.is_dir():
        raise OretraceError(f"the candidate warehouse {candidate} is not there.")
    yield SparkFrames(remote, candidate, previous.parent if previous else None)


def in_spark(sql: str, view: Any) -> str:
    """Return a query of a suite, written for DuckDB, in Spark's words.

    Args:
        sql: the query.
        view: gives the name that a table, by schema and name, is read under; None leaves it.

    Raises:
        sqlglot.errors.SqlglotError: it cannot be understood.
    """
    tree = parse_one(sql, read="duckdb")
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        name = None if table.name in own and not table.db else view(table.db, table.name)
        if name:
            alias = table.alias_or_name
            table.set("db", None)
            table.set("this", exp.to_identifier(name))
            if name != alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
    return tree.transform(_spark_function).sql("spark")


def _spark_function(node: exp.Expression) -> exp.Expression:
    """Functions that Spark lacks and sqlglot leaves as they are."""
    if isinstance(node, exp.Anonymous) and node.name.lower() == "isfinite":
        # For Spark not-a-number is larger than infinity.
        return exp.LT(
            this=exp.Abs(this=node.expressions[0]),
            expression=exp.cast(exp.Literal.string("infinity"), exp.DataType.Type.DOUBLE),
        )
    if isinstance(node, exp.RegexpFullMatch):
        return exp.RegexpLike(this=node.this, expression=exp.Literal.string(rf"\A(?:{node.expression.name})\z"))
    return node


def session(remote: str) -> Any:
    """Return this process's session with a Spark Connect server."""
    os.environ["SPARK_REMOTE"] = remote  # dbt and Great Expectations ask for "the" session
    from pyspark.sql import SparkSession

    return SparkSession.builder.remote(remote).getOrCreate()


def _spark_error() -> type[Exception]:
    from pyspark.errors import PySparkException

    raised: type[Exception] = PySparkException
    return raised


@cache
def _batches(gx: Any) -> Any:
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    # Frames are kept for a block by whoever reads them; Great Expectations would never let go of one.
    asset = context.data_sources.add_spark("candidate", persist=False).add_dataframe_asset("frame")
    return asset.add_batch_definition_whole_dataframe("all rows")
