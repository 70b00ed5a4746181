"""One SELECT on the published warehouse, for people who type SQL.

What belongs here: refusing everything but reading. What does not: how results are shown.
"""

from __future__ import annotations

import duckdb
import polars as pl

from ingest.errors import BadInput
from orchestration.warehouse import connect, tables


def read_sql(sql: str) -> pl.DataFrame:
    """Run one SELECT (or DESCRIBE, SHOW, EXPLAIN) on the published warehouse.

    Args:
        sql: a single statement.

    Returns:
        Its result.

    Raises:
        BadInput: nothing published, a syntax error, more than one statement, a statement that is
            not a read, or an unknown table or column (with what there is).
    """
    with connect() as db:
        try:
            statements = db.extract_statements(sql)
        except duckdb.Error as error:
            raise BadInput(_first_line(error)) from None
        if len(statements) != 1:
            raise BadInput(f"expected one SQL statement, found {len(statements)}.")
        kind = statements[0].type
        if kind not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
            raise BadInput(f"only reading is possible here; {kind.name} is refused. Use SELECT.")
        try:
            return db.execute(statements[0]).pl()
        except duckdb.CatalogException as error:
            raise BadInput(f"{_first_line(error)} Tables: {', '.join(tables(db))}.") from None
        except duckdb.Error as error:
            raise BadInput(_first_line(error)) from None


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("LINE")]
    return " ".join(line.strip() for line in lines if set(line.strip()) != {"^"})
