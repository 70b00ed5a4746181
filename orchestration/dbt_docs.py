"""dbt's documentation of a release as one page, without asking dbt for it.

``dbt docs generate --static`` compiles the project again and takes fifteen seconds; what it adds to the page it ships
are the manifest and a catalogue of columns, both of which are at hand after a build.

What belongs here: filling dbt's page. What does not: the models, and the site it stands beside (``website``).
"""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb

from ingest.errors import OretraceError

# What dbt's page shows of a column; the rest of each column, and the blocks of text that descriptions are made of, are
# half of the page's weight and nowhere on it.
_OF_A_COLUMN = ("name", "description", "data_type", "index", "tags", "meta", "quote")
_OF_NO_USE = ("unrendered_config", "checksum", "file_key_name", "contract", "build_path", "doc_blocks", "docs_blocks")
# Where files lie on the machine that built a release says nothing to its readers.
_WHERE = re.compile(r"'/[^']*/([^/']+\.parquet)'")
_OVERVIEW = "doc.dbt.__overview__"
# Set anew by every parse; without them the same project and marts give the same page.
_OF_THE_RUN = {"generated_at", "invocation_id", "invocation_started_at", "run_started_at"}


def write_page(manifest: Path, compiled: Path, database: Path, page: Path) -> Path:
    """Write dbt's documentation as one page that needs no network.

    Args:
        manifest: dbt's ``manifest.json``.
        compiled: dbt's folder of compiled SQL, below ``target``.
        database: a built or released DuckDB file, opened read-only.
        page: where to.

    Returns:
        The page.

    Raises:
        OretraceError: this version of dbt ships no page to fill, or another one than is known here.
    """
    content = json.loads(manifest.read_text())
    _settle(content, compiled)
    text = _template()
    for name, value in (("MANIFEST", content), ("CATALOG", _catalogue(content, database))):
        mark = f'"{name}.JSON INLINE DATA"'
        if mark not in text:
            raise OretraceError(f"the documentation page of the installed dbt has no place for {name.lower()}.json.")
        filled = _WHERE.sub(r"'\1'", json.dumps(value, sort_keys=True, separators=(",", ":")))
        # A closing tag inside a string would end the script.
        text = text.replace(mark, filled.replace("</", "<\\/"))
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    return page


def _template() -> str:
    spec = find_spec("dbt")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        page = Path(folder) / "task" / "docs" / "index.html"
        if page.is_file():
            return _mended(page.read_text(encoding="utf-8"))
    raise OretraceError("the installed dbt ships no documentation page.")


def _mended(page: str) -> str:
    """Mend what asks for files that are not there: icons before their names are filled in, and the page's own icon."""
    page = page.replace(' xlink:href="{{', ' ng-attr-xlink:href="{{')
    return re.sub(r'(<link rel="shortcut icon" href=")[^>]*?("/>)', r"\1data:,\2", page)


def _settle(manifest: dict[str, Any], compiled: Path) -> None:
    """Drop times and what the page does not show from a manifest, and add the compiled SQL, which no parse knows."""
    project = manifest["metadata"]["project_name"]
    for name in _OF_THE_RUN:
        manifest["metadata"].pop(name, None)
    manifest["macros"] = {key: item for key, item in manifest["macros"].items() if item["package_name"] == project}
    for kind in ("nodes", "sources", "macros", "exposures", "docs", "unit_tests"):
        for item in manifest.get(kind, {}).values():
            item.pop("created_at", None)
    manifest["docs"] = {key: item for key, item in manifest["docs"].items() if key == _OVERVIEW}
    for item in [*manifest["nodes"].values(), *manifest["sources"].values()]:
        item["columns"] = {
            name: {part: column[part] for part in _OF_A_COLUMN if column.get(part)}
            for name, column in item.get("columns", {}).items()
        }
        for name in _OF_NO_USE:
            item.pop(name, None)
    for node in manifest["nodes"].values():
        if node.get("depends_on"):
            node["depends_on"]["macros"] = [
                key for key in node["depends_on"].get("macros", ()) if key in manifest["macros"]
            ]
        path = compiled / node["package_name"] / node["original_file_path"]
        if node["resource_type"] == "model" and path.is_file():
            node["compiled"], node["compiled_code"] = True, path.read_text()


def _catalogue(manifest: dict[str, Any], database: Path) -> dict[str, Any]:
    """Return what dbt calls a catalogue: the columns of every published table."""
    with duckdb.connect(str(database), read_only=True) as db:
        found = db.execute(
            "select table_name, column_name, data_type from duckdb_columns() where not internal "
            "order by table_name, column_index"
        ).fetchall()
    columns: dict[str, dict[str, Any]] = {}
    for table, column, kind in found:
        place = columns.setdefault(table, {})
        place[column] = {"name": column, "type": kind, "index": len(place) + 1, "comment": None}
    nodes = {}
    for key, node in manifest["nodes"].items():
        if node["resource_type"] == "model" and node["name"] in columns:
            described = {name: node[name] for name in ("schema", "name", "database")}
            nodes[key] = {
                "unique_id": key,
                "metadata": {"type": "BASE TABLE", "comment": None, "owner": None, **described},
                "columns": columns[node["name"]],
                "stats": {},
            }
    return {"metadata": {}, "nodes": nodes, "sources": {}, "errors": None}
