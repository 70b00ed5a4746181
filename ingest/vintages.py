"""Raw vintages on disk: ``raw/<source>/<vintage>/`` with the publisher's files and a sidecar.

What belongs here: adding a download to the raw folder and listing what is there. What does not:
reading the files (``sources``) and fetching them over the network.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingest.errors import BadInput
from ingest.sources import sources

SIDECAR = "vintage.json"


@dataclass(frozen=True)
class Vintage:
    """One raw vintage: its source, edition and folder."""

    source: str
    vintage: str
    folder: Path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def add_vintage(raw: Path, source: str, vintage: str, download: Path) -> Vintage:
    """Keep a download (a file or a folder) as an immutable raw vintage.

    Args:
        raw: the raw folder of ``ORETRACE_HOME``.
        source: name of a source, e.g. ``usgs_mcs``.
        vintage: edition, e.g. ``2026``.
        download: what the publisher offers, unpacked.

    Returns:
        The vintage, with a sidecar of publisher, licence, citation, and the hash of every file.

    Raises:
        BadInput: unknown source, nothing to add, or that vintage is there already (vintages never change).
        SourceChanged: the files cannot be read as that source; nothing is kept.
    """
    known = sources()
    if source not in known:
        raise BadInput(f"unknown source {source!r}; known: {', '.join(known)}.")
    if not download.exists():
        raise BadInput(f"{download}: no such file or folder.")
    target = raw / source / vintage
    if target.exists():
        raise BadInput(f"{target} is there already; a raw vintage never changes. Use another vintage name.")
    partial = target.with_name(f".partial-{vintage}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        if download.is_dir():
            shutil.copytree(download, partial, dirs_exist_ok=True, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(download, partial / download.name)
        known[source].read_vintage(partial, vintage)
        _write_sidecar(partial, source, vintage)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Vintage(source, vintage, target)


def _write_sidecar(folder: Path, source: str, vintage: str) -> None:
    meta = sources()[source]
    kept = sorted(path for path in folder.rglob("*") if path.is_file())
    (folder / SIDECAR).write_text(
        json.dumps(
            {
                "source": source,
                "vintage": vintage,
                "publisher": meta.publisher,
                "licence": meta.licence,
                "citation": meta.citation.format(vintage=vintage),
                "homepage": meta.homepage,
                "retrieved": datetime.now(UTC).isoformat(timespec="seconds"),
                "files": [
                    {"path": str(path.relative_to(folder)), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
                    for path in kept
                ],
            },
            indent=1,
        )
        + "\n"
    )


def raw_vintages(raw: Path) -> list[Vintage]:
    """List the complete raw vintages below ``raw``, by source and edition."""
    return [
        Vintage(sidecar.parent.parent.name, sidecar.parent.name, sidecar.parent)
        for sidecar in sorted(raw.glob(f"*/*/{SIDECAR}"))
        if not sidecar.parent.name.startswith(".")
    ]
