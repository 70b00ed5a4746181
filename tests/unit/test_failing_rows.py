"""The rows behind a failed dbt test are named by the key of their table, and counted."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from orchestration.failing import FailingRows, keys, query, read

TABLE = """
    create table mart as
    select 'm' || i as material, case when i < 12 then null else i / 10.0 end as share, 'CHN' as country
    from range(15) t(i)
"""
# Compiled SQL as dbt writes it: the column alone, a group per value, or a row with its copies.
COMPILED = {
    "not_null": ("share", "select share\nfrom mart\nwhere share is null -- nulls"),
    "within": ("share", "select share from mart where share < 0 or share > 1.3"),
    "accepted_values": ("country", "select country as value_field, count(*) as n from mart group by all"),
    "unique_together": (None, "select country, count(*) as row_count from mart group by country having count(*) > 1"),
}
FOUND = {
    "not_null": (("material", "share"), ("m0", None), 12),
    "within": (("material", "share"), ("m14", 1.4), 1),
    "accepted_values": (("material", "country"), ("m0", "CHN"), 15),
    "unique_together": (("country", "row_count"), ("CHN", 15), 1),
}


def found(name: str, key: list[str]) -> FailingRows:
    column, compiled = COMPILED[name]
    test: dict[str, Any] = {"compiled_code": compiled, "column_name": column, "test_metadata": {"name": name}}
    with duckdb.connect() as db:
        db.execute(TABLE)
        return read(db.cursor(), query(test, '"mart"', key))


@pytest.mark.parametrize("name", COMPILED)
def test_rows_of_a_failed_test_are_named_by_the_key(name: str) -> None:
    columns, first, count = FOUND[name]
    rows = found(name, ["material"])
    assert (rows.columns, rows.rows[0], rows.count) == (columns, first, count)
    assert len(rows.rows) == min(count, 10)


def test_a_table_without_a_declared_key_shows_the_column() -> None:
    assert found("within", []).columns == ("share",)


def test_the_key_is_what_the_test_of_uniqueness_declares() -> None:
    def node(name: str, model: str, **kwargs: object) -> dict[str, Any]:
        return {"test_metadata": {"name": name, "kwargs": kwargs}, "attached_node": model}

    nodes = [
        node("not_null", "a", column_name="x"),
        node("unique_together", "a", columns=["x", "y"]),
        node("unique", "b", column_name="z"),
        {"resource_type": "model"},
    ]
    assert keys(nodes) == {"a": ["x", "y"], "b": ["z"]}
