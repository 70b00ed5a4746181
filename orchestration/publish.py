"""Publication: certificate, refusal, releases, atomic swap, rollback, verification.

What belongs here: the publish protocol of the warehouse. What does not: what a good figure is
(``expectations``) and how a release is compared with the last (``release_diff``).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from ingest.errors import BadInput, OretraceError
from ingest.home import PROJECT
from ingest.vintages import sha256_of
from orchestration.release_diff import compare, diff_as_markdown, quoted

LINK = "oretrace.duckdb"
CERTIFICATE = "certificate.json"
PACKAGE = "datapackage.json"


class PublishRefused(OretraceError):
    """The candidate has no matching, passing certificate; what is published stays."""


@dataclass(frozen=True)
class Release:
    """A published version.

    Attributes:
        version: time and start of the content hash, e.g. ``20261122T101500Z-1a2b3c4d``.
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


def write_certificate(
    path: Path, candidate: Path, *, run_id: str, report: Mapping[str, Any], vintages: Any, sources: Any = None
) -> None:
    """Write the certificate of an audited candidate, atomically.

    Args:
        path: where to.
        candidate: the audited DuckDB file; its hash is what the certificate vouches for.
        run_id: the run that audited it.
        report: the gate's report, with ``passed`` and the checks.
        vintages: source vintages the candidate was made of.
        sources: by source, the editions that were read, live or embedded, and what could not be fetched.
    """
    content = {
        "candidate_sha256": sha256_of(candidate),
        "passed": bool(report["passed"]),
        "run_id": run_id,
        "git_commit": _git_commit(),
        "audited": datetime.now(UTC).isoformat(timespec="seconds"),
        "vintages": vintages,
        "sources": sources or {},
        "gate": report,
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1, default=str) + "\n")
    _fsync(partial)
    partial.replace(path)


def _git_commit() -> str | None:
    """Read the commit without calling git, which need not be installed where the job runs."""
    head = PROJECT / ".git" / "HEAD"
    if not head.is_file():
        return None
    text = head.read_text().strip()
    if not text.startswith("ref: "):
        return text
    name = text.removeprefix("ref: ")
    loose = PROJECT / ".git" / name
    if loose.is_file():
        return loose.read_text().strip()
    packed = PROJECT / ".git" / "packed-refs"
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), None)


def publish(candidate: Path, certificate: Path, target: Path, *, licences: Mapping[str, Any] | None = None) -> Release:
    """Publish an audited candidate, or refuse.

    Args:
        candidate: the DuckDB file that the gate audited.
        certificate: what ``write_certificate`` wrote for it.
        target: the warehouse folder.
        licences: source name to ``{title, licence, path, citation}`` for the data package.

    Returns:
        The new release, or the current one when the candidate holds exactly the same marts.

    Raises:
        PublishRefused: no certificate, one that did not pass, or one for other bytes than the candidate's.
    """
    cert = _read_certificate(certificate)
    if not candidate.is_file():
        raise PublishRefused(f"refused: there is no candidate {candidate}. Build one with: oretrace run")
    releases = target / "releases"
    releases.mkdir(parents=True, exist_ok=True)
    for left in releases.glob(".partial-*"):  # a run that was killed while it published
        shutil.rmtree(left)
    partial = releases / f".partial-{os.getpid()}"
    partial.mkdir()
    try:
        # Copy first and hash the copy: what is published is what was hashed, whatever happens to the candidate.
        shutil.copyfile(candidate, partial / LINK)
        found = sha256_of(partial / LINK)
        if found != cert["candidate_sha256"]:
            raise PublishRefused(
                f"refused: {candidate} changed after its audit (certificate {cert['candidate_sha256'][:12]}, "
                f"found {found[:12]}). Run the gate again: oretrace run"
            )
        shutil.copyfile(certificate, partial / CERTIFICATE)
        return _release(partial, target, cert, licences or {})
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _read_certificate(path: Path) -> dict[str, Any]:
    try:
        cert: dict[str, Any] = json.loads(path.read_text())
        complete = {"passed", "candidate_sha256", "gate"} <= cert.keys()
    except FileNotFoundError:
        raise PublishRefused(
            f"refused: there is no certificate {path}: the candidate did not pass the gate. See: oretrace run"
        ) from None
    except (ValueError, AttributeError):
        complete = False
    if not complete:
        raise PublishRefused(f"refused: {path} is not a certificate. Run the gate again: oretrace run")
    if cert["passed"] is not True or cert["gate"].get("passed") is not True:
        raise PublishRefused(f"refused: the certificate {path} says that the gate did not pass.")
    return cert


def _release(partial: Path, target: Path, cert: dict[str, Any], licences: Mapping[str, Any]) -> Release:
    hashes = _write_parquet(partial)
    current = current_release(target)
    if current is not None and _package_hashes(current.folder) == hashes:
        return Release(current.version, current.folder, unchanged=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    version = f"{stamp}-{cert['candidate_sha256'][:8]}"
    diff = compare(current.database if current else None, partial / LINK)
    (partial / "diff.json").write_text(json.dumps(diff, indent=1, default=str) + "\n")
    (partial / "diff.md").write_text(diff_as_markdown(version, current.version if current else None, diff))
    (partial / PACKAGE).write_text(json.dumps(_package(partial, version, cert, licences), indent=1) + "\n")
    for path in partial.iterdir():
        _fsync(path)
    _fsync(partial)
    folder = target / "releases" / version
    partial.rename(folder)
    _fsync(folder.parent)
    point_at(target, folder)
    return Release(version, folder)


def _write_parquet(folder: Path) -> dict[str, str]:
    """Write one Parquet file per mart; ordered and with a fixed codec, so that equal marts give equal bytes."""
    hashes = {}
    with duckdb.connect(str(folder / LINK), read_only=True) as db:
        db.execute("set threads = 1")
        db.execute("set enable_progress_bar = false")
        for mart in marts(db):
            path = folder / f"{mart}.parquet"
            db.execute(
                f"copy (select * from {mart} order by all) to {quoted(path)} (format parquet, compression zstd, "
                "row_group_size 100000)"
            )
            hashes[path.name] = sha256_of(path)
    return hashes


def marts(db: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the names of the published tables in an open warehouse, sorted."""
    rows = db.execute("select table_name from duckdb_tables() where not internal order by 1")
    return [name for (name,) in rows.fetchall()]


def _package(folder: Path, version: str, cert: dict[str, Any], licences: Mapping[str, Any]) -> dict[str, Any]:
    with duckdb.connect(str(folder / LINK), read_only=True) as db:
        resources = []
        for path in sorted(folder.iterdir()):
            resource: dict[str, Any] = {
                "name": path.stem.lower() if path.suffix == ".parquet" else path.name.replace(".", "-").lower(),
                "path": path.name,
                "format": path.suffix.removeprefix("."),
                "bytes": path.stat().st_size,
                "hash": f"sha256:{sha256_of(path)}",
            }
            if path.suffix == ".parquet":
                columns = db.execute(
                    "select column_name, data_type from duckdb_columns() where table_name = ? order by column_index",
                    [path.stem],
                ).fetchall()
                resource["schema"] = {"fields": [{"name": name, "type": _field_type(kind)} for name, kind in columns]}
            resources.append(resource)
    return {
        "name": "oretrace",
        "title": "oretrace: dependence in critical minerals by supply-chain stage",
        "version": version,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "licenses": [{"name": "CC-BY-4.0", "path": "https://creativecommons.org/licenses/by/4.0/"}],
        "sources": [{"name": name, **terms} for name, terms in sorted(licences.items())],
        "vintages": cert["vintages"],
        "resources": resources,
    }


def _field_type(kind: str) -> str:
    if "INT" in kind:
        return "integer"
    return {"DOUBLE": "number", "FLOAT": "number", "BOOLEAN": "boolean", "DATE": "date"}.get(kind, "string")


def _package_hashes(folder: Path) -> dict[str, str]:
    package = json.loads((folder / PACKAGE).read_text())
    return {
        item["path"]: item["hash"].removeprefix("sha256:")
        for item in package["resources"]
        if item["path"].endswith(".parquet")
    }


def point_at(target: Path, folder: Path) -> None:
    """Point the published link at a release: one atomic rename, open readers keep what they opened."""
    fresh = target / f".{LINK}-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path("releases") / folder.name / LINK)
    fresh.replace(target / LINK)
    _fsync(target)


def current_release(target: Path) -> Release | None:
    """Return the release that the published link points at; None before the first."""
    link = target / LINK
    if not link.is_symlink():
        return None
    folder = link.resolve().parent
    return Release(folder.name, folder) if (folder / PACKAGE).is_file() else None


def list_releases(target: Path) -> Iterator[tuple[Release, dict[str, Any]]]:
    """Yield every complete release with its data package, newest first."""
    for package in sorted(target.glob(f"releases/2*/{PACKAGE}"), reverse=True):
        yield Release(package.parent.name, package.parent), json.loads(package.read_text())


def rollback(target: Path, version: str) -> Release:
    """Point the published link back at a release, after verifying it.

    Raises:
        BadInput: no such release; the message lists those there are.
        OretraceError: the release's files are not what its data package says.
    """
    found = {release.version: release for release, _ in list_releases(target)}
    if version not in found:
        there = ", ".join(found) or "none yet"
        raise BadInput(f"there is no release {version!r}; there are: {there}.")
    wrong = verify_release(found[version])
    if wrong:
        raise OretraceError(f"release {version} is damaged: {'; '.join(wrong)}. Nothing was changed.")
    point_at(target, found[version].folder)
    return found[version]


def verify_release(release: Release) -> list[str]:
    """Compare a release's files with its data package and certificate; return what is wrong, file by file."""
    wrong = []
    try:
        package = json.loads((release.folder / PACKAGE).read_text())
        cert = json.loads((release.folder / CERTIFICATE).read_text())
    except (OSError, ValueError) as error:
        return [f"{release.folder}: {error}"]
    listed = {item["path"]: item["hash"].removeprefix("sha256:") for item in package["resources"]}
    for name, expected in listed.items():
        path = release.folder / name
        if not path.is_file() or path.is_symlink():
            wrong.append(f"{path} is missing or no plain file")
        elif (found := sha256_of(path)) != expected:
            wrong.append(f"{path} changed: expected sha256 {expected[:12]}, found {found[:12]}")
    wrong += [
        f"{path} is not listed in {PACKAGE}"
        for path in sorted(release.folder.iterdir())
        if path.is_file() and path.name not in listed and path.name != PACKAGE
    ]
    if listed.get(LINK) != cert.get("candidate_sha256"):
        wrong.append(f"{release.folder / CERTIFICATE} vouches for other bytes than {LINK}")
    return wrong


def verify(target: Path) -> tuple[int, list[str]]:
    """Verify every release and the published link.

    Returns:
        Number of releases looked at, and what is wrong.
    """
    wrong: list[str] = []
    count = 0
    for release, _ in list_releases(target):
        count += 1
        wrong += verify_release(release)
    link = target / LINK
    if count and current_release(target) is None:
        wrong.append(f"{link} points at no release")
    elif count and link.resolve().parent.parent != (target / "releases").resolve():
        wrong.append(f"{link} points outside {target / 'releases'}")
    return count, wrong


@contextmanager
def reading(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a warehouse file read-only and close it again."""
    db = duckdb.connect(str(path), read_only=True)
    try:
        yield db
    finally:
        db.close()


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
