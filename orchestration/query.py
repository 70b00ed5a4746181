"""One SELECT on the published warehouse, for people who type SQL.

What belongs here: refusing everything but reading, and limits of time and size. What does not: how
results are shown; the lock-down of the connection (``warehouse``).
"""

from __future__ import annotations

import re
import threading
from typing import cast

import duckdb
import polars as pl
import pyarrow as pa

from ingest.errors import BadInput, OretraceError
from orchestration.warehouse import MEMORY, connect, tables

SECONDS = 300.0
LARGEST_RESULT = 2_000_000_000  # bytes
ROWS_AT_ONCE = 100_000
_EXPLAIN = re.compile(r"\s*explain\s+(?:analyze\s+)?(?:\([^)]*\)\s*)?", re.IGNORECASE)


class QueryStopped(OretraceError):
    """The query took more time, memory or rows than is allowed here."""


def read_sql(sql: str, *, seconds: float = SECONDS) -> pl.DataFrame:
    """Run one SELECT (or DESCRIBE, SHOW, SUMMARIZE, EXPLAIN) on the published warehouse.

    Args:
        sql: a single statement.
        seconds: how long it may take.

    Returns:
        Its result.

    Raises:
        BadInput: nothing published, a syntax error, more than one statement, a statement that is
            not a read, or an unknown table or column (with what there is).
        QueryStopped: it took too long, or needs or returns more than is allowed.
    """
    with connect() as db:
        statement = _only_reading(db, sql)
        clock = threading.Timer(seconds, db.interrupt)
        clock.start()
        try:
            return _collect(db, statement)
        except (duckdb.Error, OSError) as error:  # pyarrow passes on what ends a result half-way as OSError
            raise _refusal(error, seconds, tables(db)) from None
        finally:
            clock.cancel()


def _only_reading(db: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    statements = _statements(db, sql)
    kind = statements[0].type
    if kind == duckdb.StatementType.EXPLAIN:
        # EXPLAIN ANALYZE runs what it explains.
        explained = _EXPLAIN.match(sql)
        kind = _statements(db, sql[explained.end() :])[0].type if explained else kind
    if kind != duckdb.StatementType.SELECT:
        raise BadInput(f"only reading is possible here; {kind.name} is refused. Use SELECT.")
    return statements[0]


def _statements(db: duckdb.DuckDBPyConnection, sql: str) -> list[duckdb.Statement]:
    try:
        statements = db.extract_statements(sql)
    except duckdb.Error as error:
        raise BadInput(_first_line(error)) from None
    if len(statements) != 1:
        pivot = " PIVOT needs its columns listed: on verdict in ('reproduced', 'differs')." if "pivot" in sql else ""
        raise BadInput(f"expected one SQL statement, found {len(statements)}.{pivot}")
    return statements


def _collect(db: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> pl.DataFrame:
    reader = db.execute(statement).to_arrow_reader(ROWS_AT_ONCE)
    batches: list[pa.RecordBatch] = []
    size = 0
    for batch in reader:
        batches.append(batch)
        size += batch.nbytes
        if size > LARGEST_RESULT:
            raise QueryStopped(
                f"the result is larger than {LARGEST_RESULT / 1e9:g} GB. Narrow it, or read the Parquet files of the "
                "release, which are in warehouse/current"
            )
    try:
        return cast("pl.DataFrame", pl.from_arrow(pa.Table.from_batches(batches, schema=reader.schema)))
    except pl.exceptions.PolarsError:
        kinds = ", ".join(f"{field.name} ({field.type})" for field in reader.schema)
        raise BadInput(f"a column's type cannot be shown; cast it, e.g. cast(x as varchar). Columns: {kinds}") from None


def _refusal(error: Exception, seconds: float, known: list[str]) -> OretraceError:
    said = _first_line(error)
    if "INTERRUPT Error" in said:
        return QueryStopped(f"the query was stopped after {seconds:g} s. Narrow it, or give --seconds.")
    if "Out of Memory Error" in said:
        return QueryStopped(
            f"the query needs more than {MEMORY} of memory. Narrow it, or from Python: oretrace.connect(memory=...)"
        )
    if said.startswith("Catalog Error"):
        return BadInput(f"{said} Tables: {', '.join(known)}.")
    return BadInput(said)


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("LINE")]
    return " ".join(line.strip() for line in lines if set(line.strip()) != {"^"})
