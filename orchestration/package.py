"""The data package of a release: what each file and column is, on which terms, from which editions.

It follows the Data Package standard, so that its tools read and check a release. What belongs here: describing.
What does not: the words of tables and columns (``dictionary``), hashing against what is on disk (``integrity``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from ingest.vintages import sha256_of
from orchestration.dictionary import Column, Table, dictionary
from orchestration.releases import LINK

# The standard's names of what a file is, for files that are no tables.
_MEDIA = {
    ".duckdb": "application/vnd.duckdb",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".txt": "text/plain",
}
_WHAT = {
    LINK: "Every table, as one DuckDB file.",
    "certificate.json": "The audit that this release passed: rules, results, editions that were read.",
    "diff.json": "What changed since the release before, for programs.",
    "diff.md": "What changed since the release before.",
}
_DUCKDB_TYPES = {"DOUBLE": "number", "FLOAT": "number", "BOOLEAN": "boolean", "DATE": "date"}


def package_of(
    folder: Path, version: str, cert: Mapping[str, Any], licences: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """Describe the data files of a release as a data package.

    Args:
        folder: where the files are; those directly in it are resources.
        version: name of the release.
        cert: its certificate.
        licences: source name to its terms.
        more: further properties.

    Returns:
        The package, ready to be written as ``datapackage.json``.
    """
    with duckdb.connect(str(folder / LINK), read_only=True) as db:
        resources = [_resource(path, db) for path in sorted(folder.iterdir()) if path.is_file()]
    return {
        "profile": "data-package",
        "name": "oretrace",
        "title": "oretrace: dependence in critical minerals by supply-chain stage",
        "description": (
            "How dependent each importer is on whom, by material, stage of the supply chain and year: who sells it, "
            "who made it, whose plants it passed through, where it was mined. An empty value is missing, withheld or "
            "unknown, never zero."
        ),
        "keywords": ["critical minerals", "rare earths", "supply chains", "import dependence", "trade"],
        "version": version,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "licenses": [
            {
                "name": "CC-BY-4.0",
                "title": "Creative Commons Attribution 4.0; each source keeps its own terms",
                "path": "https://creativecommons.org/licenses/by/4.0/",
            }
        ],
        "contributors": [{"title": "oretrace", "role": "publisher"}],
        "sources": [{"name": name, **terms} for name, terms in sorted(licences.items())],
        "vintages": cert["vintages"],
        **more,
        "resources": resources,
    }


def _resource(path: Path, db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "name": path.stem.lower() if path.suffix == ".parquet" else path.name.replace(".", "-").lower(),
        "path": path.name,
        "format": path.suffix.removeprefix("."),
        "hash": f"sha256:{sha256_of(path)}",
    }
    if path.suffix in _MEDIA:
        resource["mediatype"] = _MEDIA[path.suffix]
    if path.name in _WHAT:
        resource["description"] = _WHAT[path.name]
    if path.suffix == ".parquet":
        # Without "bytes": the standard's validator counts them in text tables only and finds Parquet to have none.
        return resource | _table(path.stem, db)
    return resource | {"bytes": path.stat().st_size}


def _table(name: str, db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Describe a table: the columns that are there, in the words of the dictionary where it knows them."""
    found = db.execute(
        "select column_name, data_type from duckdb_columns() where table_name = ? order by column_index", [name]
    ).fetchall()
    known = dictionary().get(name) or Table(name, "", (), ())
    words = {column.name: column for column in known.columns}
    schema: dict[str, Any] = {
        "fields": [_field(words.get(column, Column(column, _type(kind), ""))) for column, kind in found],
        # Parquet has nulls; the standard's validator reads them through pandas, where a missing number is "nan".
        "missingValues": ["", "nan"],
    }
    if known.key:
        schema["primaryKey"] = list(known.key)
    (rows,) = db.execute(f'select count(*) from "{name}"').fetchone() or (0,)
    described = {"title": name.replace("_", " "), "description": known.description} if known.description else {}
    return {"type": "table", **described, "rows": rows, "schema": schema}


def _field(column: Column) -> dict[str, Any]:
    field: dict[str, Any] = {"name": column.name, "type": column.type}
    if column.description:
        field |= {"title": column.name.replace("_", " "), "description": column.description}
    if column.unit:
        field["unit"] = column.unit
    if column.constraints:
        field["constraints"] = dict(column.constraints)
    return field


def _type(kind: str) -> str:
    return "integer" if "INT" in kind else _DUCKDB_TYPES.get(kind, "string")
