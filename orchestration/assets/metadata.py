"""What Dagster shows of a table: rows, columns, a preview.

What belongs here: turning a frame into Dagster metadata. What does not: the assets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg
import polars as pl

OWNERS = ["team:oretrace"]
PREVIEW_ROWS = 8


def preview(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Render rows as a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(map(_cell, row)) + " |" for row in rows])


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:,.6g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def table_metadata(frame: pl.DataFrame) -> dict[str, dg.MetadataValue]:
    """Return row count, column schema and preview of a frame."""
    return {
        "dagster/row_count": dg.MetadataValue.int(frame.height),
        "dagster/column_schema": dg.MetadataValue.table_schema(column_schema(frame.schema)),
        "preview": dg.MetadataValue.md(preview(frame.columns, frame.head(PREVIEW_ROWS).iter_rows())),
    }


def column_schema(schema: Mapping[str, pl.DataType]) -> dg.TableSchema:
    """Return a polars schema as Dagster shows it."""
    return dg.TableSchema([dg.TableColumn(name, str(kind)) for name, kind in schema.items()])


def vintages(frame: pl.DataFrame) -> dict[str, list[str]]:
    """Return the vintages of each source that a frame's rows come from."""
    if not {"source", "vintage"} <= set(frame.columns):
        return {}
    pairs = frame.select("source", "vintage").unique().sort("source", "vintage")
    found: dict[str, list[str]] = {}
    for source, vintage in pairs.iter_rows():
        found.setdefault(source, []).append(vintage)
    return found
