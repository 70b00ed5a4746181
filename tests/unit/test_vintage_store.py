"""Raw vintages are immutable, revisions are new vintages, and a damaged one is never read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.errors import BadInput, OretraceError
from ingest.vintages import SIDECAR, check_edition, keep, newest, only_writer, raw_vintages, verify_files


def pulled(raw: Path, text: str, name: str = "gdp.csv") -> Path:
    folder = raw / "worldbank" / ".partial-2024"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".plan.json").write_text("{}")
    (folder / name).write_text(text)
    return folder


def test_the_same_bytes_make_no_second_vintage(tmp_path: Path) -> None:
    first = keep(tmp_path, "worldbank", "2024", pulled(tmp_path, "a"), {})
    assert first is not None and first.vintage == "2024"
    assert keep(tmp_path, "worldbank", "2024", pulled(tmp_path, "a"), {}) is None
    assert [item.vintage for item in raw_vintages(tmp_path)] == ["2024"]


def test_changed_bytes_make_a_revision_and_the_first_stays(tmp_path: Path) -> None:
    for text in ("a", "b", "c"):
        keep(tmp_path, "worldbank", "2024", pulled(tmp_path, text), {})
    assert [item.vintage for item in raw_vintages(tmp_path)] == ["2024", "2024-r2", "2024-r3"]
    assert (tmp_path / "worldbank/2024/gdp.csv").read_text() == "a"
    last = newest(tmp_path)["worldbank", "2024"]
    assert (last.vintage, last.edition, last.revision) == ("2024-r3", "2024", 3)


def test_a_renamed_file_is_another_content(tmp_path: Path) -> None:
    keep(tmp_path, "worldbank", "2024", pulled(tmp_path, "a"), {})
    assert keep(tmp_path, "worldbank", "2024", pulled(tmp_path, "a", "gdp2.csv"), {}) is not None


def test_a_sidecar_says_who_what_when_and_under_which_terms(tmp_path: Path) -> None:
    vintage = keep(tmp_path, "worldbank", "2024", pulled(tmp_path, "a"), {"origin": "http", "server_total": 1})
    assert vintage is not None
    said = json.loads((vintage.folder / SIDECAR).read_text())
    assert said["publisher"] == "World Bank" and said["licence"] == "CC-BY-4.0" and said["edition"] == "2024"
    assert said["files"] == [{"path": "gdp.csv", "bytes": 1, "sha256": said["files"][0]["sha256"]}]
    assert said["server_total"] == 1 and said["retrieved"] and len(said["content"]) == 64
    assert [path.name for path in vintage.folder.iterdir() if path.name.startswith(".")] == []


def test_what_is_pulled_in_part_is_not_listed(tmp_path: Path) -> None:
    pulled(tmp_path, "a")
    assert raw_vintages(tmp_path) == []


@pytest.mark.parametrize("change", ["change", "remove", "add"])
def test_a_vintage_that_changed_on_disk_is_refused(tmp_path: Path, change: str) -> None:
    vintage = keep(tmp_path, "worldbank", "2024", pulled(tmp_path, "a"), {})
    assert vintage is not None
    verify_files(vintage)
    path = vintage.folder / "gdp.csv"
    if change == "change":
        path.write_text("b")
    elif change == "remove":
        path.unlink()
    else:
        (vintage.folder / "more.csv").write_text("b")
    with pytest.raises(OretraceError, match=r"not as it was kept: .*csv (is missing|was added|changed)"):
        verify_files(vintage)


@pytest.mark.parametrize("text", ["{", "[]", '{"files": 3}', '{"files": [{"path": "a"}]}'])
def test_a_damaged_sidecar_is_named(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "worldbank" / "2024"
    folder.mkdir(parents=True)
    (folder / SIDECAR).write_text(text)
    with pytest.raises(OretraceError, match=r"vintage\.json is damaged"):
        raw_vintages(tmp_path)


@pytest.mark.parametrize("name", ["", ".", "..", "../2024", "a/b", ".partial-2024", "2024-r2", "a b", "-2024"])
def test_an_edition_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="no name for an edition"):
        check_edition(name)


def test_one_writer_at_a_time_per_source(tmp_path: Path) -> None:
    with only_writer(tmp_path, "worldbank"):
        with pytest.raises(BadInput, match="another process is fetching worldbank"), only_writer(tmp_path, "worldbank"):
            pass
        with only_writer(tmp_path, "wgi"):
            pass
    with only_writer(tmp_path, "worldbank"):
        pass
