"""Zip archives from publishers: looked at before they are unpacked, unpacked within limits.

What belongs here: what makes an archive unsafe, and unpacking a whole archive or one member in
constant memory. What does not: what the members hold (``ingest.sources``).
"""

from __future__ import annotations

import re
import shutil
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from ingest.errors import OretraceError, SourceChanged

MAX_MEMBERS = 10_000
"""The fullest archive we read, BACI HS92, has some 35 members; a few thousand would still be plausible."""
MAX_BYTES = 40 * 10**9
"""Unpacked: BACI HS92 is the largest, some 11 GB for 30 years; room for it to grow, and still below a disk."""
MAX_RATIO = 100.0
"""Unpacked to packed bytes: tables as text reach 4 to 10; only a bomb nears deflate's own limit of 1,032."""
_RATIO_FROM = 10**6
# Below this size a member may be as repetitive as it likes (a sheet of blanks is no bomb).
_CHUNK = 2**20
# Only these unpack in bounded steps; the others may turn one chunk into gigabytes of memory.
_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate"}
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Limits:
    """What an archive may hold: members, bytes unpacked, and unpacked bytes per packed byte."""

    members: int = MAX_MEMBERS
    size: int = MAX_BYTES
    ratio: float = MAX_RATIO


@dataclass(frozen=True)
class Member:
    """One file of an archive: its path inside, with ``/``, and its unpacked size in bytes."""

    name: str
    size: int


USUAL = Limits()


def members(archive: Path, *, limits: Limits = USUAL) -> list[Member]:
    """List the files of an archive after checking its directory; nothing is unpacked.

    Refused: absolute paths, ``..``, drive letters, back-slashes, control characters, links and
    devices, two members that are one file on some system (the same name, or names that differ in
    case or in the spelling of accents), a file that is also a folder, encrypted members, methods
    other than stored and deflate, and anything beyond ``limits``. An archive inside the archive is
    a file like any other.

    Raises:
        SourceChanged: with file, member and reason.
    """
    with _opened(archive) as pack:
        return [Member(info.filename, info.file_size) for info in _checked(archive, pack, limits)]


def extract(archive: Path, target: Path, *, limits: Limits = USUAL) -> list[Path]:
    """Unpack a whole archive into a new folder, all of it or nothing.

    Args:
        archive: the zip file.
        target: folder that does not exist yet, or is empty; its parent must exist.
        limits: what the archive may hold; bytes are counted again while unpacking.

    Returns:
        The files, in the archive's order.

    Raises:
        SourceChanged: as ``members``, or a member is damaged (checksum, length).
        OretraceError: ``target`` is not empty, or the disk is full.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OretraceError(f"{target} is there already; an archive is unpacked into a new or empty folder only.")
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        with _opened(archive) as pack:
            names = []
            for info in _checked(archive, pack, limits):
                path = partial / info.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                _unpack(archive, pack, info, path)
                names.append(info.filename)
        if target.exists():
            target.rmdir()
        partial.chmod(0o755)  # mkdtemp makes folders that only their maker may read.
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return [target / name for name in names]


@contextmanager
def unpacked(archive: Path, name: str, *, folder: Path | None = None, limits: Limits = USUAL) -> Iterator[Path]:
    """Unpack one member to a temporary file for as long as the context lasts.

    Args:
        archive: the zip file.
        name: the member's path inside.
        folder: where the temporary file lies; the system's folder for such files by default.
        limits: as ``members``.

    Yields:
        The file, complete and with its checksum proven; it bears the member's own file name.

    Raises:
        SourceChanged: as ``extract``, or there is no such member.
        OretraceError: the disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="oretrace-", dir=folder) as own:
        with _opened(archive) as pack:
            found = {info.filename: info for info in _checked(archive, pack, limits)}
            if name not in found:
                raise _refused(archive, name, f"no such member; it holds {', '.join(found) or 'nothing'}")
            path = Path(own, PurePosixPath(name).name)
            _unpack(archive, pack, found[name], path)
        yield path


def _refused(archive: Path, member: str, reason: str) -> SourceChanged:
    return SourceChanged(f"{archive}: member {member!r}: {reason}.")


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        pack = zipfile.ZipFile(archive)
    except FileNotFoundError:
        raise SourceChanged(f"{archive}: no such file.") from None
    except (*_BROKEN, OSError) as error:
        raise SourceChanged(f"{archive}: not a readable zip archive ({error}). Fetch it again.") from None
    with pack:
        yield pack


def _checked(archive: Path, pack: zipfile.ZipFile, limits: Limits) -> list[zipfile.ZipInfo]:
    """Return the members that are files, in the archive's order."""
    entries = pack.infolist()
    if len(entries) > limits.members:
        raise SourceChanged(f"{archive}: {len(entries)} members, more than the limit of {limits.members}.")
    for info in entries:
        if reason := _unsafe(info, limits):
            raise _refused(archive, info.orig_filename, reason)
    _one_path_each(archive, entries)
    total = sum(info.file_size for info in entries)
    if total > limits.size:
        raise SourceChanged(f"{archive}: {total:,} bytes unpacked, more than the limit of {limits.size:,}.")
    # Members that share packed bytes each pass on their own.
    if total > _RATIO_FROM and total > limits.ratio * archive.stat().st_size:
        raise SourceChanged(f"{archive}: unpacks to more than {limits.ratio:g} times its size ({total:,} bytes).")
    return [info for info in entries if not info.is_dir()]


def _unsafe(info: zipfile.ZipInfo, limits: Limits) -> str | None:
    """Say why a directory entry is refused; None if it is not."""
    # ``filename`` is already cut at a NUL and turned to the system's separator.
    name = info.orig_filename
    parts = name.removesuffix("/").split("/")
    mode = stat.S_IFMT(info.external_attr >> 16)
    reasons = (
        (any(unicodedata.category(sign) == "Cc" for sign in name), "control character in the name"),
        ("\\" in name, "back-slash in the name"),
        (bool(re.match(r"[A-Za-z]:", name)), "drive letter"),
        (name.startswith("/"), "absolute path"),
        (".." in parts, "'..' in the path"),
        ("" in parts or "." in parts, "empty part in the path"),
        (mode not in (0, stat.S_IFREG, stat.S_IFDIR), "a link or device, not a file"),
        (info.is_dir() and info.file_size > 0, "a folder with content"),
        (bool(info.flag_bits & 0x41), "encrypted"),
        (info.compress_type not in _METHODS, f"packed by method {info.compress_type}, not stored or deflate"),
        (
            info.file_size > max(_RATIO_FROM, limits.ratio * info.compress_size),
            f"unpacks from {info.compress_size:,} to {info.file_size:,} bytes, more than {limits.ratio:g} times",
        ),
    )
    return next((reason for applies, reason in reasons if applies), None)


def _one_path_each(archive: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Hold every path to one meaning, also where case or the spelling of accents do not count."""
    seen: dict[str, str] = {}
    needed: dict[str, str] = {}
    for info in entries:
        key = unicodedata.normalize("NFC", info.filename.removesuffix("/")).casefold()
        if key in seen:
            raise _refused(archive, info.filename, f"the same path as {seen[key]!r}")
        seen[key] = info.filename
        needed |= {str(parent): info.filename for parent in PurePosixPath(key).parents}
    for key, name in seen.items():
        if key in needed and not name.endswith("/"):
            raise _refused(archive, needed[key], f"lies in {name!r}, which is a file")


def _unpack(archive: Path, pack: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    """Write one member; the caller removes what is half-written."""
    try:
        with path.open("wb") as sink, pack.open(info) as source:
            _copy(source, sink, info.file_size)
    except _BROKEN as error:
        raise _refused(archive, info.filename, f"damaged ({error}); fetch the archive again") from None
    except OSError as error:
        room = shutil.disk_usage(path.parent).free
        raise OretraceError(
            f"{archive}: member {info.filename!r} ({info.file_size:,} bytes) could not be unpacked to {path.parent} "
            f"({error.strerror}; {room:,} bytes are free). Make room there, or point TMPDIR at a larger disk."
        ) from None


def _copy(source: IO[bytes], sink: IO[bytes], declared: int) -> None:
    """Copy to the end, counting: what the directory declares is a claim, not a fact."""
    written = 0
    while chunk := source.read(_CHUNK):
        written += len(chunk)
        if written > declared:
            break
        sink.write(chunk)
    if written != declared:
        raise EOFError(f"{written:,} bytes where its directory declares {declared:,}")
