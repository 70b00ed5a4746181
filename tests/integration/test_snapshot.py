"""The embedded snapshot: small, vouched for, and exactly what the readers make of the publishers' files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from ingest.embedded import PACKAGE, read_snapshot_table, snapshot_package, write_snapshot
from ingest.errors import BadInput
from ingest.home import SNAPSHOT
from ingest.sources import sources
from ingest.vintages import add_vintage, raw_vintages
from tests.snapshot_sources import VINTAGES


def embeddable() -> set[str]:
    """Tables of sources whose terms let their figures be embedded."""
    return {table for source in sources().values() if source.in_snapshot for table in source.tables}


def test_sources_of_limited_terms_are_not_embedded() -> None:
    assert {source.name for source in sources().values() if not source.in_snapshot} == {"bgs", "comtrade"}
    assert not list(SNAPSHOT.glob("raw_bgs*")) and not list(SNAPSHOT.glob("raw_comtrade*"))


def test_every_source_table_is_embedded_with_licence_citation_and_hash() -> None:
    listed = snapshot_package()
    assert set(listed) == embeddable()
    for table, resource in listed.items():
        assert resource["licenses"][0]["name"]
        assert resource["sources"][0]["publisher"]
        assert resource["citation"]
        assert read_snapshot_table(table).height == resource["rows"]


def test_the_snapshot_is_under_ten_megabytes() -> None:
    assert sum(path.stat().st_size for path in SNAPSHOT.iterdir()) < 10e6


def test_the_snapshot_is_what_live_readers_make_of_the_publishers_files(shared_data: Path, tmp_path: Path) -> None:
    for source, vintage, folder in VINTAGES:
        add_vintage(tmp_path / "raw", source, vintage, shared_data / folder)
    assert len(raw_vintages(tmp_path / "raw")) == len(VINTAGES)
    write_snapshot(tmp_path / "raw", tmp_path / "snapshot")
    for table in sorted(embeddable()):
        fresh = pl.read_parquet(tmp_path / "snapshot" / f"{table}.parquet")
        assert fresh.equals(read_snapshot_table(table)), f"{table}: write the snapshot anew (oretrace snapshot write)"


def test_no_file_of_a_publisher_is_copied_into_the_project(shared_data: Path) -> None:
    def hashes(folder: Path) -> set[str]:
        files = (path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
        return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    project = SNAPSHOT.parents[1]
    ours = set.union(
        *(hashes(project / name) for name in ("ingest", "tracing", "dbt_project", "tests", "expectations"))
    )
    assert not ours & hashes(shared_data)


def test_a_raw_vintage_never_changes_and_a_wrong_download_is_not_kept(tmp_path: Path) -> None:
    wrong = tmp_path / "download"
    wrong.mkdir()
    (wrong / "page.html").write_text("<html>try again later</html>")
    with pytest.raises(Exception, match="expected at least 1 file") as caught:
        add_vintage(tmp_path / "raw", "iea", "2025", wrong)
    assert "Traceback" not in str(caught.value)
    assert raw_vintages(tmp_path / "raw") == []
    (tmp_path / "raw" / "iea" / "2026").mkdir(parents=True)
    with pytest.raises(BadInput, match="never changes"):
        add_vintage(tmp_path / "raw", "iea", "2026", wrong)
    with pytest.raises(BadInput, match=next(iter(sources()))):
        add_vintage(tmp_path / "raw", "nobody", "2026", wrong)


def test_a_snapshot_without_every_source_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no raw vintage of usgs_mcs"):
        write_snapshot(tmp_path / "raw", tmp_path / "snapshot")
    assert not (tmp_path / "snapshot").exists()


def test_a_data_package_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / PACKAGE).write_text(json.dumps({})[:-1])
    with pytest.raises(BadInput, match=r"datapackage\.json is not JSON"):
        snapshot_package(tmp_path)
