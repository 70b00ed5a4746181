"""The rows that a failed dbt test found, in columns that name them.

What belongs here: the query behind a failed test. What does not: running dbt, and how the rows are shown. A test on a
column returns that column only (nulls, for ``not_null``): here the key of the table stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

SAMPLE_ROWS = 10
KEY_TESTS = ("unique_together", "unique")


@dataclass(frozen=True)
class FailingRows:
    """What a failed test found: the first rows, column by column, and how many there are in all."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    count: int


def keys(nodes: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the key columns of each model by its ``unique_id``, as its test of uniqueness declares them."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        test = node.get("test_metadata") or {}
        if test.get("name") in KEY_TESTS:
            columns = test["kwargs"].get("columns") or [test["kwargs"]["column_name"]]
            found.setdefault(str(node["attached_node"]), list(columns))
    return found


def query(test: Mapping[str, Any], relation: str, key: Sequence[str], quote: str = '"') -> str:
    """Return the SELECT of the rows that fail a test.

    Args:
        test: the compiled node of the test.
        relation: quoted name of the table it tests.
        key: columns that name a row of the table.
        quote: what stands around a name.
    """
    # On a line of its own: the compiled SQL may end in a comment.
    compiled = f"(\n{test['compiled_code']}\n)"
    column = test.get("column_name")
    if not column:
        return f"select * from {compiled}"
    if test["test_metadata"]["name"] == "not_null":
        where = f"{quote}{column}{quote} is null"
    else:
        where = f"{quote}{column}{quote} in (select found from {compiled} as failing (found))"
    shown = ", ".join(f"{quote}{name}{quote}" for name in dict.fromkeys((*key, column)))
    return f"select {shown} from {relation} where {where}"


def read(cursor: duckdb.DuckDBPyConnection, sql: str) -> FailingRows:
    """Read the first failing rows and count all of them."""
    counted = cursor.execute(f"select count(*) from ({sql})").fetchone()
    rows = cursor.execute(f"select * from ({sql}) order by all limit {SAMPLE_ROWS}").fetchall()
    columns = tuple(str(item[0]) for item in cursor.description or ())
    return FailingRows(columns, rows, int(counted[0]) if counted else 0)
