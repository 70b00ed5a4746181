"""Raw vintages on disk: ``raw/<source>/<vintage>/`` with the publisher's files and a sidecar.

What belongs here: keeping a complete pull or download as an immutable vintage, and listing what is
there. What does not: reading the files (``sources``) and fetching them (``fetch``).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.ahead import ahead
from ingest.errors import BadInput, Busy, OretraceError
from ingest.sources import sources
from ingest.sources.base import Source
from ingest.store import configured
from ingest.words import unknown

SIDECAR = "vintage.json"
# In the folder of a vintage of which only the sidecar is here: which object store has the files.
ELSEWHERE = ".in-store"
_REVISION = re.compile(r"^(?P<edition>.+?)(?:-r(?P<revision>\d+))?$")


@dataclass(frozen=True)
class Vintage:
    """One complete raw vintage.

    Attributes:
        source: name of the source.
        vintage: name of its folder: the edition, with ``-r2`` and so on for what the publisher revised.
        edition: what the publisher calls it, e.g. ``2026``.
        folder: where it is.
        sidecar: what is known of it: publisher, licence, citation, retrieval, hashes, completeness.
    """

    source: str
    vintage: str
    edition: str
    folder: Path
    sidecar: Mapping[str, Any]

    @property
    def revision(self) -> int:
        """1 for what was kept first of an edition."""
        match = _REVISION.match(self.vintage)
        return int(match["revision"] or 1) if match and match["edition"] == self.edition else 1

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(item["bytes"] for item in self.sidecar["files"])


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def kept_files(folder: Path) -> list[Path]:
    """List the publisher's files of a vintage: everything but the sidecar and what begins with a dot."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name != SIDECAR and not path.name.startswith(".") and path.suffix != ".part"
    )


def content_hash(folder: Path) -> str:
    """Return a hash of all names and bytes of a vintage's files."""
    return _content_of(_hashed(folder))


def _hashed(folder: Path) -> list[dict[str, Any]]:
    """Return ``path``, ``bytes`` and ``sha256`` of a vintage's files."""
    return [
        {"path": str(path.relative_to(folder)), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in kept_files(folder)
    ]


def _content_of(files: list[dict[str, Any]]) -> str:
    whole = hashlib.sha256()
    for item in files:
        whole.update(f"{item['path']}\0{item['sha256']}\n".encode())
    return whole.hexdigest()


@contextmanager
def only_writer(raw: Path, source: str) -> Iterator[Path]:
    """Hold the lock of a source's raw folder; with an object store, see what others kept there and send what is new.

    Raises:
        Busy: another process holds it.
    """
    with hold_source(raw, source) as folder:
        if not configured():
            yield folder
            return
        from ingest.store.raw import see, send

        see(raw, source, held=True)
        yield folder
        send(raw, source)


@contextmanager
def hold_source(raw: Path, source: str) -> Iterator[Path]:
    """Hold the lock of a source's raw folder, which is made; it falls with the process, however that ends.

    Raises:
        Busy: another process holds it.
    """
    folder = raw / source
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"another process is fetching {source} into {folder}; wait for it to end.") from None
        yield folder


def known_source(name: str) -> Source:
    """Return a source by name.

    Raises:
        BadInput: there is none of that name.
    """
    known = sources()
    if name not in known:
        raise BadInput(f"unknown source {name!r}. {unknown(name, known, 'Known')}")
    return known[name]


def check_edition(edition: str) -> str:
    """Refuse an edition that is no plain folder name.

    Raises:
        BadInput: it is empty, begins with a dot, holds a slash or the like, or ends like a revision.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", edition) or re.search(r"-r\d+$", edition):
        raise BadInput(f"{edition!r} is no name for an edition; use letters, digits, dots and dashes, e.g. 2026.")
    return edition


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
    meta, edition = known_source(source), check_edition(vintage)
    if not download.exists():
        raise BadInput(f"{download}: no such file or folder.")
    with only_writer(raw, source) as folder:
        target = folder / edition
        if target.exists():
            raise BadInput(f"{target} is there already; a raw vintage never changes. Use another vintage name.")
        partial = folder / f".adding-{edition}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            copy_download(download, partial)
            for _ in meta.parts_of(partial, edition):
                pass  # proven part by part: a release is larger than memory
            kept = keep(raw, source, edition, partial, {"origin": "added by hand"})
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    assert kept is not None  # noqa: S101  # there was no vintage to be equal to
    return kept


def copy_download(download: Path, target: Path) -> None:
    """Copy a file or the content of a folder into ``target``; file modes are not copied."""
    if download.is_dir():
        shutil.copytree(download, target, dirs_exist_ok=True, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(download, target / download.name)


def keep(
    raw: Path,
    source: str,
    edition: str,
    partial: Path,
    known: Mapping[str, Any],
    fingerprint: Callable[[Path], str] = content_hash,
) -> Vintage | None:
    """Turn a complete folder into a vintage; the caller holds the lock of the source.

    Args:
        raw: the raw folder.
        source: name of the source.
        edition: name of the edition; a revised one gets ``-r2`` and so on.
        partial: the folder, on the same disk; it becomes the vintage.
        known: what the sidecar says beyond publisher, licence and files.
        fingerprint: hash of the content.

    Returns:
        The new vintage, or None when the newest revision of the edition holds the same.
    """
    last = newest(raw).get((source, edition))
    files = _hashed(partial)  # once: a release has ten gigabytes
    content = _content_of(files) if fingerprint is content_hash else fingerprint(partial)
    if last is not None and last.sidecar.get("content") == content:
        return None
    name = edition if last is None else f"{edition}-r{last.revision + 1}"
    sidecar = _sidecar(files, source, edition, name) | dict(known) | {"content": content}
    for hidden in partial.glob(".*"):
        hidden.unlink()  # before the sidecar: a folder without its plan is begun anew, never mistaken
    path = partial / SIDECAR
    path.write_text(json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _sync(partial)
    target = raw / source / name
    partial.rename(target)
    _sync_folder(target.parent)
    return Vintage(source, name, edition, target, sidecar)


def _sidecar(files: list[dict[str, Any]], source: str, edition: str, vintage: str) -> dict[str, Any]:
    meta = sources()[source]
    return {
        "source": source,
        "vintage": vintage,
        "edition": edition,
        "publisher": meta.publisher,
        "title": meta.title,
        "licence": meta.licence,
        "licence_url": meta.licence_url,
        "citation": meta.citation.format(vintage=edition),
        "homepage": meta.homepage,
        "retrieved": datetime.now(UTC).isoformat(timespec="seconds"),
        "bytes": sum(item["bytes"] for item in files),
        "files": files,
    }


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def raw_vintages(raw: Path) -> list[Vintage]:
    """List the complete raw vintages below ``raw``, by source, edition and revision.

    Raises:
        OretraceError: a sidecar is damaged.
    """
    found = [_read(path) for path in raw.glob(f"*/*/{SIDECAR}") if not path.parent.name.startswith(".")]
    return sorted(found, key=lambda item: (item.source, item.edition, item.revision))


def _read(path: Path) -> Vintage:
    folder = path.parent
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
        for item in sidecar["files"]:
            item["path"], item["bytes"], item["sha256"]
        edition = str(sidecar.get("edition", folder.name))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OretraceError(
            f"{path} is damaged ({error!r}). Move {folder} away and fetch or add that vintage again."
        ) from None
    return Vintage(folder.parent.name, folder.name, edition, folder, sidecar)


def newest(raw: Path) -> dict[tuple[str, str], Vintage]:
    """Return the newest revision by source and edition."""
    return {(item.source, item.edition): item for item in raw_vintages(raw)}


def have_files(vintage: Vintage) -> None:
    """Bring the files of a vintage from the object store where only its sidecar is here.

    Raises:
        OretraceError: they cannot be had.
    """
    if (vintage.folder / ELSEWHERE).exists():
        from ingest.store.raw import bring

        bring(vintage)


def verify_files(vintage: Vintage) -> None:
    """Hold the files of a vintage to the hashes in its sidecar.

    Raises:
        OretraceError: a file is missing, changed or new; vintages never change.
    """
    have_files(vintage)
    listed = {item["path"]: item["sha256"] for item in vintage.sidecar["files"]}
    there = {str(path.relative_to(vintage.folder)): path for path in kept_files(vintage.folder)}
    wrong = [f"{name} is missing" for name in sorted(listed.keys() - there.keys())]
    wrong += [f"{name} was added" for name in sorted(there.keys() - listed.keys())]
    known = sorted(listed.keys() & there.keys())
    found = ahead(sha256_of, (there[name] for name in known))
    wrong += [f"{name} changed" for name, hashed in zip(known, found, strict=True) if hashed != listed[name]]
    if wrong:
        raise OretraceError(
            f"raw vintage {vintage.folder} is not as it was kept: {'; '.join(wrong[:5])}. "
            "Move it away and fetch or add it again."
        )
