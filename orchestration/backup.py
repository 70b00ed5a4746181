"""Backups of ``ORETRACE_HOME``: a folder that grows by what is new, or one archive to carry away.

What belongs here: what goes into a backup and how it is written while runs and readers go on. What does
not: bringing it back (``restore``), and run history in PostgreSQL (``pg_dump``; see ``docs/operations.md``).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from ingest.errors import BadInput, OretraceError
from ingest.home import Home
from ingest.vintages import raw_vintages, verify_files
from orchestration.backup_sinks import CONTENT, MANIFEST, FolderSink, Sink, TarSink, sync
from orchestration.locks import hold_build
from orchestration.progress import BYTES, SILENT, Meter
from orchestration.publish import verify

FORMAT = 1
ARCHIVE = ".tar.gz"
_SQLITE = b"SQLite format 3\0"
_SIDE_FILES = ("-wal", "-shm", "-journal")
# What a run writes anew from the rest.
_REMADE = "build"
# Unlike these, other files may come and go while they are copied.
_IMMUTABLE = ("raw", "warehouse")


@dataclass
class Backup:
    """A backup that was written.

    Attributes:
        path: its folder or archive.
        files: how many files it holds.
        size: their bytes.
        added: bytes written for it; the rest is shared with the backup before.
        notes: what was left out, and why.
    """

    path: Path
    files: int = 0
    size: int = 0
    added: int = 0
    notes: list[str] = field(default_factory=list)


def back_up(home: Home, target: Path, *, keep: int | None = None, meter: Meter = SILENT) -> Backup:
    """Write a backup of ``home``.

    Args:
        home: what is backed up; runs, fetches and readers may go on meanwhile.
        target: a folder that holds one sub-folder per backup, where files that did not change are shared
            with the backup before (hard links), or an archive to be, ``*.tar.gz``.
        keep: remove all but the newest so many backups of the folder afterwards.
        meter: is told the bytes that were checked, then those that were written.

    Returns:
        Where it is, how large, and what was left out.

    Raises:
        BadInput: there is nothing to back up, or it cannot go there.
        OretraceError: a release or raw vintage is damaged, so that a backup would carry the damage on.
    """
    target = target.expanduser().resolve()
    _refuse(home, target, keep)
    if wrong := unsound(home, meter):
        raise OretraceError(
            "nothing was backed up, because what is there is damaged: "
            + "; ".join(wrong[:5])
            + ". Move it away, or bring it back from an older backup, then back up again."
        )
    if target.name.endswith(ARCHIVE):
        return _archive(home, target, meter)
    with _only_backup(target):
        done = _folder(home, target, meter)
        for old in backups(target)[: -keep if keep else 0]:
            shutil.rmtree(old)
        return done


def _refuse(home: Home, target: Path, keep: int | None) -> None:
    root = home.root.resolve()
    if not any(root.glob("*/*")):
        raise BadInput(f"there is nothing to back up in {root}. ORETRACE_HOME names the folder of the program.")
    if target == root or root in target.parents:
        raise BadInput(f"{target} is inside {root}, which is backed up. Choose a folder elsewhere, on another disk.")
    archive = target.name.endswith(ARCHIVE)
    if archive and target.exists():
        raise BadInput(f"{target} is there already; a backup never replaces another. Choose another name.")
    if not archive and target.exists() and not target.is_dir():
        raise BadInput(f"{target} is a file. Name a folder for backups, or an archive that ends with {ARCHIVE}.")
    if archive and keep:
        raise BadInput("--keep goes with a folder of backups; an archive stands alone.")


def unsound(home: Home, meter: Meter = SILENT) -> list[str]:
    """Hold every release and raw vintage to its own hashes, as ``oretrace verify`` does; say what is wrong."""
    meter.begin("checking", bytes_below(home.warehouse) + bytes_below(home.raw), BYTES)
    wrong = list(verify(home.warehouse, meter)[1])
    for vintage in raw_vintages(home.raw):
        try:
            verify_files(vintage)
        except OretraceError as error:
            wrong.append(str(error))
        meter.add(bytes_below(vintage.folder))
    return wrong


def bytes_below(*places: Path) -> int:
    """Return the bytes of the files in folders, links aside; those that go away meanwhile do not count."""
    size = 0
    for place in places:
        if place.is_file() and not place.is_symlink():
            size += place.stat().st_size
        for folder, _, names in os.walk(place):  # unlike glob, it goes on when a folder goes away
            for name in names:
                with suppress(FileNotFoundError):
                    status = Path(folder, name).lstat()
                    size += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return size


def backups(target: Path) -> list[Path]:
    """List the complete backups of a folder, oldest first."""
    return sorted(path.parent for path in target.glob(f"2*/{MANIFEST}"))


@contextmanager
def _only_backup(target: Path) -> Iterator[None]:
    """Hold the lock of a folder of backups, and clear away what a killed backup left."""
    target.mkdir(parents=True, exist_ok=True)
    with (target / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"another backup is being written to {target}; wait for it to end.") from None
        for left in target.glob(".partial-*"):
            shutil.rmtree(left)
        yield


def _folder(home: Home, target: Path, meter: Meter) -> Backup:
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if (target / stamp).exists():
        raise BadInput(f"{target / stamp} was begun in this very second; try again.")
    partial = target / f".partial-{stamp}"
    partial.mkdir()
    try:
        before = backups(target)
        done = _write(home, FolderSink(partial, before[-1] if before else None), meter)
        partial.rename(target / stamp)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync(target)
    done.path = target / stamp
    return done


def _archive(home: Home, target: Path, meter: Meter) -> Backup:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".partial-{os.getpid()}-{target.name}")
    try:
        with partial.open("xb") as stream:
            # Parquet and zipped downloads hardly shrink; the DuckDB files and the run history do, at any level.
            with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
                done = _write(home, TarSink(archive, target.parent), meter)
            stream.flush()
            os.fsync(stream.fileno())
        partial.rename(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(target.parent)
    done.path = target
    return done


def _write(home: Home, sink: Sink, meter: Meter) -> Backup:
    meter.begin("writing", bytes_below(*(top for top in home.root.iterdir() if _kept(top))), BYTES)
    done = Backup(home.root)
    files: list[dict[str, Any]] = []
    links: list[dict[str, str]] = []
    for name, path in _entries(home, done.notes):
        if path.is_symlink():
            place = str(path.readlink())
            if not inside(name, place):
                done.notes.append(f"{path} was left out: it points to {place}, outside of the home.")
                continue
            sink.link(f"{CONTENT}/{name}", place)
            links.append({"path": name, "target": place})
        elif (entry := _take(sink, name, path)) is not None:
            files.append(entry)
            meter.add(entry["bytes"])
    done.files, done.size, done.added = len(files), sum(item["bytes"] for item in files), sink.added
    manifest = {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "oretrace": version("oretrace"),
        "left_out": done.notes,
        "files": files,
        "links": links,
    }
    sink.text(MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return done


def _entries(home: Home, notes: list[str]) -> Iterator[tuple[str, Path]]:
    """Yield names and paths; canonical tables under the lock of the run, because they belong together."""
    root = home.root.resolve()
    canonical = home.canonical.name
    for top in sorted(root.iterdir(), key=lambda path: (path.name == canonical, path.name)):
        if not _kept(top):
            continue
        if top.name != canonical:
            yield from _walk(root, top)
            continue
        home.build.mkdir(exist_ok=True)
        try:
            with hold_build(home):
                yield from _walk(root, top)
        except BadInput:
            notes.append(f"{top} was left out: a run is writing it. The next run writes it anew in any case.")


def _kept(top: Path) -> bool:
    return not top.name.startswith(".") and top.name != _REMADE


def _walk(root: Path, top: Path) -> Iterator[tuple[str, Path]]:
    """Yield what is below a top-level entry, which may itself be a link to another disk.

    Files beside folders come before what the folders hold: a pointer to a release is read before the
    releases are listed, so that the release it names is there.
    """
    if not top.is_dir():
        yield top.name, top
        return
    for folder, folders, names in os.walk(top):
        here = Path(folder)
        linked = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in linked and not _passing(root, here / name))
        for path in (here / name for name in sorted([*names, *linked])):
            if not _passing(root, path) and (path.is_symlink() or path.is_file()):
                yield path.relative_to(root).as_posix(), path


def _passing(root: Path, path: Path) -> bool:
    """Tell what is half-done, a lock, a secret, or the side file of a database that is copied whole."""
    if any(part.startswith(".") for part in path.relative_to(root).parts[:3]):
        return True
    side = next((path.name.removesuffix(end) for end in _SIDE_FILES if path.name.endswith(end)), None)
    return side is not None and path.with_name(side).is_file()


def inside(name: str, place: str = ".") -> bool:
    """Tell whether a file of this name, or a link of this name that points to ``place``, stays inside the home."""
    if name.startswith("/") or place.startswith("/"):
        return False
    return not os.path.normpath(PurePosixPath(name).parent / place).startswith("..")


def _take(sink: Sink, name: str, path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as stream:
            database = stream.read(len(_SQLITE)) == _SQLITE
        if not database:
            return {**sink.file(f"{CONTENT}/{name}", path), "path": name}
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=sink.scratch) as folder:
            copy = Path(folder) / path.name
            _copy_database(path, copy)
            return {**sink.file(f"{CONTENT}/{name}", copy), "path": name}
    except FileNotFoundError:
        if name.partition("/")[0] in _IMMUTABLE:
            raise OretraceError(f"{path} was removed while it was backed up. Back up again.") from None
        return None


def _copy_database(path: Path, copy: Path) -> None:
    """Copy a SQLite database that others may be writing, with SQLite's own means."""
    source = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=60)
    target = sqlite3.connect(copy)
    try:
        source.backup(target)
    except sqlite3.DatabaseError as error:
        raise OretraceError(f"{path} could not be copied ({error}). Nothing was backed up.") from None
    finally:
        target.close()
        source.close()
    shutil.copystat(path, copy)
