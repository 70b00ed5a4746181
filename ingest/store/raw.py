"""Raw vintages in the object store: what was kept here is sent there, what others kept is seen here.

A record (the vintage's sidecar) is written last and once, so that a vintage in the store is complete, and two machines
that keep the same edition at once cannot overwrite each other. Another machine's record is brought at once, its files
when they are read.

What belongs here: sending and bringing vintages. What does not: what a vintage is (``ingest.vintages``).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ingest.errors import BadInput, Busy, OretraceError
from ingest.sources import sources
from ingest.store import VARIABLE
from ingest.store.bucket import Bucket, Taken
from ingest.vintages import ELSEWHERE, SIDECAR, Vintage, hold_source, raw_vintages

RECORDS = "raw/records"
FILES = "raw/files"
_SENT = ".sent"  # in the folder of a vintage: which store has it
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def record_of(source: str, vintage: str) -> str:
    """Return the name of a vintage's record in the store."""
    return f"{RECORDS}/{source}/{vintage}.json"


def files_of(source: str, vintage: str, sidecar: Mapping[str, Any]) -> str:
    """Return the folder of a vintage's files: by content too, so that two machines never write the same objects."""
    content = json.dumps([[item["path"], item["sha256"]] for item in sidecar["files"]])
    return f"{FILES}/{source}/{vintage}/{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def send(raw: Path, source: str | None = None) -> list[Vintage]:
    """Send the vintages that the store does not have.

    Args:
        raw: the raw folder.
        source: of this source alone; of all by default.

    Returns:
        What was sent.

    Raises:
        OretraceError: another machine kept a vintage of the same name and other content.
    """
    bucket = Bucket.from_environment()
    here = [item for item in raw_vintages(raw) if source in (None, item.source) and not _is_sent(item, bucket)]
    there = bucket.sizes(RECORDS) if here else {}
    out = []
    for item in here:
        record = record_of(item.source, item.vintage)
        if record not in there and _send(bucket, item, record):
            out.append(item)
        elif _hashes(json.loads(bucket.get(record))) != _hashes(item.sidecar):
            raise OretraceError(
                f"{item.folder} is not what another machine kept as {item.source} {item.vintage} in {bucket.url}. "
                "Move the folder away; the next fetch sees the other one, and keeps yours beside it if it is news."
            )
        (item.folder / _SENT).write_text(bucket.url)
    return out


def _is_sent(item: Vintage, bucket: Bucket) -> bool:
    if (item.folder / ELSEWHERE).exists():
        return True
    note = item.folder / _SENT
    return note.is_file() and note.read_text() == bucket.url


def _send(bucket: Bucket, item: Vintage, record: str) -> bool:
    """Send files, then the record; False when another machine wrote the record meanwhile."""
    bucket.send(item.folder, _hashes(item.sidecar), files_of(item.source, item.vintage, item.sidecar))
    try:
        bucket.put(record, (item.folder / SIDECAR).read_bytes(), once=True)
    except Taken:
        return False
    return True


def see(raw: Path, source: str | None = None, *, held: bool = False) -> list[str]:
    """Bring the records of vintages that are in the store and not here; their files come when they are read.

    Args:
        raw: the raw folder.
        source: of this source alone; of all by default.
        held: the caller holds the lock of that source. Sources that others are fetching are passed over.

    Returns:
        The records that were brought.
    """
    bucket = Bucket.from_environment()
    found: dict[str, list[str]] = {}
    for key in bucket.sizes(f"{RECORDS}/{source}" if source else RECORDS):
        owner, _, name = key.removeprefix(f"{RECORDS}/").partition("/")
        vintage = name.removesuffix(".json")
        if owner in sources() and _NAME.fullmatch(vintage) and not (raw / owner / vintage).exists():
            found.setdefault(owner, []).append(vintage)
    out = []
    for owner, names in found.items():
        if held:
            out += [_see(bucket, raw / owner, owner, name) for name in names]
            continue
        try:
            with hold_source(raw, owner) as folder:
                out += [_see(bucket, folder, owner, name) for name in names if not (folder / name).exists()]
        except Busy:
            continue
    return out


def _see(bucket: Bucket, folder: Path, source: str, name: str) -> str:
    record = record_of(source, name)
    text = bucket.get(record)
    try:
        sidecar = json.loads(text)
        files_of(source, name, sidecar)
    except (ValueError, KeyError, TypeError) as error:
        raise OretraceError(f"{bucket.url}/{record} is damaged ({error!r}). Remove it, and fetch that again.") from None
    partial = folder / f".seeing-{name}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / SIDECAR).write_bytes(text)
    (partial / ELSEWHERE).write_text(bucket.url)
    partial.rename(folder / name)
    return record


def bring(vintage: Vintage) -> None:
    """Bring the files of a vintage whose record alone is here, each held to its hash.

    Raises:
        BadInput: the environment does not name the store that has them.
        StoreFailed: a file is missing or damaged there; nothing is kept.
    """
    with (vintage.folder.parent / ".bringing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who had to wait finds them here
        if (vintage.folder / ELSEWHERE).exists():
            _bring(vintage)


def _bring(vintage: Vintage) -> None:
    note = vintage.folder / ELSEWHERE
    url = note.read_text()
    if url != os.environ.get(VARIABLE, "").strip().rstrip("/"):
        raise BadInput(f"the files of {vintage.folder} are in {url}. Set {VARIABLE} to it, and its keys.")
    bucket = Bucket.from_environment()
    partial = vintage.folder.with_name(f".bringing-{vintage.vintage}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        hashes = _hashes(vintage.sidecar)
        bucket.bring(files_of(vintage.source, vintage.vintage, vintage.sidecar), hashes, partial)
        for name in hashes:
            (vintage.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).replace(vintage.folder / name)
        (vintage.folder / _SENT).write_text(bucket.url)
        note.unlink()
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def damaged(bucket: Bucket) -> tuple[int, list[str]]:
    """Hold every raw vintage in the store to its record; return how many there are, and what is wrong."""
    wrong = []
    records = [key for key in bucket.sizes(RECORDS) if key.endswith(".json")]
    for record in records:
        source, _, name = record.removeprefix(f"{RECORDS}/").removesuffix(".json").partition("/")
        try:
            sidecar = json.loads(bucket.get(record))
            below, hashes = files_of(source, name, sidecar), _hashes(sidecar)
        except (ValueError, KeyError, TypeError) as error:
            wrong.append(f"{bucket.url}/{record} cannot be read: {error!r}")
            continue
        there = bucket.sizes(below)
        wrong += [f"{bucket.url}/{below}/{path} is missing" for path in hashes if f"{below}/{path}" not in there]
        wrong += [
            f"{bucket.url}/{below}/{path} changed"
            for path, expected in hashes.items()
            if f"{below}/{path}" in there and bucket.digest(f"{below}/{path}") != expected
        ]
    return len(records), wrong


def _hashes(sidecar: Mapping[str, Any]) -> dict[str, str]:
    return {item["path"]: item["sha256"] for item in sidecar["files"]}
