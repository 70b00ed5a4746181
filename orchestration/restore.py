"""Bringing a backup back: every byte is checked before anything is put in place.

What belongs here: reading a backup, refusing a damaged one, filling an empty home. What does not:
writing backups (``backup``).
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ingest.errors import BadInput, OretraceError
from ingest.home import Home
from orchestration.backup import FORMAT, backups, bytes_below, inside, unsound
from orchestration.backup_sinks import CONTENT, MANIFEST, hashed_copy, sync
from orchestration.progress import BYTES, SILENT, Meter

STAGE = ".restoring"
_BROKEN = (tarfile.TarError, zlib.error, EOFError, OSError)


class BackupDamaged(OretraceError):
    """A backup does not hold what it says it holds; nothing was put in place."""


@dataclass(frozen=True)
class Part:
    """One entry of a backup: a file's stream, or where a link points."""

    name: str
    stream: IO[bytes] | None = None
    target: str | None = None
    mode: int = 0o644
    mtime: float = 0.0


def restore(source: Path, home: Home, *, check_only: bool = False, meter: Meter = SILENT) -> dict[str, Any]:
    """Bring a backup back into an empty or missing home.

    Args:
        source: a folder or an archive written by ``back_up``.
        home: where to.
        check_only: read and hash everything, write nothing; ``home`` may hold what it likes.
        meter: is told the bytes that were read, then those that were checked in place.

    Returns:
        The backup's manifest.

    Raises:
        BadInput: there is no backup, or the home is not empty.
        BackupDamaged: a file is changed, cut short, missing or not listed, or would be written elsewhere.
    """
    source = source.expanduser().resolve()
    _is_backup(source)
    # How much an archive holds is told by its last entry.
    meter.begin("reading", bytes_below(source / CONTENT) if source.is_dir() else None, BYTES)
    if check_only:
        with _parts(source) as parts:
            return _compare(source, *_read(source, parts, None, meter))
    root, stage = home.root, home.root / STAGE
    _is_empty(root)
    shutil.rmtree(stage, ignore_errors=True)
    made = not root.exists()
    stage.mkdir(parents=True)
    try:
        with _parts(source) as parts:
            manifest = _compare(source, *_read(source, parts, stage, meter))
        _link(source, stage, manifest["links"])
        if wrong := unsound(Home(stage), meter):
            raise BackupDamaged(f"{source} is not sound, and nothing was put in place: {'; '.join(wrong[:5])}")
        # Readers look for the warehouse, so it comes last.
        for path in sorted(stage.iterdir(), key=lambda path: (path.name == home.warehouse.name, path.name)):
            path.rename(root / path.name)
        sync(root)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if made and not any(root.iterdir()):
            root.rmdir()
    return manifest


def _is_backup(source: Path) -> None:
    if not source.exists():
        raise BadInput(f"{source}: no such file or folder.")
    if source.is_dir() and not (source / MANIFEST).is_file():
        inner = backups(source)
        if not inner:
            raise BadInput(f"{source} is no backup of oretrace: it holds no {MANIFEST}.")
        names = ", ".join(path.name for path in inner[-5:])
        raise BadInput(f"{source} holds {len(inner)} backup(s). Name one of them, e.g. {inner[-1]}. Newest: {names}.")


def _is_empty(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise BadInput(f"{root} is a file; ORETRACE_HOME must name an empty or missing folder.")
    if root.is_dir() and any(path.name != STAGE for path in root.iterdir()):
        raise BadInput(
            f"{root} is not empty, and a restore never writes over what is there. Move it away, or point "
            "ORETRACE_HOME at an empty or missing folder."
        )


@contextmanager
def _parts(source: Path) -> Iterator[Iterator[Part]]:
    if source.is_dir():
        yield _of_folder(source)
        return
    try:
        archive = tarfile.open(source, "r|gz")  # noqa: SIM115  # closed below
    except _BROKEN as error:
        raise BadInput(f"{source} is no backup of oretrace: {error}.") from None
    with archive:
        yield _of_archive(source, archive)


def _of_folder(source: Path) -> Iterator[Part]:
    for folder, folders, names in os.walk(source):
        here = Path(folder)
        linked = [name for name in folders if (here / name).is_symlink()]
        for path in (here / name for name in sorted([*names, *linked])):
            name = path.relative_to(source).as_posix()
            if path.is_symlink():
                yield Part(name, target=str(path.readlink()))
            elif path.is_file():
                status = path.stat()
                with path.open("rb") as stream:
                    yield Part(name, stream, mode=status.st_mode & 0o777, mtime=status.st_mtime)
            else:
                raise BackupDamaged(f"{path} is neither a file nor a link. Nothing was put in place.")


def _of_archive(source: Path, archive: tarfile.TarFile) -> Iterator[Part]:
    for member in archive:
        # Nothing is ever extracted by its own name, mode or kind: streams only, written by `_place`.
        if member.issym():
            yield Part(member.name, target=member.linkname)
        elif member.isreg():
            yield Part(member.name, archive.extractfile(member), mode=member.mode & 0o755, mtime=member.mtime)
        else:
            raise BackupDamaged(f"{source}: {member.name} is neither a file nor a link. Nothing was put in place.")


def _read(
    source: Path, parts: Iterator[Part], stage: Path | None, meter: Meter
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read every part, writing files below ``stage`` when there is one.

    Returns:
        The manifest, and what was found: by name ``[bytes, sha256]`` of a file or the target of a link.
    """
    manifest: dict[str, Any] | None = None
    found: dict[str, Any] = {}
    for part in _unbroken(source, parts):
        if part.name == MANIFEST and part.stream is not None:
            with _whole(source, MANIFEST):
                manifest = _manifest(source, part.stream.read())
            continue
        top, _, name = part.name.partition("/")
        if top != CONTENT or not name or not inside(name, part.target or ".") or name in found:
            raise BackupDamaged(f"{source}: {part.name!r} does not belong into a backup. Nothing was put in place.")
        with _whole(source, part.name):
            found[name] = part.target if part.stream is None else _place(part, part.stream, stage and stage / name)
            meter.add(0 if part.stream is None else found[name][0])
    if manifest is None:
        raise BackupDamaged(f"{source} is cut short: its list of files, {MANIFEST}, is missing. Use another copy.")
    return manifest, found


@contextmanager
def _whole(source: Path, name: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise BackupDamaged(
            f"{source} is damaged or cut short at {name} ({error}). Nothing was put in place; use another copy."
        ) from None


def _unbroken(source: Path, parts: Iterator[Part]) -> Iterator[Part]:
    last = "its beginning"
    while True:
        with _whole(source, f"what follows {last}"):
            part = next(parts, None)
        if part is None:
            return
        last = part.name
        yield part


def _place(part: Part, stream: IO[bytes], path: Path | None) -> list[Any]:
    """Write a file, or only read it; return the bytes and sha256."""
    if path is None:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            return list(hashed_copy(stream, nowhere))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as target:
        written = hashed_copy(stream, target)
        target.flush()
        os.fsync(target.fileno())
    path.chmod(part.mode)
    os.utime(path, (part.mtime, part.mtime))
    return list(written)


def _link(source: Path, stage: Path, links: list[dict[str, str]]) -> None:
    """Make the links last, so that no file is ever written through one; each must end inside the home."""
    for item in links:
        path = stage / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(item["target"])
    for item in links:
        if not (stage / item["path"]).resolve().is_relative_to(stage.resolve()):
            raise BackupDamaged(f"{source}: {item['path']} leads out of the home. Nothing was put in place.")


def _manifest(source: Path, text: bytes) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(text)
        for item in manifest["files"]:
            item["path"], item["bytes"], item["sha256"]
        for item in manifest["links"]:
            item["path"], item["target"]
        known = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise BackupDamaged(f"{source}: {MANIFEST} is damaged ({error!r}). Use another copy.") from None
    if known != FORMAT:
        raise BadInput(f"{source} was written by another version ({known!r}, this one reads {FORMAT}).")
    return manifest


def _compare(source: Path, manifest: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    listed: dict[str, Any] = {item["path"]: [item["bytes"], item["sha256"]] for item in manifest["files"]}
    listed |= {item["path"]: item["target"] for item in manifest["links"]}
    wrong = [f"{name} is missing" for name in sorted(listed.keys() - found.keys())]
    wrong += [f"{name} was added" for name in sorted(found.keys() - listed.keys())]
    wrong += [f"{name} changed" for name in sorted(listed.keys() & found.keys()) if listed[name] != found[name]]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise BackupDamaged(
            f"{source} is damaged: {'; '.join(wrong[:5])}{more}. Nothing was put in place; use another copy."
        )
    return manifest
