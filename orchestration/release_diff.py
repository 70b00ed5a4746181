"""What changed between two releases: rows by mart, moved figures, claims with another verdict.

What belongs here: comparing two warehouse files, read-only. What does not: publishing them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

LARGEST = 10


def quoted(path: Path) -> str:
    """Return a path as a SQL string literal."""
    return "'" + str(path).replace("'", "''") + "'"


def compare(previous: Path | None, current: Path) -> dict[str, Any]:
    """Compare two warehouse files.

    Args:
        previous: DuckDB file of the last release; None for the first.
        current: DuckDB file of the new one.

    Returns:
        ``marts``: per mart rows, rows only in the new and only in the last release; ``verdicts``: claims
        whose verdict changed; ``moved``: the largest changes of net import reliance and of the lead
        supplier's share, in percentage points.
    """
    with duckdb.connect() as db:
        db.execute(f"attach {quoted(current)} as new (read_only)")
        new = _marts(db, "new")
        if previous is None:
            return {
                "marts": {name: {"rows": _count(db, f"new.{name}"), "added": None, "removed": None} for name in new},
                "verdicts": [],
                "moved": [],
            }
        db.execute(f"attach {quoted(previous)} as old (read_only)")
        old = _marts(db, "old")
        return {
            "marts": {name: _changes(db, name, name in old, name in new) for name in sorted({*old, *new})},
            "verdicts": _verdicts(db) if {"mart_claims"} <= {*old} & {*new} else [],
            "moved": _moved(db) if {"mart_dependence_by_stage"} <= {*old} & {*new} else [],
        }


def _marts(db: duckdb.DuckDBPyConnection, catalog: str) -> list[str]:
    query = "select table_name from duckdb_tables() where database_name = ? and not internal order by 1"
    return [name for (name,) in db.execute(query, [catalog]).fetchall()]


def _count(db: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = db.execute(f"select count(*) from {relation}").fetchone()
    return int(row[0]) if row else 0


def _changes(db: duckdb.DuckDBPyConnection, name: str, in_old: bool, in_new: bool) -> dict[str, Any]:
    if not in_new:
        return {"rows": 0, "added": 0, "removed": _count(db, f"old.{name}")}
    if not in_old or _columns(db, "old", name) != _columns(db, "new", name):
        return {"rows": _count(db, f"new.{name}"), "added": None, "removed": None}
    return {
        "rows": _count(db, f"new.{name}"),
        "added": _count(db, f"(from new.{name} except all from old.{name})"),
        "removed": _count(db, f"(from old.{name} except all from new.{name})"),
    }


def _columns(db: duckdb.DuckDBPyConnection, catalog: str, name: str) -> list[tuple[Any, ...]]:
    query = (
        "select column_name, data_type from duckdb_columns() where database_name = ? and table_name = ? "
        "order by column_index"
    )
    return db.execute(query, [catalog, name]).fetchall()


def _verdicts(db: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    rows = db.execute(
        "select n.claim, o.verdict, n.verdict from new.mart_claims n join old.mart_claims o using (claim) "
        "where o.verdict <> n.verdict order by 1"
    ).fetchall()
    return [{"claim": claim, "was": was, "is": now} for claim, was, now in rows]


def _moved(db: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    measures = {"nir_pct": 1.0, "top_supplier_import_share": 100.0}
    columns = {name for name, _ in _columns(db, "old", "mart_dependence_by_stage")}
    parts = [
        f"select importer, material, stage, year, '{name}' as measure, o.{name} * {scale} as was, "
        f"n.{name} * {scale} as now from new.mart_dependence_by_stage n "
        "join old.mart_dependence_by_stage o using (importer, material, stage, year) "
        f"where abs(n.{name} - o.{name}) > 1e-9"
        for name, scale in measures.items()
        if name in columns
    ]
    if not parts:
        return []
    rows = db.execute(
        f"select * from ({' union all '.join(parts)}) order by abs(now - was) desc, 1, 2, 3, 4, 5 limit {LARGEST}"
    )
    names = ["importer", "material", "stage", "year", "measure", "was_pct", "is_pct"]
    return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def diff_as_markdown(version: str, previous: str | None, diff: dict[str, Any]) -> str:
    """Render a comparison as a short Markdown page."""
    lines = [f"# Release {version}", "", f"Compared with {previous or 'nothing: the first release'}.", ""]
    lines += ["| mart | rows | added | removed |", "|---|---:|---:|---:|"]
    for mart, change in diff["marts"].items():
        added, removed = ("-" if change[key] is None else change[key] for key in ("added", "removed"))
        lines.append(f"| {mart} | {change['rows']} | {added} | {removed} |")
    if diff["verdicts"]:
        lines += ["", "## Claims with another verdict", ""]
        lines += [f"- {item['claim']}: {item['was']} -> {item['is']}" for item in diff["verdicts"]]
    if diff["moved"]:
        lines += ["", "## Largest changes, percentage points", ""]
        lines += [
            f"- {item['importer']} {item['material']} {item['stage']} {item['year']} {item['measure']}: "
            f"{item['was_pct']:.1f} -> {item['is_pct']:.1f}"
            for item in diff["moved"]
        ]
    return "\n".join(lines) + "\n"
