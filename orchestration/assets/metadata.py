"""What Dagster shows of a table: rows, columns, a preview.

What belongs here: turning a frame into Dagster metadata. What does not: the assets.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from ingest.home import PROJECT
from ingest.tables import table_bytes

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


def table_metadata(path: Path) -> dict[str, dg.MetadataValue]:
    """Return row count, columns, preview, place and size of the table that was written to ``path``."""
    table = pl.scan_parquet(path)
    schema = table.collect_schema()
    return {
        "dagster/row_count": dg.MetadataValue.int(table.select(pl.len()).collect().item()),
        "dagster/column_schema": dg.MetadataValue.table_schema(column_schema(schema)),
        "preview": dg.MetadataValue.md(preview(schema.names(), table.head(PREVIEW_ROWS).collect().iter_rows())),
        "dagster/uri": dg.MetadataValue.text(path.resolve().as_uri()),
        "bytes": dg.MetadataValue.int(table_bytes(path)),
    }


def column_schema(schema: Mapping[str, pl.DataType]) -> dg.TableSchema:
    """Return a polars schema as Dagster shows it."""
    return dg.TableSchema([dg.TableColumn(name, str(kind)) for name, kind in schema.items()])


def rows_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.TableMetadataValue:
    """Return rows as a table of the UI; what is no number, text or truth value is shown as text."""
    shown = [{name: _scalar(value) for name, value in zip(columns, row, strict=True)} for row in rows]
    kinds = {name: next((type(row[name]).__name__ for row in shown if row[name] is not None), "") for name in columns}
    schema = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in kinds.items()])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in shown], schema)


def _scalar(value: object) -> str | int | float | bool | None:
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def code_references(code: Path | Callable[..., Any]) -> dict[str, dg.MetadataValue]:
    """Return where the code behind an asset is, a file or the file of a function, as the UI links it."""
    path = code if isinstance(code, Path) else Path(inspect.getfile(code))
    label = path.relative_to(PROJECT).as_posix()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # one per asset at every start
        here = dg.LocalFileCodeReference(file_path=str(path), label=label)
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[here])}


def vintages(table: pl.LazyFrame) -> dict[str, list[str]]:
    """Return the vintages of each source that a table's rows come from."""
    if not {"source", "vintage"} <= set(table.collect_schema().names()):
        return {}
    pairs = table.select("source", "vintage").unique().sort("source", "vintage").collect(engine="streaming")
    found: dict[str, list[str]] = {}
    for source, vintage in pairs.iter_rows():
        found.setdefault(source, []).append(vintage)
    return found
