"""What a release is made of, as hashes: raw vintages, embedded figures, reference tables, user files, code, settings.

What belongs here: hashing the inputs as they are now and telling two states apart, with the standard
library alone, because ``oretrace run`` asks before it imports anything. What does not: which edition of a
source is read (``live``), and what is remembered of past runs (``orchestration.standing``).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ingest.home import PROJECT, REFERENCE, SNAPSHOT, Home

Parts = dict[str, dict[str, str]]

# Folders whose code or configuration decides what comes out.
CODE = ("ingest", "tracing", "website", "dbt_project", "expectations", "orchestration")
_KINDS = frozenset({".py", ".html", ".js", ".json", ".sql", ".yml", ".yaml", ".md", ".j2", ".css", ".csv"})
_MADE = frozenset({"target", "logs", "dbt_packages", "__pycache__"})
_HEX = 16


def parts(home: Home, mode: str, settings: Mapping[str, Any] | None = None) -> Parts:
    """Hash every input of the job as it is now.

    Args:
        home: where raw vintages and user files are.
        mode: ``snapshot`` or ``live``; raw vintages count in live mode only.
        settings: draws and the like, where they are not the default (None is left out).

    Returns:
        Part (``vintages``, ``snapshot``, ``reference``, ``user files``, ``code``, ``libraries``, ``settings``)
        to name to hash or value.
    """
    return {
        "vintages": _vintages(home.raw) if mode == "live" else {},
        "snapshot": _files(SNAPSHOT, [SNAPSHOT / "datapackage.json"]) | _sizes(SNAPSHOT),
        "reference": _files(REFERENCE, REFERENCE.glob("*")),
        "user files": _files(home.root, _below(home.root / "user")) | _dropped(home.root / "drop"),
        "code": {name: _together(PROJECT / name) for name in CODE},
        "libraries": {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
        | _files(PROJECT, [PROJECT / "requirements.lock"]),
        "settings": {"mode": mode}
        | {name: str(value) for name, value in (settings or {}).items() if value is not None},
    }


def fingerprint(of: Mapping[str, Any]) -> str:
    """Return one hash of all parts."""
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()


def of_code(*folders: str) -> dict[str, str]:
    """Return a hash of the code of some folders of the project, and of what they are computed with."""
    libraries = _files(PROJECT, [PROJECT / "requirements.lock"])
    return {name: _together(PROJECT / name) for name in folders} | libraries


def differences(before: Parts, now: Parts) -> list[str]:
    """Return what differs, a line each: ``usgs_mcs 2026-r2 is new``, ``code of tracing changed``."""
    lines = []
    for part in sorted(before.keys() | now.keys()):
        old, new = before.get(part, {}), now.get(part, {})
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                what = "is new" if name not in old else "is gone" if name not in new else "changed"
                lines.append(_line(part, name, what, old.get(name), new.get(name)))
    return lines


def _line(part: str, name: str, what: str, old: str | None, new: str | None) -> str:
    if part == "settings":
        return f"{name}: {old or 'default'} before, {new or 'default'} now"
    named = {"code": f"code of {name}", "vintages": name.replace("/", " "), "reference": f"ingest/reference/{name}"}
    return f"{named.get(part, name)} {what}"


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:_HEX]


def _files(root: Path, paths: Iterable[Path]) -> dict[str, str]:
    return {str(path.relative_to(root)): _hash(path) for path in sorted(paths) if path.is_file()}


def _sizes(folder: Path) -> dict[str, str]:
    """Sizes only: the data package vouches for the content, and each run holds the tables to it."""
    return {path.name: str(path.stat().st_size) for path in sorted(folder.glob("*.parquet"))}


def _below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


def _dropped(folder: Path) -> dict[str, str]:
    """Downloads may be large, so they count by size and time."""
    stats = {path: path.stat() for path in _below(folder)}
    return {str(path.relative_to(folder.parent)): f"{at.st_size} {at.st_mtime_ns}" for path, at in stats.items()}


def _vintages(raw: Path) -> dict[str, str]:
    """The sidecar of a vintage holds the hash of every file, so the sidecar's hash stands for the vintage."""
    found = (path for path in raw.glob("*/*/vintage.json") if not path.parent.name.startswith("."))
    return {str(path.parent.relative_to(raw)): _hash(path) for path in sorted(found)}


def _together(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix in _KINDS and not _MADE & set(inside.parts) and inside.parts[0] not in ("reference", "snapshot"):
            whole.update(f"{inside}\0".encode() + path.read_bytes())
    return whole.hexdigest()[:_HEX]
