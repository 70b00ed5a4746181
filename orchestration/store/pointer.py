"""The one thing that says which releases there are in a store and which of them readers see.

``pointers/000000000012.json`` is the twelfth state of the store and is never changed; the thirteenth is another object,
written with ``If-None-Match: *``. Of two publishers that saw the twelfth one alone can write it, so no publication is
lost, and what no pointer lists is no release, however much of it was uploaded.

What belongs here: reading the newest pointer and writing the next. What does not: what it points at (``shelf``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from ingest.errors import OretraceError
from ingest.store.bucket import Bucket, Missing, StoreFailed
from orchestration.certificate import PublishRefused

POINTERS = "pointers"
FORMAT = 1
_KEY = re.compile(rf"{POINTERS}/(\d{{12}})\.json")


class Overtaken(PublishRefused):
    """Another publisher was faster; what it published stays."""


@dataclass(frozen=True)
class Pointer:
    """A state of the store.

    Attributes:
        serial: its number, from 1 on.
        current: version of the release that readers see.
        releases: every release, by version: ``checksums_sha256``, ``files``, ``bytes``, ``created`` and, where its
            canonical tables are there, ``canonical_sha256``.
        what: what was done: ``publish``, ``rollback``, ``prune``, ``push``.
        written: when, ISO 8601.
    """

    serial: int
    current: str
    releases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    what: str = ""
    written: str = ""


def newest(bucket: Bucket) -> Pointer | None:
    """Return the newest pointer; None where nothing was ever published.

    Raises:
        OretraceError: it cannot be read.
    """
    keys = [key for key in bucket.sizes(POINTERS) if _KEY.fullmatch(key)]
    return _read(bucket, keys[-1]) if keys else None


def _read(bucket: Bucket, key: str) -> Pointer:
    content = bucket.get(key)
    try:
        said = json.loads(content)
        if said["format"] > FORMAT:
            raise OretraceError(f"{bucket.url}/{key} was written by a newer oretrace. Upgrade this one.")
        pointer = Pointer(said["serial"], said["current"], said["releases"], said["what"], said["written"])
        pointer.releases[pointer.current]["checksums_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise OretraceError(
            f"{bucket.url}/{key} is damaged ({type(error).__name__}: {error}). Remove that object: the state before it "
            "counts again, and its release can be sent anew with: oretrace store push"
        ) from None
    return pointer


def move(bucket: Bucket, before: Pointer | None, current: str, releases: Mapping[str, Any], what: str) -> Pointer:
    """Write the next pointer: the one instant at which readers begin to see something else.

    Args:
        bucket: the store.
        before: the pointer that was read before anything was uploaded or removed.
        current: version of the release that readers see from now on.
        releases: every release, by version.
        what: what is done.

    Raises:
        Overtaken: another publisher wrote it; nothing was changed.
        StoreFailed: it could not be written.
    """
    serial = before.serial + 1 if before else 1
    written = datetime.now(UTC).isoformat(timespec="seconds")
    # The token tells our own pointer from another's when the answer to our request was lost on its way.
    said = {"format": FORMAT, "serial": serial, "current": current, "what": what, "written": written}
    content = json.dumps({**said, "token": uuid4().hex, "releases": releases}, indent=1).encode() + b"\n"
    key = f"{POINTERS}/{serial:012}.json"
    try:
        bucket.put(key, content, once=True)
    except StoreFailed:
        if not _is_ours(bucket, key, content):
            _say_who(bucket, key, what)
            raise
    return Pointer(serial, current, releases, what, written)


def _is_ours(bucket: Bucket, key: str, content: bytes) -> bool:
    try:
        return bucket.get(key) == content
    except Missing:
        return False
    except OretraceError:
        raise StoreFailed(
            f"{bucket.url}: it is not known whether {key} was written, for the store answers no more. What readers see "
            "is whole in either case. Look, when it answers again: oretrace releases"
        ) from None


def _say_who(bucket: Bucket, key: str, what: str) -> None:
    try:
        other = _read(bucket, key)
    except Missing:
        return
    raise Overtaken(
        f"refused: another publisher changed {bucket.url} meanwhile ({other.what} of {other.written}, release "
        f"{other.current}); this {what} was not done. Look: oretrace releases. Then do it again."
    )
