"""A candidate of Parquet files, as Spark builds it, is published, refused and verified like a DuckDB file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from orchestration.candidate import hash_of
from orchestration.publish import PublishRefused, publish, verify
from tests.candidates import build, certify, published_value


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """The small candidate of the other tests, as a folder."""
    return as_parquet(build(tmp_path))


def as_parquet(database: Path) -> Path:
    folder = database.with_suffix("")
    folder.mkdir(exist_ok=True)
    with duckdb.connect(str(database), read_only=True) as db:
        for (name,) in db.execute("select table_name from duckdb_tables()").fetchall():
            db.table(name).write_parquet(str(folder / f"{name}.parquet"), compression="zstd")
    return folder


def test_the_certified_bytes_are_the_published_bytes_and_readers_get_tables(candidate: Path, tmp_path: Path) -> None:
    release = publish(candidate, certify(candidate), tmp_path / "warehouse")
    for file in candidate.glob("*.parquet"):
        assert (release.folder / file.name).read_bytes() == file.read_bytes()
    assert published_value(tmp_path / "warehouse") == 0.71
    with duckdb.connect(str(release.database), read_only=True) as db:
        assert db.execute("select view_name from duckdb_views() where not internal").fetchall() == []
    assert verify(tmp_path / "warehouse") == (1, [])


def test_the_same_marts_are_published_once(candidate: Path, tmp_path: Path) -> None:
    first = publish(candidate, certify(candidate), tmp_path / "warehouse")
    again = publish(candidate, certify(candidate), tmp_path / "warehouse")
    assert again.unchanged
    assert again.version == first.version


def test_a_file_changed_added_or_removed_after_the_audit_is_refused(candidate: Path, tmp_path: Path) -> None:
    certificate = certify(candidate)
    other = as_parquet(build(tmp_path, 72.0, "other.duckdb"))
    name = "mart_dependence_by_stage.parquet"
    sound = (candidate / name).read_bytes()

    def refused() -> None:
        with pytest.raises(PublishRefused, match="changed after its audit"):
            publish(candidate, certificate, tmp_path / "warehouse")
        assert not (tmp_path / "warehouse" / "oretrace.duckdb").exists()

    (candidate / name).write_bytes((other / name).read_bytes())
    refused()
    (candidate / name).unlink()
    refused()
    (candidate / name).write_bytes(sound)
    (candidate / "mart_added.parquet").write_bytes(sound)
    refused()
    (candidate / "mart_added.parquet").unlink()
    publish(candidate, certificate, tmp_path / "warehouse")


def test_a_candidate_that_is_not_there_is_refused(candidate: Path, tmp_path: Path) -> None:
    certificate = certify(candidate)
    with pytest.raises(PublishRefused, match="there is no candidate"):
        publish(tmp_path / "nowhere", certificate, tmp_path / "warehouse")


def test_a_certificate_of_other_parquet_files_is_told_of_by_verify(candidate: Path, tmp_path: Path) -> None:
    other = as_parquet(build(tmp_path, 72.0, "other.duckdb"))
    assert hash_of(other) != hash_of(candidate)
    release = publish(candidate, certify(candidate), tmp_path / "warehouse")
    certificate = certify(other)
    sealed = release.folder / "certificate.json"
    before = sealed.read_bytes()
    for path in (release.folder / "datapackage.json", release.folder / "checksums.txt"):
        text = path.read_text().replace(_sha(before), _sha(certificate.read_bytes()))
        path.write_text(text)
    sealed.write_bytes(certificate.read_bytes())
    listed = release.folder / "checksums.txt"
    package = (release.folder / "datapackage.json").read_bytes()
    lines = [
        f"{_sha(package)}  datapackage.json" if line.endswith("  datapackage.json") else line
        for line in listed.read_text().splitlines()
    ]
    listed.write_text("\n".join(lines) + "\n")
    _, wrong = verify(tmp_path / "warehouse")
    assert any("vouches for other bytes" in line for line in wrong), wrong


def _sha(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()
