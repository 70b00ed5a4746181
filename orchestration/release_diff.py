"""What changed between two releases: rows by mart, moved figures, claims with another verdict.

What belongs here: comparing two warehouse files, read-only. What does not: publishing them.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import duckdb

from ingest.home import WORK_MEMORY

LARGEST = 10
SHOWN = 5
CELL = ("importer", "material", "stage", "year")
# Measures and what makes them percent.
DEPENDS, DEPENDENCE = "mart_dependence_by_stage", {"nir_pct": 1.0, "top_supplier_import_share": 100.0}
EXPOSED, EXPOSURE = "mart_supplier_exposure", {"face_value_share": 100.0, "processed_in_share": 100.0}


def quoted(path: Path) -> str:
    """Return a path as a SQL string literal."""
    return "'" + str(path).replace("'", "''") + "'"


def compare(previous: Path | None, current: Path) -> dict[str, Any]:
    """Compare two warehouse files.

    Args:
        previous: DuckDB file of the last release; None for the first.
        current: DuckDB file of the new one.

    Returns:
        ``marts``: per mart rows, rows only in the new and only in the last release; ``verdicts``: claims whose
        verdict changed or whose recomputed figure moved by more than its tolerance; ``moved``: the largest
        changes of net import reliance and of the lead supplier's share, in percentage points; ``exposures``: the
        largest changes of face-value and processed-in shares by country; ``vintages``: editions that the last
        release did not have.
    """
    with tempfile.TemporaryDirectory(prefix="oretrace-") as spill, duckdb.connect() as db:
        db.execute(f"set memory_limit = '{WORK_MEMORY}'")
        db.execute(f"set temp_directory = {quoted(Path(spill))}")
        db.execute(f"attach {quoted(current)} as new (read_only)")
        new = _marts(db, "new")
        if previous is None:
            return {
                "marts": {name: {"rows": _count(db, f"new.{name}"), "added": None, "removed": None} for name in new},
                "verdicts": [],
                "moved": [],
                "exposures": [],
                "vintages": [],
            }
        db.execute(f"attach {quoted(previous)} as old (read_only)")
        old = _marts(db, "old")
        both = {*old} & {*new}
        return {
            "marts": {name: _changes(db, name, name in old, name in new) for name in sorted({*old, *new})},
            "verdicts": _verdicts(db) if "mart_claims" in both else [],
            "moved": _moved(db, DEPENDS, CELL, DEPENDENCE) if DEPENDS in both else [],
            "exposures": _moved(db, EXPOSED, (*CELL, "country"), EXPOSURE) if EXPOSED in both else [],
            "vintages": _vintages(db) if "dim_vintage" in both else [],
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
    """Claims in both releases with another verdict, or with a figure that moved by more than its tolerance.

    ``changed`` names what is not as it was, so that a verdict that changed with its tolerance or its published
    figure is told from one that changed with the data. Columns that the last release lacks are null.
    """
    there = {catalog: {name for name, _ in _columns(db, catalog, "mart_claims")} for catalog in ("old", "new")}
    figures = ("recomputed", "tolerance", "published", "reason", "inputs")
    picked = ", ".join(
        f"{f'{side}.{name}' if name in there[catalog] else 'null'} as {name}_{catalog}"
        for name in figures
        for side, catalog in (("o", "old"), ("n", "new"))
    )
    rows = db.execute(
        f"with pairs as (select n.claim, o.verdict as was, n.verdict as now, {picked} "
        "from new.mart_claims n join old.mart_claims o using (claim)) from pairs where was <> now "
        "or abs(recomputed_new::double - recomputed_old::double) > coalesce(tolerance_new::double, 0) order by claim"
    )
    names = [column[0] for column in rows.description]
    return [_verdict(dict(zip(names, row, strict=True))) for row in rows.fetchall()]


def _verdict(row: dict[str, Any]) -> dict[str, Any]:
    comparable = ("recomputed", "published", "tolerance", "inputs")
    return {
        "claim": row["claim"],
        "was": row["was"],
        "is": row["now"],
        "recomputed_was": row["recomputed_old"],
        "recomputed_is": row["recomputed_new"],
        "tolerance": row["tolerance_new"],
        "changed": [name for name in comparable if row[f"{name}_old"] != row[f"{name}_new"]],
        "reason": row["reason_new"],
    }


def verdicts_as_lines(verdicts: list[dict[str, Any]]) -> list[str]:
    """Say claim by claim what changed, one line each: old -> new verdict, the figures, what moved, the reason."""
    lines = []
    for item in verdicts:
        verdict = item["is"] if item["was"] == item["is"] else f"{item['was']} -> {item['is']}"
        was, now = ("none" if item[key] is None else f"{item[key]:,.6g}" for key in ("recomputed_was", "recomputed_is"))
        figure = f"recomputed {was} -> {now}" if was != now else f"recomputed {now}"
        moved = f"; changed: {', '.join(item['changed'])}" if item["changed"] else ""
        reason = f". {item['reason']}" if item["reason"] else ""
        lines.append(f"{item['claim']}: {verdict} ({figure}{moved}){reason}")
    return lines


def changed_claims(folder: Path) -> list[str]:
    """Return the lines on claims of a release's ``diff.json``, for the end of a run.

    Args:
        folder: folder of the release.

    Returns:
        Nothing when no claim changed; otherwise a heading and at most ``SHOWN`` claims.
    """
    verdicts = json.loads((folder / "diff.json").read_text())["verdicts"]
    if not verdicts:
        return []
    more = f" (all of them: {folder / 'diff.md'})" if len(verdicts) > SHOWN else ""
    heading = f"claims with another verdict or figure than in the last release: {len(verdicts)}{more}"
    return [heading, *(f"  {line}" for line in verdicts_as_lines(verdicts[:SHOWN]))]


def _moved(
    db: duckdb.DuckDBPyConnection, mart: str, keys: tuple[str, ...], measures: dict[str, float]
) -> list[dict[str, Any]]:
    """Largest changes of a mart's measures, in percentage points; measures that the last release lacks are left out."""
    columns = {name for name, _ in _columns(db, "old", mart)}
    picked = ", ".join(keys)
    parts = [
        f"select {picked}, '{name}' as measure, o.{name} * {scale} as was, n.{name} * {scale} as now "
        f"from new.{mart} n join old.{mart} o using ({picked}) where abs(n.{name} - o.{name}) > 1e-9"
        for name, scale in measures.items()
        if name in columns
    ]
    if not parts:
        return []
    order = ", ".join(str(1 + nth) for nth in range(len(keys) + 1))
    rows = db.execute(
        f"select * from ({' union all '.join(parts)}) order by abs(now - was) desc, {order} limit {LARGEST}"
    )
    names = [*keys, "measure", "was_pct", "is_pct"]
    return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def _vintages(db: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    query = (
        "select source, vintage from new.dim_vintage except select source, vintage from old.dim_vintage order by all"
    )
    return [{"source": source, "vintage": vintage} for source, vintage in db.execute(query).fetchall()]


def diff_as_markdown(version: str, previous: str | None, diff: dict[str, Any]) -> str:
    """Render a comparison as a short Markdown page."""
    lines = [f"# Release {version}", "", f"Compared with {previous or 'nothing: the first release'}.", ""]
    lines += ["| mart | rows | added | removed |", "|---|---:|---:|---:|"]
    for mart, change in diff["marts"].items():
        added, removed = ("-" if change[key] is None else change[key] for key in ("added", "removed"))
        lines.append(f"| {mart} | {change['rows']} | {added} | {removed} |")
    if diff["verdicts"]:
        lines += ["", "## Claims with another verdict, or a figure beyond its tolerance", ""]
        lines += [f"- {line}" for line in verdicts_as_lines(diff["verdicts"])]
    if diff["vintages"]:
        lines += ["", "## New editions", ""]
        lines += [f"- {item['source']} {item['vintage']}" for item in diff["vintages"]]
    if diff["moved"] or diff["exposures"]:
        lines += ["", "## Largest changes, percentage points", ""]
        for item in [*diff["exposures"], *diff["moved"]]:
            what = " ".join(str(item[name]) for name in (*CELL, "country", "measure") if name in item)
            lines.append(f"- {what}: {item['was_pct']:.1f} -> {item['is_pct']:.1f}")
    return "\n".join(lines) + "\n"
