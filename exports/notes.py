"""The words that travel with a table: what a row and a column mean, units, editions, terms of a release.

What belongs here: reading them from a release's data package. What does not: making that package
(``orchestration.package``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Column:
    """What one column means.

    Attributes:
        name: as in the table.
        unit: unit or scale of a number; empty for text.
        description: what it states, with basis.
    """

    name: str
    unit: str = ""
    description: str = ""


@dataclass(frozen=True)
class Table:
    """What one table means.

    Attributes:
        name: as in the warehouse.
        description: what a row is and what it answers.
        key: columns that name a row.
        columns: in the table's order.
    """

    name: str
    description: str = ""
    key: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True)
class Notes:
    """What a release says of itself.

    Attributes:
        release: version.
        created: time of publication, ISO 8601.
        licence: terms of the release as one line.
        sources: by slug, what a publisher's edition is: ``title``, ``publisher``, ``licence``, ``path``.
        vintages: by slug, the editions that were read.
        tables: by name.
    """

    release: str
    created: str = ""
    licence: str = ""
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    vintages: Mapping[str, list[str]] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)

    def table(self, name: str) -> Table:
        """Return what is known of a table; only its name where the release says nothing."""
        return self.tables.get(name, Table(name))


def read_notes(release: Path) -> Notes:
    """Read the notes of a release folder (which holds ``datapackage.json``)."""
    package: dict[str, Any] = json.loads((release / "datapackage.json").read_text())
    return notes_of(package)


def notes_of(package: Mapping[str, Any]) -> Notes:
    """Read the notes of a data package; what it leaves out stays empty."""
    tables = [_table(item) for item in package["resources"] if str(item["path"]).endswith(".parquet")]
    return Notes(
        release=str(package["version"]),
        created=str(package.get("created", "")),
        licence="; ".join(
            " ".join(str(item[part]) for part in ("title", "name", "path") if part in item)
            for item in package.get("licenses", [])
        ),
        sources={
            str(item["name"]): {name: str(text) for name, text in item.items()} for item in package.get("sources", [])
        },
        vintages=package.get("vintages", {}),
        tables={table.name: table for table in tables},
    )


def _table(resource: Mapping[str, Any]) -> Table:
    schema = resource.get("schema", {})
    key = schema.get("primaryKey", [])
    return Table(
        name=Path(str(resource["path"])).stem,
        description=str(resource.get("description", "")),
        key=(key,) if isinstance(key, str) else tuple(key),
        columns=tuple(
            Column(item["name"], str(item.get("unit", "")), str(item.get("description", "")))
            for item in schema.get("fields", [])
        ),
    )
