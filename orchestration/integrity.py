"""What holds a release together: hashes of all its files, written once and compared whenever asked.

``checksums.txt`` lists every other file of the release, the data package included, as ``sha256sum -c``
reads it; the next release records the hash of that list.

What belongs here: the list, comparing it and the data package with what is on disk. What does not: what the data
package says (``package``), the links that lead to a release (``releases``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ingest.errors import OretraceError
from ingest.vintages import sha256_of
from orchestration.certificate import CERTIFICATE
from orchestration.progress import SILENT, Meter
from orchestration.releases import LINK, PACKAGE, PARTIAL, Release, current_release, folder_of, fsync, swapped_links
from orchestration.vouching import vouched

CHECKSUMS = "checksums.txt"


def resource_hashes(package: Mapping[str, Any], suffix: str = "") -> dict[str, str]:
    """Return the hashes that a data package lists, by path."""
    return {
        item["path"]: item["hash"].removeprefix("sha256:")
        for item in package["resources"]
        if item["path"].endswith(suffix)
    }


def seal(folder: Path) -> None:
    """List the hash of every file of a release in ``checksums.txt`` and have the disk keep them all.

    Raises:
        OretraceError: something that is neither file nor folder, or a name that the list cannot hold.
    """
    files, odd = _walk(folder)
    odd += [name for name in files if "\\" in name or "\n" in name]
    if odd:
        raise OretraceError(f"a release holds plain files only; found {', '.join(sorted(odd))}. Nothing was published.")
    (folder / CHECKSUMS).write_text(listing({name: sha256_of(folder / name) for name in files}))
    for path in (folder, *folder.rglob("*")):
        fsync(path)


def _walk(folder: Path) -> tuple[list[str], list[str]]:
    """List the plain files below a folder, and whatever else is there (links, devices); relative names."""
    files, odd = [], []
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(place, name)
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                odd.append(relative)
            elif path.is_file():
                files.append(relative)
    return sorted(files), odd


def listing(hashes: Mapping[str, str]) -> str:
    """Return names and hashes as ``sha256sum -c`` reads them."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))


def read_listing(path: Path) -> dict[str, str]:
    """Read ``checksums.txt``; only a list that reads back to the very same bytes is one.

    Raises:
        ValueError: it is none.
    """
    return listing_of(path.read_text())


def listing_of(text: str) -> dict[str, str]:
    """Return the hashes by name that a list holds, as ``read_listing`` does of a file.

    Raises:
        ValueError: it is no such list.
    """
    hashes = {name: digest for digest, _, name in (line.partition("  ") for line in text.splitlines())}
    if listing(hashes) != text:
        raise ValueError("not as it was written")
    return hashes


def verify_release(release: Release, meter: Meter = SILENT) -> list[str]:
    """Compare a release's files with its lists and its certificate; return what is wrong, file by file."""
    folder = release.folder
    if folder.is_symlink() or not folder.is_dir():
        return [f"{folder} is no folder of its own but a link or a file"]
    if not (folder / PACKAGE).is_file():
        return [f"{folder / PACKAGE} is missing"]
    try:
        listed = _listed(release)
    except FileNotFoundError as error:
        return [f"{error.filename} is missing"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        at = CHECKSUMS if (folder / CHECKSUMS).exists() else PACKAGE
        return [f"{folder / at} cannot be read: {error}"]
    files, odd = _walk(folder)
    wrong = [f"{folder / name} is no plain file" for name in odd]
    wrong += [f"{folder / name} is missing" for name in listed if name not in files and name not in odd]
    wrong += [f"{folder / name} was added" for name in files if name not in listed and name != CHECKSUMS]
    for name in files:
        if name in listed and (found := sha256_of(folder / name)) != listed[name]:
            wrong.append(f"{folder / name} changed: expected sha256 {listed[name][:12]}, found {found[:12]}")
        meter.add((folder / name).stat().st_size)
    return wrong or _contradictions(release)


def _listed(release: Release) -> dict[str, str]:
    """Return the expected hash of every file of a release, from its list."""
    path = release.folder / CHECKSUMS
    if path.exists() or "checksums" in release.package:
        return read_listing(path)
    # Releases written before there was a list have their hashes in the data package alone.
    return resource_hashes(release.package) | {PACKAGE: sha256_of(release.folder / PACKAGE)}


def _contradictions(release: Release) -> list[str]:
    """Say where the parts of a release whose files are all as listed do not belong together."""
    folder = release.folder
    try:
        package, cert = release.package, json.loads((folder / CERTIFICATE).read_text())
    except (OSError, ValueError) as error:
        return [f"{folder}: {error}"]
    wrong = []
    if package.get("version") != release.version:
        wrong.append(f"{folder / PACKAGE} is that of release {package.get('version')}")
    if not vouched(cert.get("candidate_sha256"), resource_hashes(package)):
        wrong.append(f"{folder / CERTIFICATE} vouches for other bytes than {LINK}")
    return wrong


def verify(target: Path, meter: Meter = SILENT) -> tuple[int, list[str]]:
    """Verify every release, what each says of the one before it, and the published links.

    Args:
        target: the warehouse folder.
        meter: is told the bytes that were hashed.

    Returns:
        Number of releases looked at, and what is wrong.
    """
    wrong: list[str] = []
    releases = []
    there = sorted(folder_of(target).iterdir(), reverse=True) if folder_of(target).is_dir() else []
    for path in there:
        if path.name.startswith(PARTIAL):
            continue
        releases.append(Release(path.name, path))
        wrong += verify_release(releases[-1], meter)
    if not wrong:
        wrong += _broken_chain(releases)
    wrong += swapped_links(target)
    if releases and current_release(target) is None and not swapped_links(target):
        wrong.append(f"{target / LINK} points at no release")
    return len(releases), wrong


def _broken_chain(releases: list[Release]) -> list[str]:
    """Compare each release's list of hashes with what its successor recorded of it; releases removed are no fault."""
    there = {release.version: release for release in releases}
    wrong = []
    for release in releases:
        previous = release.package.get("previous") or {}
        before = there.get(previous.get("version", ""))
        if before and sha256_of(before.folder / CHECKSUMS) != previous["checksums_sha256"]:
            wrong.append(f"{before.folder / CHECKSUMS} is not the list that release {release.version} recorded")
    return wrong
