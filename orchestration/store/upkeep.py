"""Looking after the releases in an object store: listing, verifying, rolling back, pruning, what it holds.

What belongs here: what commands do to a store. What does not: their words (``cli_store``, ``cli_releases``).
"""

from __future__ import annotations

import hashlib
import shutil
from datetime import timedelta
from typing import Any

from ingest.errors import BadInput, OretraceError
from ingest.home import Home
from ingest.store.bucket import Bucket, Missing
from ingest.store.raw import RECORDS, damaged
from ingest.words import unknown
from orchestration.integrity import CHECKSUMS, listing_of
from orchestration.locks import hold_build
from orchestration.progress import SILENT, Meter
from orchestration.releases import complete_releases, current_release, only_publisher, remove_release
from orchestration.store.pointer import Pointer, move, newest
from orchestration.store.shelf import CANONICAL, RELEASES, catch_up

# An upload that no pointer lists may be under way; after so long it is what a killed publisher left.
LEFT_BEHIND = timedelta(days=1)


def _pointer(bucket: Bucket) -> Pointer:
    pointer = newest(bucket)
    if pointer is None:
        raise BadInput(f"there is no release in {bucket.url} yet. Build one with: oretrace run")
    return pointer


def listed() -> list[dict[str, Any]]:
    """Return the releases of the store, newest first."""
    bucket = Bucket.from_environment()
    pointer = _pointer(bucket)
    return [
        {
            "version": version,
            "published": version == pointer.current,
            "created": entry["created"],
            "files": entry["files"],
            "bytes": entry["bytes"],
            "folder": f"{bucket.url}/{RELEASES}/{version}",
        }
        for version, entry in sorted(pointer.releases.items(), reverse=True)
    ]


def rollback(home: Home, version: str) -> str:
    """Point readers of the store back at a release, after reading and hashing all of it; bring it here.

    Raises:
        BadInput: no such release.
        OretraceError: it is damaged, or another publisher was faster; nothing was changed.
    """
    bucket = Bucket.from_environment()
    pointer = _pointer(bucket)
    if version not in pointer.releases:
        raise BadInput(f"there is no release {version!r}. {unknown(version, pointer.releases, 'Releases')}")
    if wrong := _wrong(bucket, version, pointer, SILENT):
        raise OretraceError(f"release {version} is damaged: {'; '.join(wrong[:5])}. Nothing was changed.")
    move(bucket, pointer, version, pointer.releases, "rollback")
    catch_up(home)
    return version


def prune(home: Home, keep: int) -> list[str]:
    """Remove all but the newest releases from the store; the published one stays, and so does what is under way.

    A pointer without them is written first, then they go, here too; also what killed publishers left behind.

    Returns:
        The removed versions, newest first.
    """
    bucket = Bucket.from_environment()
    pointer = _pointer(bucket)
    old = [version for version in sorted(pointer.releases, reverse=True)[keep:] if version != pointer.current]
    left_behind = _left_behind(bucket, pointer)
    if old or left_behind:
        # Also where only left-overs go: a publisher that slept over its upload is then too late, and refused.
        left = {version: entry for version, entry in pointer.releases.items() if version not in old}
        pointer = move(bucket, pointer, pointer.current, left, "prune")
    for version in [*old, *left_behind]:
        for below in (RELEASES, CANONICAL):
            bucket.remove(bucket.sizes(f"{below}/{version}"))
    with only_publisher(home.warehouse):
        current = current_release(home.warehouse)
        for release in complete_releases(home.warehouse):
            if release.version in old and current is not None and release.version != current.version:
                remove_release(release, home.warehouse)
    return old


def _left_behind(bucket: Bucket, pointer: Pointer) -> list[str]:
    youngest: dict[str, timedelta] = {}
    for below in (RELEASES, CANONICAL):
        for key, age in bucket.ages(below).items():
            version = key.split("/")[1]
            youngest[version] = min(age, youngest.get(version, age))
    return [version for version, age in youngest.items() if version not in pointer.releases and age > LEFT_BEHIND]


def verify(meter: Meter = SILENT) -> tuple[int, list[str]]:
    """Read and hash every release, its canonical tables and every raw vintage of the store; nothing is kept.

    Returns:
        Number of releases, and what is wrong.
    """
    bucket = Bucket.from_environment()
    pointer = _pointer(bucket)
    meter.begin("verifying", sum(entry["bytes"] for entry in pointer.releases.values()))
    wrong = [line for version in pointer.releases for line in _wrong(bucket, version, pointer, meter)]
    return len(pointer.releases), wrong + damaged(bucket)[1]


def _wrong(bucket: Bucket, version: str, pointer: Pointer, meter: Meter) -> list[str]:
    entry = pointer.releases[version]
    wrong = _differs(bucket, f"{RELEASES}/{version}", entry["checksums_sha256"], meter)
    if "canonical_sha256" in entry:  # one that was pushed came without
        wrong += _differs(bucket, f"{CANONICAL}/{version}", entry["canonical_sha256"], SILENT)
    return wrong


def _differs(bucket: Bucket, below: str, expected: str, meter: Meter) -> list[str]:
    """Compare the objects below a folder with its list of checksums, and that with what the pointer says of it."""
    where = f"{bucket.url}/{below}"
    try:
        text = bucket.get(f"{below}/{CHECKSUMS}")
    except Missing:
        return [f"{where}/{CHECKSUMS} is missing"]
    if hashlib.sha256(text).hexdigest() != expected:
        return [f"{where}/{CHECKSUMS} is not the list that the pointer names"]
    try:
        hashes = listing_of(text.decode())
    except ValueError as error:
        return [f"{where}/{CHECKSUMS} cannot be read: {error}"]
    there = {key.removeprefix(f"{below}/"): size for key, size in bucket.sizes(below).items()}
    wrong = [f"{where}/{name} is missing" for name in hashes if name not in there]
    wrong += [f"{where}/{name} was added" for name in there if name not in hashes and name != CHECKSUMS]
    for name in hashes.keys() & there.keys():
        found = bucket.digest(f"{below}/{name}")
        if found != hashes[name]:
            wrong.append(f"{where}/{name} changed: expected sha256 {hashes[name][:12]}, found {found[:12]}")
        meter.add(there[name])
    return wrong


def bring_canonical(home: Home) -> int:
    """Put the canonical tables of the published release in place of those here; return how many there are.

    Raises:
        BadInput: the store has none of it, or a run is at work.
    """
    bucket = Bucket.from_environment()
    pointer = _pointer(bucket)
    version, below = pointer.current, f"{CANONICAL}/{pointer.current}"
    expected = pointer.releases[version].get("canonical_sha256")
    if expected is None:
        raise BadInput(f"{bucket.url} holds no canonical tables of release {version}, which was pushed.")
    text = bucket.get(f"{below}/{CHECKSUMS}")
    if hashlib.sha256(text).hexdigest() != expected:
        raise OretraceError(
            f"{bucket.url}/{below}/{CHECKSUMS} is not the list that the pointer names. Nothing is used."
        )
    hashes = listing_of(text.decode())
    home.create()
    with hold_build(home):
        partial = home.root / ".canonical"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            bucket.bring(below, hashes, partial)
            shutil.rmtree(home.canonical, ignore_errors=True)
            partial.rename(home.canonical)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return len(hashes)


def standing_there() -> dict[str, Any]:
    """Say what the store holds, for people and programs."""
    bucket = Bucket.from_environment()
    pointer = newest(bucket)
    said: dict[str, Any] = {"store": bucket.url, "raw_vintages": len(bucket.sizes(RECORDS))}
    if pointer is None:
        return said | {"serial": 0, "published": None, "releases": 0}
    has_canonical = "canonical_sha256" in pointer.releases[pointer.current]
    return said | {
        "serial": pointer.serial,
        "written": pointer.written,
        "what": pointer.what,
        "releases": len(pointer.releases),
        "published": pointer.current,
        "release": f"{bucket.url}/{RELEASES}/{pointer.current}",
        "canonical": f"{bucket.url}/{CANONICAL}/{pointer.current}" if has_canonical else None,
    }
