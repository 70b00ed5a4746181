"""Rules as data: the suites of the gate and the strict reader of their YAML files.

What belongs here: what a check and a suite are, and what a suite file may say. What does not:
running a check (``adapter``).

A suite file::

    mart: mart_stage_output
    key: [material, stage, year]          # columns that name a row in messages
    checks:
      - name: share_within_0_and_1
        expect: ExpectColumnValuesToBeBetween    # a class of great_expectations.expectations
        with: {column: share, min_value: 0, max_value: 1}
        severity: critical                # critical stops publication, warning is reported
        reason: A share is a part of a whole.

Optional per check: ``columns`` (the check is made once per column), ``query`` (a SELECT on the
candidate instead of the whole mart; tables of the last release are read as ``previous.<table>``),
``key`` (columns that name a row of the query), ``min_rows`` (rows the check must have seen,
default 1; 0 allows a check that meets no row).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.errors import OretraceError

SUITES = Path(__file__).resolve().parent / "suites"
SEVERITIES = ("critical", "warning")

_PREVIOUS = re.compile(r"\bprevious\.(\w+)")
_SUITE_FIELDS = {"mart": str, "key": list, "checks": list}
_CHECK_REQUIRED = {"name": str, "expect": str, "with": dict, "severity": str, "reason": str}
_CHECK_OPTIONAL = {"columns": list, "query": str, "key": list, "min_rows": int}


class BadSuite(OretraceError):
    """A suite file that cannot be used; the message names file, check and fault."""


@dataclass(frozen=True)
class Check:
    """One expectation on one frame.

    Attributes:
        name: unique within its suite.
        expect: name of a class of ``great_expectations.expectations``.
        arguments: its keyword arguments.
        reason: why it must hold, for the reader of a failure.
        severity: ``critical`` stops publication, ``warning`` is reported.
        query: SELECT on the candidate that gives the frame; None reads the whole mart.
        key: columns that name a row in messages.
        min_rows: rows with a value that must have been evaluated.
    """

    name: str
    expect: str
    arguments: Mapping[str, Any]
    reason: str
    severity: str = "critical"
    query: str | None = None
    key: tuple[str, ...] = ()
    min_rows: int = 1

    @property
    def previous_tables(self) -> tuple[str, ...]:
        """Tables of the last release that the query reads; the check is skipped without them."""
        return tuple(sorted(set(_PREVIOUS.findall(self.query or ""))))

    @property
    def wording(self) -> str:
        """The expectation as one reads it in a message."""
        arguments = ", ".join(f"{name}={_short(value)}" for name, value in self.arguments.items())
        return f"{self.expect}({arguments})"


@dataclass(frozen=True)
class Suite:
    """The checks of one mart."""

    mart: str
    checks: tuple[Check, ...] = field(default=())


def load_suites(folder: Path = SUITES) -> tuple[Suite, ...]:
    """Read every suite file of a folder, sorted by mart.

    Args:
        folder: holds ``<mart>.yaml`` files.

    Raises:
        BadSuite: a file is malformed, or the folder holds none.
    """
    suites = tuple(load_suite(path) for path in sorted(folder.glob("*.yaml")))
    if not suites:
        raise BadSuite(f"no suite (*.yaml) in {folder}: a gate without rules would let everything pass.")
    return suites


def load_suite(path: Path) -> Suite:
    """Read one suite file.

    Raises:
        BadSuite: not YAML, a field is missing, unknown or of the wrong type, a name repeats,
            or the file is not named after its mart.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        raw = YAML(typ="safe").load(path)
    except YAMLError as error:
        raise BadSuite(f"{path.name}: not valid YAML: {' '.join(str(error).split())}") from None
    fields = _fields(raw, path.name, required=_SUITE_FIELDS, optional={})
    if fields["mart"] != path.stem:
        raise BadSuite(f"{path.name}: mart is {fields['mart']!r}; the file must be named after its mart.")
    checks = [check for entry in fields["checks"] for check in _read_checks(entry, path.name, fields["key"])]
    if not checks:
        raise BadSuite(f"{path.name}: no checks.")
    _refuse_repeats(checks, path.name)
    return Suite(fields["mart"], tuple(checks))


def _refuse_repeats(checks: Sequence[Check], file: str) -> None:
    """A name names one check; of two equal expectations Great Expectations evaluates only one."""
    names: set[str] = set()
    made: dict[tuple[str | None, str, str], str] = {}
    for check in checks:
        if check.name in names:
            raise BadSuite(f"{file}: check {check.name!r} appears twice.")
        names.add(check.name)
        same = (check.query, check.expect, repr(check.arguments))
        if other := made.get(same):
            raise BadSuite(f"{file}: checks {other!r} and {check.name!r} expect the same of the same rows.")
        made[same] = check.name


def _read_checks(raw: object, file: str, suite_key: Sequence[str]) -> list[Check]:
    """One entry of ``checks``: one check, or one per column where ``columns`` is given."""
    name = raw.get("name", "without a name") if isinstance(raw, dict) else "without a name"
    where = f"{file}: check {name}"
    entry = _fields(raw, where, _CHECK_REQUIRED, _CHECK_OPTIONAL)
    if entry["severity"] not in SEVERITIES:
        raise BadSuite(f"{where}: severity {entry['severity']!r} is not one of {', '.join(SEVERITIES)}.")
    if not entry["expect"].startswith("Expect"):
        raise BadSuite(f"{where}: expect {entry['expect']!r} is not the name of an expectation (Expect...).")
    if not entry["reason"].strip():
        raise BadSuite(f"{where}: reason is empty; whoever meets the failure needs it.")
    if entry.get("min_rows", 1) < 0:
        raise BadSuite(f"{where}: min_rows is negative.")
    if "columns" in entry and "column" in entry["with"]:
        raise BadSuite(f"{where}: has both `columns` and `with.column`; keep one.")
    query = entry.get("query")
    shared: dict[str, Any] = {
        "expect": entry["expect"],
        "reason": " ".join(entry["reason"].split()),
        "severity": entry["severity"],
        "query": query.strip() if query else None,
        "key": tuple(entry.get("key", () if query else suite_key)),
        "min_rows": entry.get("min_rows", 1),
    }
    if "columns" not in entry:
        return [Check(name=entry["name"], arguments=entry["with"], **shared)]
    return [
        Check(name=f"{entry['name']}.{column}", arguments={"column": column, **entry["with"]}, **shared)
        for column in entry["columns"]
    ]


def _fields(raw: object, where: str, required: Mapping[str, type], optional: Mapping[str, type]) -> dict[str, Any]:
    """Hold a mapping to its allowed fields and their types."""
    if not isinstance(raw, dict):
        raise BadSuite(f"{where}: expected a mapping with {', '.join(required)}, found {type(raw).__name__}.")
    allowed = {**required, **optional}
    if missing := [name for name in required if name not in raw]:
        raise BadSuite(f"{where}: missing {', '.join(missing)}.")
    if unknown := [str(name) for name in raw if name not in allowed]:
        raise BadSuite(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(allowed)}.")
    for name, value in raw.items():
        if not isinstance(value, allowed[name]) or isinstance(value, bool):
            raise BadSuite(f"{where}: {name} must be a {allowed[name].__name__}, found {value!r}.")
    return raw


def _short(value: object) -> str:
    """A value in a message; long lists are cut."""
    if isinstance(value, list) and len(value) > 8:
        return f"[{', '.join(map(str, value[:8]))}, ... {len(value)} in all]"
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
