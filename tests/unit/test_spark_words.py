"""The suites' SQL, written for DuckDB, in Spark's words; what it finds there is compared in the tests of a cluster."""

from __future__ import annotations

import pytest
from sqlglot import exp, parse_one

from expectations.rules import load_suites
from expectations.spark_frames import in_spark


def view(schema: str, table: str) -> str | None:
    return {"": table, "previous": f"previous__{table}"}[schema] if table.startswith("mart_") else None


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("select isfinite(value) as f from mart_x", "SELECT ABS(value) < CAST('infinity' AS DOUBLE) AS f FROM mart_x"),
        (
            "select regexp_full_match(country, '[A-Z]{3}|OTH') as f from mart_x",
            r"SELECT country RLIKE '\\A(?:[A-Z]{3}|OTH)\\z' AS f FROM mart_x",
        ),
        (
            "select p.a from previous.mart_x as p anti join mart_x using (a)",
            "SELECT p.a FROM previous__mart_x AS p ANTI JOIN mart_x USING (a)",
        ),
        (
            "select mart_x.a from previous.mart_x",
            "SELECT mart_x.a FROM previous__mart_x AS mart_x",
        ),
        (
            "with mart_own as (select 1 as a) select a from mart_own",
            "WITH mart_own AS (SELECT 1 AS a) SELECT a FROM mart_own",
        ),
        ('select "from" from "mart_x"', "SELECT `from` FROM mart_x"),
    ],
)
def test_what_engines_say_differently_is_put_in_sparks_words(sql: str, words: str) -> None:
    assert in_spark(sql, view) == words


def test_every_query_of_the_suites_is_understood() -> None:
    queries = {check.query.rstrip().rstrip(";") for suite in load_suites() for check in suite.checks if check.query}
    assert len(queries) > 150
    for query in queries:
        tree = parse_one(in_spark(query, lambda schema, table: f"{schema}__{table}" if schema else None), read="spark")
        assert not [table for table in tree.find_all(exp.Table) if table.db], query
