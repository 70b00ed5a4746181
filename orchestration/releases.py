"""Releases on disk: where they are, which one readers see, in what order, and who may change that.

``warehouse/current`` points at ``releases/<version>`` and is the only thing that moves;
``warehouse/oretrace.duckdb`` and ``warehouse/site`` go through it.

What belongs here: the layout, the one pointer, the lock. What does not: what is inside a release
(``integrity``) and when there is a new one (``publish``).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ingest.errors import OretraceError

CURRENT = "current"
LINK = "oretrace.duckdb"
SITE = "site"
PACKAGE = "datapackage.json"
PARTIAL = ".partial-"
STAMP = "%Y%m%dT%H%M%SZ"
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Release:
    """A published version.

    Attributes:
        version: time and start of the content hash, e.g. ``20261122T101500Z-1a2b3c4d``; sorts by age.
        folder: ``warehouse/releases/<version>``.
        unchanged: True when the candidate holds the same marts as the current release, which then stays.
    """

    version: str
    folder: Path
    unchanged: bool = False

    @property
    def database(self) -> Path:
        """The release's DuckDB file."""
        return self.folder / LINK

    @property
    def package(self) -> dict[str, Any]:
        """The release's data package."""
        package: dict[str, Any] = json.loads((self.folder / PACKAGE).read_text())
        return package


def folder_of(target: Path) -> Path:
    """Return the folder of all releases of a warehouse."""
    return target / "releases"


def complete_releases(target: Path) -> list[Release]:
    """Return every complete release, newest first."""
    packages = sorted(folder_of(target).glob(f"2*/{PACKAGE}"), reverse=True)
    return [Release(package.parent.name, package.parent) for package in packages]


def list_releases(target: Path) -> Iterator[tuple[Release, dict[str, Any]]]:
    """Yield every complete release with its data package, newest first; one that cannot be read is for ``verify``."""
    for release in complete_releases(target):
        with suppress(ValueError):
            yield release, release.package


def next_version(target: Path, content_hash: str, taken: Iterable[str] = ()) -> str:
    """Name the next release: later than every release there is or is ``taken``, also when the clock was set back."""
    now = datetime.now(UTC)
    for name in [*taken, *(folder.name for folder in folder_of(target).glob("2*"))]:
        try:
            stamp = datetime.strptime(name.partition("-")[0], STAMP).replace(tzinfo=UTC)
        except ValueError:
            continue
        now = max(now, stamp + timedelta(seconds=1))
    return f"{now.strftime(STAMP)}-{content_hash[:8]}"


def current_release(target: Path) -> Release | None:
    """Return the release that readers see; None before the first and where the pointer leads to no release."""
    folder = _pointed_at(target)
    if folder is None or folder.parent != folder_of(target).resolve() or not (folder / PACKAGE).is_file():
        return None
    return Release(folder.name, folder)


def _pointed_at(target: Path) -> Path | None:
    if (target / CURRENT).is_symlink():
        return (target / CURRENT).resolve()
    # Warehouses written before there was a pointer link the file itself to its release.
    return (target / LINK).resolve().parent if (target / LINK).is_symlink() else None


def swapped_links(target: Path) -> list[str]:
    """Say which of the published links are not what ``point_at`` makes; links that are missing are no fault here."""
    wrong = []
    pointer = target / CURRENT
    folder = _pointed_at(target)
    if folder is not None and (folder.parent != folder_of(target).resolve() or _is_no_release(folder)):
        moved = pointer if pointer.is_symlink() else target / LINK
        wrong.append(f"{moved} points at {folder}, which is no release in {folder_of(target)}")
    elif folder is not None and pointer.is_symlink() and pointer.readlink() != Path("releases") / folder.name:
        wrong.append(f"{pointer} should be a link to releases/{folder.name} and is one to {pointer.readlink()}")
    if pointer.exists() and not pointer.is_symlink():
        wrong.append(f"{pointer} is no link to a release")
    for name in (LINK, SITE):
        link = target / name
        if not (link.is_symlink() or link.exists()):
            continue
        old_layout = name == LINK and not pointer.is_symlink() and link.is_symlink() and link.readlink().name == LINK
        if not old_layout and not (link.is_symlink() and link.readlink() == Path(CURRENT) / name):
            wrong.append(f"{link} was swapped: it should be a link to {CURRENT}/{name}")
    return wrong


def _is_no_release(folder: Path) -> bool:
    """A folder that is gone was deleted, and the next publication mends that; one without package was tampered with."""
    return folder.exists() and not (folder / PACKAGE).is_file()


def point_at(target: Path, folder: Path) -> None:
    """Point readers at a release: one atomic rename moves file, Parquet and site; open readers keep what they opened.

    Links of an older layout are led through the pointer first, while that still points at the same release.
    """
    before = current_release(target)
    for release in (before.folder if before else folder, folder):
        _link(target / CURRENT, Path("releases") / release.name)
        _link(target / LINK, Path(CURRENT) / LINK)
    if (folder / SITE).is_dir():
        _link(target / SITE, Path(CURRENT) / SITE)
    elif (target / SITE).is_symlink():
        (target / SITE).unlink()
    fsync(target)


def _link(path: Path, to: Path) -> None:
    if path.is_symlink() and path.readlink() == to:
        return
    fresh = path.with_name(f".{path.name}-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(to)
    fresh.replace(path)


@contextmanager
def only_publisher(target: Path) -> Iterator[None]:
    """Hold the lock of the warehouse; it falls with the process, however that ends.

    Whatever a publisher left half-written is removed: under the lock it belongs to nobody alive.

    Raises:
        OretraceError: another publisher held it all the time.
    """
    folder_of(target).mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + PATIENCE_S
    with (target / ".lock").open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise OretraceError(
                        f"another process has been publishing in {target} for {PATIENCE_S:.0f} s; "
                        "nothing was changed. Try again when it has ended."
                    ) from None
                time.sleep(0.1)
        for left in folder_of(target).glob(f"{PARTIAL}*"):
            shutil.rmtree(left)
        yield


def partial_folder(target: Path) -> Path:
    """Name a folder for what is being written or removed; never the same twice, as DuckDB remembers paths."""
    return folder_of(target) / f"{PARTIAL}{os.getpid()}-{time.monotonic_ns()}"


def remove_release(release: Release, target: Path) -> None:
    """Remove a release, at once for whoever lists them; readers that have it open keep it."""
    gone = partial_folder(target)
    release.folder.rename(gone)
    shutil.rmtree(gone)


def fsync(path: Path) -> None:
    """Have the disk keep a file or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
