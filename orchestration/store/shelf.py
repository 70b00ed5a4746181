"""Releases on their way to the object store and back: complete objects first, the pointer last.

What belongs here: sending a release with its canonical tables, bringing the one that readers see to the working disk,
what ``oretrace run`` does about the store before it begins. What does not: looking after them (``upkeep``).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ingest.errors import BadInput, OretraceError
from ingest.home import Home
from ingest.store.bucket import Bucket, Missing, StoreFailed, Taken
from ingest.store.raw import see, send
from ingest.vintages import sha256_of
from orchestration.certificate import CERTIFICATE
from orchestration.integrity import CHECKSUMS, listing, read_listing, verify_release
from orchestration.releases import (
    PACKAGE,
    Release,
    complete_releases,
    current_release,
    folder_of,
    fsync,
    only_publisher,
    partial_folder,
    point_at,
    remove_release,
)
from orchestration.standing import last_published, published_with
from orchestration.store.pointer import Overtaken, Pointer, move, newest

RELEASES = "releases"
CANONICAL = "canonical"
COPIES = 3  # releases kept on the working disk that the store has as well


class Shelf:
    """The store as a publisher sees it: opened before a release is made, closed by its pointer."""

    def __init__(self, home: Home) -> None:
        """Read the pointer, and bring the release it names, which the new one will be compared with."""
        self.home = home
        self.bucket = Bucket.from_environment()
        self.before = join(home, self.bucket)

    def versions(self) -> Iterable[str]:
        """Return the versions that are taken."""
        return self.before.releases if self.before else ()

    def send(self, folder: Path, version: str, after: str | None) -> None:
        """Send a sealed release and move the pointer to it.

        Args:
            folder: the release, complete.
            version: its name.
            after: version of the release it was compared with.

        Raises:
            Overtaken: another publisher was faster; readers see what it published.
            BadInput, StoreFailed: it could not be sent; what was published stays.
        """
        if self.before is not None and after != self.before.current:
            raise Overtaken(f"refused: {self.bucket.url} holds another release than the one compared with. Run again.")
        self.bucket.refuse_if_it_overwrites()
        send(self.home.raw)
        entry = send_release(self.bucket, folder, version)
        entry["canonical_sha256"] = send_canonical(self.bucket, self.home.canonical, version)
        move(
            self.bucket,
            self.before,
            version,
            {**(self.before.releases if self.before else {}), version: entry},
            "publish",
        )


def send_release(bucket: Bucket, folder: Path, version: str) -> dict[str, Any]:
    """Send a sealed release, read it back, and return what the pointer says of it.

    The list of checksums goes first and once: it claims the name.

    Raises:
        Overtaken: another publisher is sending one of the same name.
    """
    below = f"{RELEASES}/{version}"
    listed = (folder / CHECKSUMS).read_bytes()
    _claim(bucket, f"{below}/{CHECKSUMS}", listed)
    hashes = read_listing(folder / CHECKSUMS)
    bucket.send(folder, hashes, below)
    created = json.loads((folder / PACKAGE).read_text())["created"]
    size = sum((folder / name).stat().st_size for name in hashes) + len(listed)
    sealed = sha256_of(folder / CHECKSUMS)
    return {"created": created, "files": len(hashes) + 1, "bytes": size, "checksums_sha256": sealed}


def _claim(bucket: Bucket, key: str, content: bytes) -> None:
    try:
        bucket.put(key, content, once=True)
    except Taken:
        if bucket.get(key) != content:
            raise Overtaken(f"refused: another publisher is sending {bucket.url}/{key}. Run again.") from None


def send_canonical(bucket: Bucket, folder: Path, version: str) -> str:
    """Send the canonical tables that a release was made of, their list last; return the hash of that."""
    hashes = {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*.parquet"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    bucket.send(folder, hashes, f"{CANONICAL}/{version}")
    said = listing(hashes).encode()
    bucket.put(f"{CANONICAL}/{version}/{CHECKSUMS}", said)
    return hashlib.sha256(said).hexdigest()


def join(home: Home, bucket: Bucket | None = None) -> Pointer | None:
    """Make the working disk and the store agree before a run: vintages both ways, the release that readers see.

    A store without any release takes over those that are here.

    Returns:
        The pointer; None where there is no release in either place.
    """
    bucket = bucket or Bucket.from_environment()
    see(home.raw)
    send(home.raw)
    pointer = newest(bucket)
    if pointer is None:
        return push_releases(home, bucket)
    return _follow(home, bucket, pointer)


def catch_up(home: Home, *, thorough: bool = False) -> Pointer:
    """Bring the release that readers see to the working disk and point its links there; two requests if it is there.

    Args:
        home: where the working disk is.
        thorough: hash a copy that is here, and bring a damaged one anew.

    Raises:
        BadInput: there is no release in the store.
        StoreFailed: it cannot be brought; what was here stays.
    """
    bucket = Bucket.from_environment()
    pointer = newest(bucket)
    if pointer is None:
        here = " Those of this folder get there with: oretrace store push" if current_release(home.warehouse) else ""
        raise BadInput(f"there is no release in {bucket.url} yet. Build one with: oretrace run.{here}")
    return _follow(home, bucket, pointer, thorough)


def _follow(home: Home, bucket: Bucket, pointer: Pointer, thorough: bool = False) -> Pointer:
    if is_here(home.warehouse, pointer) and not thorough:
        return pointer
    home.create()
    with only_publisher(home.warehouse):
        while thorough or not is_here(home.warehouse, pointer):
            try:
                _bring(home, bucket, pointer)
                thorough = False
            except Missing:
                # A release is removed after the pointer left it; who read the pointer before reads it again.
                now = newest(bucket)
                if now is None or now.serial == pointer.serial:
                    raise
                pointer = now
        return pointer


def is_here(target: Path, pointer: Pointer) -> bool:
    """Tell whether the release that the pointer names is the one that the links of the working disk lead to."""
    current = current_release(target)
    return current is not None and current.version == pointer.current and _is_listed(current, pointer)


def _is_listed(release: Release, pointer: Pointer) -> bool:
    """Tell whether a release on disk carries the list of checksums that the store has of it."""
    entry, path = pointer.releases.get(release.version), release.folder / CHECKSUMS
    return entry is not None and path.is_file() and sha256_of(path) == entry["checksums_sha256"]


def _bring(home: Home, bucket: Bucket, pointer: Pointer) -> None:
    """Bring the current release whole, beside what readers have open, then point at it; the caller holds the lock."""
    target, version = home.warehouse, pointer.current
    release = Release(version, folder_of(target) / version)
    if not (release.folder.is_dir() and _is_listed(release, pointer) and not verify_release(release)):
        _download(bucket, pointer, target)
    point_at(target, release.folder)
    _note_inputs(home, bucket, pointer)
    copies = [item for item in complete_releases(target) if _is_listed(item, pointer) and item.version != version]
    for old in copies[COPIES - 1 :]:
        remove_release(old, target)


def _note_inputs(home: Home, bucket: Bucket, pointer: Pointer) -> None:
    """Note what the release that was published last is made of, which is not the current one after a rollback.

    So a rolled-back release stays, here as elsewhere, until an input changes or somebody runs.
    """
    last = max(pointer.releases)
    if last_published(home) != last:
        cert = json.loads(bucket.get(f"{RELEASES}/{last}/{CERTIFICATE}"))
        published_with(home, last, cert["run_id"], cert.get("inputs") or {}, elsewhere=True)


def _download(bucket: Bucket, pointer: Pointer, target: Path) -> None:
    version = pointer.current
    below, expected = f"{RELEASES}/{version}", pointer.releases[version]["checksums_sha256"]
    partial, folder = partial_folder(target), folder_of(target) / version
    partial.mkdir()
    try:
        if bucket.fetch(f"{below}/{CHECKSUMS}", partial / CHECKSUMS) != expected:
            raise StoreFailed(
                f"{bucket.url}/{below}/{CHECKSUMS} is not the list that the pointer names. Nothing is used."
            )
        bucket.bring(below, read_listing(partial / CHECKSUMS), partial)
        for path in (partial, *partial.rglob("*")):
            fsync(path)
        if folder.exists():
            remove_release(Release(version, folder), target)
        partial.rename(folder)
        fsync(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def push_releases(home: Home, bucket: Bucket) -> Pointer | None:
    """Send the releases of this home to a store, those that it does not have; oldest first.

    The store's current release stays what readers see; a store without one takes that of this home. Releases of the
    form before there were lists of checksums cannot be sent; where one of these is current, nothing is.

    Returns:
        The pointer afterwards; None where there is nothing in either place.

    Raises:
        OretraceError: a release is damaged, nothing is sent; or the store fails.
    """
    before, current = newest(bucket), current_release(home.warehouse)
    known: Mapping[str, Any] = before.releases if before else {}
    whole = [item for item in reversed(complete_releases(home.warehouse)) if (item.folder / CHECKSUMS).is_file()]
    missing = [item for item in whole if item.version not in known]
    now = before.current if before else current.version if current else None
    if not missing or now is None or now not in {*known, *(item.version for item in missing)}:
        return before
    if wrong := [line for item in missing for line in verify_release(item)]:
        raise OretraceError(
            f"nothing was sent to {bucket.url}, because what is here is damaged: {'; '.join(wrong[:5])}"
        )
    bucket.refuse_if_it_overwrites()
    sent = {item.version: send_release(bucket, item.folder, item.version) for item in missing}
    return move(bucket, before, now, {**known, **sent}, "push")
