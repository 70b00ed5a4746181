"""Column lineage read from SQL: through common table expressions, joins, unions and files; not through filters."""

from __future__ import annotations

import dagster as dg
import pytest
from sqlglot.errors import SqlglotError

from orchestration.lineage import Parent, as_markdown, column_lineage, leads_back

FACTS = Parent(dg.AssetKey(["staging", "stg_facts"]), {"country": "VARCHAR", "t": "DOUBLE", "year": "INTEGER"})
NAMES = Parent(dg.AssetKey(["canonical", "names"]), {"iso3": "varchar", "name": "varchar"})
PARENTS = {"stg_facts": FACTS, "names.parquet": NAMES}


def deps(sql: str) -> dict[str, set[str]]:
    found = column_lineage(sql, PARENTS).deps_by_column
    return {
        column: {f"{dep.asset_key.path[-1]}.{dep.column_name}" for dep in origins} for column, origins in found.items()
    }


def test_a_column_is_traced_through_expressions_and_common_tables() -> None:
    sql = """
        with facts as (select country, year, sum(t) as total from "scratch"."staging"."stg_facts" group by all)
        select f.country as who, f.total / max(f.total) over (partition by f.year) as share, 1 as one from facts as f
    """
    assert deps(sql) == {"who": {"stg_facts.country"}, "share": {"stg_facts.t", "stg_facts.year"}, "one": set()}


def test_a_column_without_a_table_name_is_found_in_the_file_that_has_it() -> None:
    sql = """
        select name, t from "scratch"."staging"."stg_facts" as s left join '/home/a b/names.parquet' on country = iso3
    """
    assert deps(sql) == {"name": {"names.name"}, "t": {"stg_facts.t"}}


def test_both_sides_of_a_union_count_and_a_filter_does_not() -> None:
    sql = """
        select country as label from "scratch"."staging"."stg_facts" where year > 2000
        union all select name from '/elsewhere/names.parquet'
    """
    assert deps(sql) == {"label": {"stg_facts.country", "names.name"}}


def test_a_table_of_the_query_that_is_named_like_a_parent_is_not_taken_for_it() -> None:
    sql = """
        with stg_facts as (select name as country from '/elsewhere/names.parquet') select country from stg_facts
    """
    assert deps(sql) == {"country": {"names.name"}}


def test_star_is_spelled_out() -> None:
    sql = 'select * from "scratch"."staging"."stg_facts"'
    assert deps(sql) == {name: {f"stg_facts.{name}"} for name in FACTS.columns}


def test_sql_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(SqlglotError):
        deps("select from where")


def test_columns_are_followed_back_to_where_they_come_from_and_shown_with_links() -> None:
    facts, mart = dg.AssetKey(["staging", "stg_facts"]), dg.AssetKey(["marts", "mart"])
    raw = dg.TableColumnDep(dg.AssetKey(["canonical", "facts"]), "quantity_t")
    found = {
        facts: dg.TableColumnLineage({"t": [raw]}),
        mart: dg.TableColumnLineage({"share": [dg.TableColumnDep(facts, "t")], "rows": []}),
    }
    ends = leads_back(found)
    assert ends == {facts: {"t": {raw}}, mart: {"share": {raw}, "rows": set()}}
    assert as_markdown(found[mart], ends[mart]).splitlines()[2:] == [
        "| share | [stg_facts](/assets/staging/stg_facts) t | canonical/facts quantity_t |",
        "| rows | no column (a constant, or a count of rows) |  |",
    ]
