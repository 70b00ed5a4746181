"""Publication: an audited candidate becomes the release that readers see, or is refused.

What belongs here: the publish protocol, rollback, and removing old releases. What does not: what a good
figure is (``expectations``), what is compared (``release_diff``), the layout (``releases``) and hashes
(``integrity``).
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import duckdb

from ingest.errors import BadInput, OretraceError
from ingest.home import WORK_MEMORY
from ingest.vintages import sha256_of
from ingest.words import unknown
from orchestration.candidate import copy_to, load_parquet, write_parquet
from orchestration.certificate import CERTIFICATE, PublishRefused, read_certificate, write_certificate
from orchestration.integrity import CHECKSUMS, resource_hashes, seal, verify, verify_release
from orchestration.package import package_of
from orchestration.release_diff import compare, diff_as_markdown, quoted
from orchestration.releases import (
    LINK,
    PACKAGE,
    Release,
    complete_releases,
    current_release,
    folder_of,
    fsync,
    list_releases,
    next_version,
    only_publisher,
    partial_folder,
    point_at,
    remove_release,
    swapped_links,
)

# One door for the rest of the program.
__all__ = [
    "Dresser", "PublishRefused", "Release", "current_release", "fingerprint", "list_releases", "prune", "publish",
    "rollback", "verify", "verify_release", "write_certificate",
]  # fmt: skip

# Adds files to a release before it is sealed: gets its folder, in which the database, the Parquet files, the
# certificate, the diff and the data package are complete and must stay as they are.
Dresser = Callable[[Path], None]
NAMED = 8  # damaged files in the one line of a refusal


class Shelf(Protocol):
    """Where releases are kept besides this disk: an object store."""

    def versions(self) -> Iterable[str]:
        """Return the versions that are taken."""

    def send(self, folder: Path, version: str, after: str | None) -> None:
        """Take a sealed release and show it to readers, or raise and leave all as it was."""


def publish(
    candidate: Path,
    certificate: Path,
    target: Path,
    *,
    licences: Mapping[str, Any] | None = None,
    dress: Sequence[Dresser] = (),
    dressing: str = "",
    shelf: Shelf | None = None,
) -> Release:
    """Publish an audited candidate, or refuse.

    Args:
        candidate: the DuckDB file that the gate audited, or the folder of Parquet files.
        certificate: what ``write_certificate`` wrote for it.
        target: the warehouse folder.
        licences: source name to ``{title, licence, path, citation}`` for the data package.
        dress: what else goes into the release (a site, downloads), in this order.
        dressing: fingerprint of what ``dress`` would make of the same marts; another one makes a new release.
        shelf: takes the release before readers of this disk see it.

    Returns:
        The new release, or the current one when the candidate holds exactly the same marts in the same dress.

    Raises:
        PublishRefused: no certificate, an edited one, one that did not pass, one for other bytes than the
            candidate's; or the published release or a link to it was tampered with.
        OretraceError: the disk is full or cannot be written; what was published stays.
    """
    written, cert = read_certificate(certificate)
    if not candidate.exists():
        raise PublishRefused(f"refused: there is no candidate {candidate}. Build one with: oretrace run")
    with _disk_trouble_in_one_line(target), only_publisher(target):
        current = _untouched(target)
        partial = partial_folder(target)
        partial.mkdir()
        try:
            # Copy first and hash the copy: what is published is what was hashed, whatever happens to the candidate.
            found = copy_to(candidate, partial)
            if found != cert["candidate_sha256"]:
                raise PublishRefused(
                    f"refused: {candidate} changed after its audit (certificate {cert['candidate_sha256'][:12]}, "
                    f"found {found[:12]}). Run the gate again: oretrace run"
                )
            (partial / CERTIFICATE).write_bytes(written)
            hashes = _both_forms(partial)
            if current and _same(current, hashes, dressing):
                point_at(target, current.folder)
                return Release(current.version, current.folder, unchanged=True)
            taken = shelf.versions() if shelf else ()
            version = _describe(partial, target, current, cert, licences or {}, dressing, taken)
            _dress(partial, dress)
            seal(partial)
            if shelf:
                shelf.send(partial, version, current.version if current else None)
            folder = folder_of(target) / version
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        fsync(folder.parent)
        point_at(target, folder)
        return Release(version, folder)


@contextmanager
def _disk_trouble_in_one_line(target: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.IOException) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
        what = "the disk is full" if full else " ".join(str(error).split())
        cure = "Free some space (oretrace releases --prune --keep N removes old releases), then" if full else "Then"
        raise OretraceError(
            f"publishing in {target} failed: {what}. What was published before stays as it is. {cure}: oretrace run"
        ) from None


def _untouched(target: Path) -> Release | None:
    """Return the current release, or refuse: what the new one is compared with must be what was published."""
    current = current_release(target)
    wrong = swapped_links(target) + (verify_release(current) if current else [])
    if wrong:
        # A release holds a thousand files; verify names every one.
        more = f"; and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise PublishRefused(
            f"refused: what is published was tampered with: {'; '.join(wrong[:NAMED])}{more}. "
            "Look with: oretrace verify. Point "
            "readers at an intact release with: oretrace rollback VERSION; or move what is damaged out of "
            f"{folder_of(target)} and publish again with: oretrace run"
        )
    return current


def _both_forms(folder: Path) -> dict[str, str]:
    """Make what a certified candidate lacks: a Parquet file per mart, or the DuckDB file; return the Parquet hashes."""
    if (folder / LINK).is_file():
        with duckdb.connect(str(folder / LINK), read_only=True) as db:
            db.execute(f"set memory_limit = '{WORK_MEMORY}'")
            db.execute(f"set temp_directory = {quoted(folder.with_name(folder.name + '-sorting'))}")
            for mart in marts(db):
                write_parquet(db, db.table(mart), folder / f"{mart}.parquet")
    else:
        load_parquet(folder)
    return {path.name: sha256_of(path) for path in folder.glob("*.parquet")}


def marts(db: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the names of the published tables in an open warehouse, sorted."""
    rows = db.execute("select table_name from duckdb_tables() where not internal order by 1")
    return [name for (name,) in rows.fetchall()]


def _same(current: Release, hashes: Mapping[str, str], dressing: str) -> bool:
    """Whether marts and dress are those of the current release; one of the old layout is always written anew."""
    package, dressed = current.package, current.package.get("dressing", "")
    return "checksums" in package and resource_hashes(package, ".parquet") == hashes and dressed == dressing


def _describe(
    partial: Path,
    target: Path,
    current: Release | None,
    cert: Mapping[str, Any],
    licences: Mapping[str, Any],
    dressing: str,
    taken: Iterable[str],
) -> str:
    """Write the diff against the last release and the data package; return the version."""
    version = next_version(target, cert["candidate_sha256"], taken)
    diff = compare(current.database if current else None, partial / LINK)
    (partial / "diff.json").write_text(json.dumps(diff, indent=1, default=str) + "\n")
    (partial / "diff.md").write_text(diff_as_markdown(version, current.version if current else None, diff))
    more: dict[str, Any] = {"dressing": dressing} if dressing else {}
    if current and (current.folder / CHECKSUMS).is_file():
        more["previous"] = {
            "version": current.version,
            "checksums_sha256": sha256_of(current.folder / CHECKSUMS),
        }
    package = package_of(partial, version, cert, licences, checksums=CHECKSUMS, **more)
    (partial / PACKAGE).write_text(json.dumps(package, indent=1) + "\n")
    return version


def _dress(partial: Path, dress: Iterable[Dresser]) -> None:
    complete = {path.name: sha256_of(path) for path in partial.iterdir()}
    for dresser in dress:
        dresser(partial)
    for name, expected in complete.items():
        path = partial / name
        if not path.is_file() or sha256_of(path) != expected:
            raise OretraceError(f"{name} of the release was changed while it was dressed. Nothing was published.")


def fingerprint(*places: Path) -> str:
    """Hash the files of dressers (code, templates, scripts), for ``dressing``.

    Args:
        places: files, or folders of which every file counts but what Python compiled.
    """
    whole = hashlib.sha256()
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and "__pycache__" not in path.parts:
                name = path.relative_to(place.parent).as_posix()
                whole.update(f"{name}\0{sha256_of(path)}\n".encode())
    return whole.hexdigest()


def rollback(target: Path, version: str) -> Release:
    """Point the published link back at a release, after verifying it.

    Raises:
        BadInput: no such release; the message lists those there are.
        OretraceError: the release's files are not what its data package says.
    """
    found = {release.version: release for release in complete_releases(target)}
    if version not in found:
        raise BadInput(f"there is no release {version!r}. {unknown(version, found, 'Releases')}")
    wrong = verify_release(found[version])
    if wrong:
        raise OretraceError(f"release {version} is damaged: {'; '.join(wrong)}. Nothing was changed.")
    with only_publisher(target):
        point_at(target, found[version].folder)
    return found[version]


def prune(target: Path, keep: int) -> list[Release]:
    """Remove all but the newest ``keep`` releases; the one that readers see stays whatever its age.

    Returns:
        The removed ones, newest first.
    """
    with only_publisher(target):
        current = current_release(target)
        if current is None:
            raise OretraceError(f"{target / LINK} points at no release; nothing was removed. Look: oretrace verify")
        old = [release for release in complete_releases(target)[keep:] if release.version != current.version]
        for release in old:
            remove_release(release, target)
    return old
