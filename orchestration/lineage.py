"""Column lineage of dbt models: which columns of its parents a column is made of, read from compiled SQL.

What belongs here: asking sqlglot, following columns back, and showing them: Dagster's own server draws no column
lineage. What does not: how dbt compiles. dagster-dbt can read the
same, but parses each model once per column (over ten seconds for this project, this takes one) and cannot name the
Parquet files that staging reads. A column counts when its value enters the other; one that only joins, filters or
groups does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from sqlglot import exp, parse_one
from sqlglot.lineage import Node, lineage

DIALECT = "duckdb"


@dataclass(frozen=True)
class Parent:
    """A table that a model reads.

    Attributes:
        key: its asset.
        columns: its columns and their types.
    """

    key: dg.AssetKey
    columns: Mapping[str, str]


def column_lineage(sql: str, parents: Mapping[str, Parent]) -> dg.TableColumnLineage:
    """Trace every column of a query to columns of the tables it reads.

    Args:
        sql: one compiled SELECT.
        parents: by the last part of the name it is read under: a model's name, or a file's (``production.parquet``).

    Raises:
        sqlglot.errors.SqlglotError: the SQL cannot be understood.
    """
    tree = parse_one(sql, dialect=DIALECT)
    names = {f"parent {place}": parent for place, parent in enumerate(parents.values())}
    short = dict(zip(parents, names, strict=True))
    for table in list(tree.find_all(exp.Table)):
        name = Path(table.name).name
        # A name without a schema is one of the query's own; files have none, but an ending that no such name has.
        if name in short and (table.db or "." in name):
            table.replace(
                exp.Table(
                    this=exp.to_identifier(short[name], quoted=True),
                    alias=exp.TableAlias(this=exp.to_identifier(table.alias_or_name, quoted=True)),
                )
            )
    schema = {name: dict(parent.columns) for name, parent in names.items()}
    # trim_selects and copy only make a drawing nicer, and cost most of the time.
    found = lineage(None, tree, schema, dialect=DIALECT, trim_selects=False, copy=False)
    return dg.TableColumnLineage({column.lower(): _origins(node, names) for column, node in found.items()})


def _origins(node: Node, names: Mapping[str, Parent]) -> list[dg.TableColumnDep]:
    """Return the ends of the walk that are columns of a parent, in order."""
    ends = {
        (names[end.expression.name].key, exp.to_column(end.name).name.lower())
        for end in node.walk()
        if not end.downstream and isinstance(end.expression, exp.Table) and end.expression.name in names
    }
    return [dg.TableColumnDep(key, column) for key, column in sorted(ends)]


Ends = Mapping[dg.AssetKey, Mapping[str, set[dg.TableColumnDep]]]


def leads_back(found: Mapping[dg.AssetKey, dg.TableColumnLineage]) -> Ends:
    """Follow every column of every model to the columns outside the models that it is made of.

    Args:
        found: lineage of each model; parents that are not in it are where a column comes from.
    """
    ends: dict[dg.AssetKey, dict[str, set[dg.TableColumnDep]]] = {}

    def follow(key: dg.AssetKey, column: str) -> set[dg.TableColumnDep]:
        known = ends.setdefault(key, {})
        if column not in known:
            known[column] = set()
            for origin in found[key].deps_by_column.get(column, ()):
                inner = origin.asset_key in found
                known[column] |= follow(origin.asset_key, origin.column_name) if inner else {origin}
        return known[column]

    for key, lineage_of in found.items():
        for column in lineage_of.deps_by_column:
            follow(key, column)
    return ends


def as_markdown(lineage_of: dg.TableColumnLineage, ends: Mapping[str, set[dg.TableColumnDep]]) -> str:
    """Render the lineage of one model: each column, what it is made of (linked), and where that comes from."""

    def linked(origin: dg.TableColumnDep) -> str:
        return f"[{origin.asset_key.path[-1]}](/assets/{'/'.join(origin.asset_key.path)}) {origin.column_name}"

    def named(origin: dg.TableColumnDep) -> str:
        return f"{origin.asset_key.to_user_string()} {origin.column_name}"

    lines = ["| column | made of | which comes from |", "|---|---|---|"]
    for column, origins in lineage_of.deps_by_column.items():
        made = ", ".join(map(linked, origins)) or "no column (a constant, or a count of rows)"
        lines.append(f"| {column} | {made} | {', '.join(sorted(map(named, ends[column])))} |")
    return "\n".join(lines)
