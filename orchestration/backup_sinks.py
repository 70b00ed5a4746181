"""How the bytes of a backup are written: into a folder, or into an archive.

What belongs here: writing one file after another, hashing what was written. What does not: which files
(``backup``).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol

from ingest.vintages import sha256_of

MANIFEST = "backup.json"
CONTENT = "home"
_CHUNK = 2**20


class Sink(Protocol):
    """Where a backup is written to.

    Attributes:
        added: bytes written so far.
        scratch: a folder on the same disk, for copies on their way.
    """

    added: int
    scratch: Path

    def file(self, name: str, path: Path) -> dict[str, Any]:
        """Take a file; return its path, bytes and sha256 for the manifest."""

    def link(self, name: str, target: str) -> None:
        """Take a symbolic link."""

    def text(self, name: str, content: str) -> None:
        """Take a small text, which ends the backup."""


def hashed_copy(source: IO[bytes], target: IO[bytes]) -> tuple[int, str]:
    """Copy a stream; return the bytes and the sha256 of what was written."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        target.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


class FolderSink:
    """A backup as a plain folder; equal files are hard links into the backup before."""

    def __init__(self, folder: Path, before: Path | None) -> None:
        """Begin in an empty folder."""
        self.added = 0
        self.folder, self.before, self.scratch = folder, before, folder.parent
        self.known: Mapping[str, str] = {}
        if before:
            listed = json.loads((before / MANIFEST).read_text())["files"]
            self.known = {f"{CONTENT}/{item['path']}": item["sha256"] for item in listed}

    def file(self, name: str, path: Path) -> dict[str, Any]:
        """Copy a file, or share the copy that the backup before holds."""
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if self.before and name in self.known and sha256_of(path) == self.known[name]:
            try:
                place.hardlink_to(self.before / name)
            except OSError:
                pass  # a disk without hard links, or the older copy is gone: copied in full
            else:
                if sha256_of(place) == self.known[name]:
                    return {"bytes": place.stat().st_size, "sha256": self.known[name]}
                place.unlink()  # the older copy is damaged; this one is not
        with path.open("rb") as source, place.open("xb") as target:
            size, found = hashed_copy(source, target)
            target.flush()
            os.fsync(target.fileno())
        shutil.copystat(path, place)
        self.added += size
        return {"bytes": size, "sha256": found}

    def link(self, name: str, target: str) -> None:
        """Make the same link."""
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    def text(self, name: str, content: str) -> None:
        """Write and sync a text."""
        place = self.folder / name
        place.write_text(content)
        sync(place)
        sync(self.folder)


class TarSink:
    """A backup as one archive."""

    def __init__(self, archive: tarfile.TarFile, scratch: Path) -> None:
        """Begin in an open archive."""
        self.archive, self.scratch = archive, scratch
        self.added = 0

    def file(self, name: str, path: Path) -> dict[str, Any]:
        """Add a file as long as it is now: a log may grow meanwhile."""
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            info = self._info(name, status.st_size)
            info.mode, info.mtime = status.st_mode & 0o777, int(status.st_mtime)
            reader = _Hashing(stream)
            self.archive.addfile(info, reader)  # type: ignore[arg-type]  # it asks for read() only
        self.added += info.size
        return {"bytes": info.size, "sha256": reader.digest.hexdigest()}

    def link(self, name: str, target: str) -> None:
        """Add a link."""
        info = self._info(name, 0)
        info.type, info.linkname = tarfile.SYMTYPE, target
        self.archive.addfile(info)

    def text(self, name: str, content: str) -> None:
        """Add a text."""
        with tempfile.TemporaryFile() as stream:
            size = stream.write(content.encode())
            stream.seek(0)
            self.archive.addfile(self._info(name, size), stream)

    @staticmethod
    def _info(name: str, size: int) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.size, info.mtime = size, int(datetime.now(UTC).timestamp())
        return info


class _Hashing:
    """A stream that hashes what is read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.digest = stream, hashlib.sha256()

    def read(self, size: int) -> bytes:
        chunk = self.stream.read(size)
        self.digest.update(chunk)
        return chunk


def sync(path: Path) -> None:
    """Bring a file or the names in a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
