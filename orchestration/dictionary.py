"""What every published table and column means: the dbt contracts, their doc blocks, and units, as plain data.

Read from the project's files, so that it costs no start of dbt. What belongs here: putting the words together. What
does not: the words (``dbt_project``), how they are shown.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ingest.errors import OretraceError
from ingest.home import PROJECT

DBT_PROJECT = PROJECT / "dbt_project"

_BLOCK = re.compile(r"\{%-?\s*docs\s+(\w+)\s*-?%\}(.*?)\{%-?\s*enddocs\s*-?%\}", re.DOTALL)
_CALL = re.compile(r"\{\{\s*doc\(\s*['\"](\w+)['\"]\s*\)\s*\}\}")
_TYPES = {"string": "string", "double": "number", "int": "integer", "bigint": "integer", "boolean": "boolean"}


@dataclass(frozen=True)
class Column:
    """One column of a contract.

    Attributes:
        name: as published.
        type: ``string``, ``number``, ``integer``, ``boolean`` or ``date``.
        description: with doc blocks put in.
        unit: of a number; empty for text.
        constraints: what dbt tests of it, in the words of a table schema: ``required``, ``unique``, ``enum``,
            ``minimum``, ``maximum``.
    """

    name: str
    type: str
    description: str
    unit: str = ""
    constraints: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """One published table: what a row is, the columns that name it, and all columns in order."""

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]


@cache
def dictionary(project: Path = DBT_PROJECT) -> dict[str, Table]:
    """Return every table that the dbt project publishes, by name.

    Args:
        project: the dbt project's folder.

    Raises:
        OretraceError: a description asks for a doc block that is not there.
    """
    import yaml

    blocks = {
        name: " ".join(text.split())
        for path in sorted((project / "models").rglob("*.md"))
        for name, text in _BLOCK.findall(path.read_text())
    }
    units = _units(project / "column_units.csv")
    load = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where it was built
    found = {}
    for path in sorted((project / "models" / "marts").glob("*.yml")):
        # yaml.load with a safe loader makes plain data only.
        for model in yaml.load(path.read_text(), Loader=load).get("models", []):  # noqa: S506
            if "columns" in model:
                found[model["name"]] = _table(model, blocks, units)
    return found


def _units(path: Path) -> list[tuple[re.Pattern[str], str]]:
    with path.open(newline="") as lines:
        return [(re.compile(row["pattern"]), row["unit"]) for row in csv.DictReader(lines)]


def _table(model: Mapping[str, Any], blocks: Mapping[str, str], units: list[tuple[re.Pattern[str], str]]) -> Table:
    columns = tuple(_column(item, model["name"], blocks, units) for item in model["columns"])
    together = [_arguments(test, "unique_together")["columns"] for test in _tests(model, "unique_together")]
    single = [column.name for column in columns if column.constraints.get("unique")]
    key = tuple(together[0]) if together else tuple(single[:1])
    return Table(model["name"], _text(model["description"], model["name"], blocks), key, columns)


def _column(
    item: Mapping[str, Any], table: str, blocks: Mapping[str, str], units: list[tuple[re.Pattern[str], str]]
) -> Column:
    kind = _TYPES.get(item["data_type"], item["data_type"])
    unit = next((unit for pattern, unit in units if pattern.fullmatch(item["name"])), "")
    return Column(
        name=item["name"],
        type=kind,
        description=_text(item["description"], f"{table}.{item['name']}", blocks),
        unit=unit if kind in ("number", "integer") else "",
        constraints=_constraints(item),
    )


def _text(text: str, where: str, blocks: Mapping[str, str]) -> str:
    lost = sorted(set(_CALL.findall(text)) - blocks.keys())
    if lost:
        raise OretraceError(f"{where}: there is no doc block {', '.join(lost)} in dbt_project/models/docs.")
    return " ".join(_CALL.sub(lambda call: blocks[call[1]], text).split())


def _constraints(item: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if _tests(item, "not_null"):
        found["required"] = True
    if _tests(item, "unique"):
        found["unique"] = True
    for test in _tests(item, "accepted_values"):
        # One that holds for some rows only says nothing of a column.
        if "where" not in test["accepted_values"].get("config", {}):
            found["enum"] = list(_arguments(test, "accepted_values")["values"])
    for test in _tests(item, "within"):
        bounds = _arguments(test, "within")
        found |= {to: bounds[name] for name, to in (("low", "minimum"), ("high", "maximum")) if name in bounds}
    return found


def _tests(item: Mapping[str, Any], name: str) -> list[Any]:
    return [test for test in item.get("data_tests", []) if test == name or (isinstance(test, dict) and name in test)]


def _arguments(test: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    body: Mapping[str, Any] = test[name]
    return body.get("arguments", body)  # type: ignore[no-any-return]
