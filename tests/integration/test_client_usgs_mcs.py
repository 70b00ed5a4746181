"""ScienceBase: the right release with every listed file, or one clear error; the same tables as the real folders."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ingest.clients import usgs_mcs
from ingest.errors import BadInput, FetchFailed, IncompletePull, SourceChanged
from ingest.sources import sources
from tests import replay as faults
from tests.publishers.sciencebase import entry, serve
from tests.publishers.transport import PLANTED, QUICK, Planted, fetched
from tests.replay import Asked, Replay, Reply, other

NEWEST = "Mineral Commodity Summaries 2026 Data Release"
OLDER = "U.S. Geological Survey Mineral Commodity Summaries 2025 Data Release (ver. 2.0, April 2025)"
TABLE = b"a,b\n" + b"1,2\n" * 400


def packed(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, content in members.items():
            pack.writestr(name.replace("__", "/") + ".csv", content)
    return stream.getvalue()


RELEASES = {
    OLDER: {"World_Data.zip": packed(world=TABLE), "read me.txt": b"words"},
    NEWEST: {"MCS2026_Data.csv": TABLE, "Salient.zip": packed(copper=TABLE, inner__tin=TABLE), "notes.xml": b"<x/>"},
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replay]:
    with Replay() as replay:
        monkeypatch.setenv("ORETRACE_URL_USGS_MCS", replay.url)
        yield replay


def _kept(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_newest_release_is_pulled_with_all_files_and_archives_are_unpacked_beside_themselves(
    server: Replay, tmp_path: Path
) -> None:
    serve(server, RELEASES)
    plan, proof = fetched(usgs_mcs.CLIENT, tmp_path)
    assert (plan.edition, proof.server_total, proof.rows) == ("2026", 3, 0)
    assert _kept(tmp_path) == [
        "MCS2026_Data.csv",
        "Salient.zip",
        "Salient/copper.csv",
        "Salient/inner/tin.csv",
        "notes.xml",
    ]
    assert (tmp_path / "Salient/inner/tin.csv").read_bytes() == TABLE
    assert plan.partitions == {"year": 2026, "item": f"{2:024x}", "version": None}


def test_another_year_is_found_by_its_title_with_its_version(server: Replay, tmp_path: Path) -> None:
    serve(server, RELEASES)
    plan, _ = fetched(usgs_mcs.CLIENT, tmp_path, "2025")
    assert plan.partitions == {"year": 2025, "item": f"{1:024x}", "version": "2.0, April 2025"}
    assert _kept(tmp_path) == ["World_Data.zip", "World_Data/world.csv", "read me.txt"]


def test_the_recorded_listing_names_the_releases_of_2022_to_2026(
    server: Replay, tmp_path: Path, shared_data: Path
) -> None:
    listing = json.loads((shared_data / "api_recordings/sciencebase/parent_listing.json").read_text())
    serve(server, {item["title"]: {"a.csv": TABLE} for item in listing["items"]}, titles=())
    assert fetched(usgs_mcs.CLIENT, tmp_path / "newest")[0].edition == "2026"
    with pytest.raises(BadInput, match="no edition 2021; it lists 2022, 2023, 2024, 2025, 2026"):
        fetched(usgs_mcs.CLIENT, tmp_path / "older", "2021")


def test_a_listing_of_several_pages_is_read_to_its_end(server: Replay, tmp_path: Path) -> None:
    class Narrow(usgs_mcs.MineralCommoditySummaries):
        per_listing = 2

    serve(server, {f"Data {n}": {"a.csv": TABLE} for n in range(6)} | RELEASES)
    assert fetched(Narrow(), tmp_path)[0].edition == "2026"
    offsets = [asked.query["offset"] for asked in server.asked if asked.path == "/catalog/items"]
    assert offsets == ["0", "2", "4", "6", "8"]


def test_the_state_changes_with_an_erratum_and_only_then(server: Replay, tmp_path: Path) -> None:
    items = serve(server, RELEASES)
    first, again = (fetched(usgs_mcs.CLIENT, tmp_path / name)[0].state for name in ("a", "b"))
    items[f"{2:024x}"]["files"][0]["dateUploaded"] = "2026-05-27T00:00:00Z"
    assert first == again != fetched(usgs_mcs.CLIENT, tmp_path / "c")[0].state


def test_an_interrupted_pull_brings_only_what_is_not_there(server: Replay, tmp_path: Path) -> None:
    serve(server, RELEASES)
    fetched(usgs_mcs.CLIENT, tmp_path)
    (tmp_path / "notes.xml").unlink()
    shutil.rmtree(tmp_path / "Salient")
    (tmp_path / ".Salient-killed").mkdir()
    server.asked.clear()
    fetched(usgs_mcs.CLIENT, tmp_path)
    assert [asked.path for asked in server.asked if "/file/" in asked.path] == [f"/catalog/file/get/{2:024x}"]
    assert (tmp_path / "Salient/copper.csv").exists()
    assert not (tmp_path / ".Salient-killed").exists()


@pytest.mark.parametrize("path", ["/catalog/items", "/catalog/item/"])
@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_fault_of_the_way_to_a_listing_ends_in_the_whole_release_or_in_one_error(
    server: Replay, tmp_path: Path, planted: Planted, path: str
) -> None:
    serve(server, RELEASES)
    server.misbehave(planted.fault, path=path, times=planted.times)
    if planted.error is None:
        assert fetched(usgs_mcs.CLIENT, tmp_path)[1].server_total == 3
        return
    with pytest.raises(planted.error):
        fetched(usgs_mcs.CLIENT, tmp_path)


@pytest.mark.parametrize(
    ("fault", "times", "error"),
    [
        (faults.status(429, Retry_After="0"), 1, None),
        (faults.status(500), 2, None),
        (faults.status(503), None, FetchFailed),
        (faults.silence, None, FetchFailed),
        (faults.reset, 1, None),
        (faults.reset, None, FetchFailed),
        (faults.long_length, None, FetchFailed),
        (faults.truncated, None, IncompletePull),
        (faults.html, None, IncompletePull),
        (faults.other(lambda _, __: Reply(b"", 204)), None, IncompletePull),
        (faults.elsewhere("http://localhost:9"), None, SourceChanged),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_fault_of_the_way_to_a_file_ends_in_the_whole_release_or_in_one_error(
    server: Replay, tmp_path: Path, fault: faults.Fault, times: int | None, error: type[Exception] | None
) -> None:
    serve(server, RELEASES)
    server.misbehave(fault, path="/catalog/file/", times=times)
    if error is None:
        assert fetched(usgs_mcs.CLIENT, tmp_path)[1].server_total == 3
        return
    with pytest.raises(error):
        fetched(usgs_mcs.CLIENT, tmp_path)


def _again(_: Asked, reply: Reply) -> Reply:
    """Give the first items, whatever the offset."""
    items = [{"id": f"{at:024x}", "title": "x"} for at in (1, 2)]
    return Reply(json.dumps({"total": 5, "items": items}).encode())


def _none(_: Asked, __: Reply) -> Reply:
    return Reply(json.dumps({"total": 5, "items": []}).encode())


@pytest.mark.parametrize(("change", "message"), [(_again, "repeats items"), (_none, "a page is empty")])
def test_a_listing_that_repeats_or_ends_early_is_an_incomplete_pull(
    server: Replay, tmp_path: Path, change: Callable[[Asked, Reply], Reply], message: str
) -> None:
    serve(server, RELEASES)
    server.misbehave(other(change), path="/catalog/items")
    with pytest.raises(IncompletePull, match=message):
        fetched(usgs_mcs.CLIENT, tmp_path)


def _rename(name: object) -> Callable[[list[dict[str, Any]]], object]:
    return lambda listed: listed[0].update(name=name)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_rename("../../escape.csv"), "no plain file name"),
        (_rename("..\\escape.csv"), "no plain file name"),
        (_rename("C:escape.csv"), "no plain file name"),
        (_rename(".plan.json"), "no plain file name"),
        (_rename("vintage.json"), "our own note"),
        (_rename(None), "no plain file name"),
        (_rename("NOTES.XML"), "listed twice"),
        (_rename("salient"), "unpacked archive"),
        (lambda listed: listed.append(listed[0]), "listed twice"),
        (lambda listed: listed[0].update(size=None), "listed with size None"),
        (lambda listed: listed[0].update(downloadUri="https://example.org/x.csv"), "'example.org'; not fetched"),
        (list.clear, "lists no files"),
    ],
)
def test_a_listing_that_cannot_be_trusted_is_refused(
    server: Replay, tmp_path: Path, spoil: Callable[[list[dict[str, Any]]], object], message: str
) -> None:
    items = serve(server, RELEASES)
    spoil(items[f"{2:024x}"]["files"])
    with pytest.raises(SourceChanged, match=message):
        fetched(usgs_mcs.CLIENT, tmp_path)
    assert not _kept(tmp_path)


def test_two_releases_of_one_year_are_refused(server: Replay, tmp_path: Path) -> None:
    serve(server, RELEASES | {f"U.S. Geological Survey {NEWEST}": {"a.csv": TABLE}})
    with pytest.raises(SourceChanged, match="two releases of 2026"):
        fetched(usgs_mcs.CLIENT, tmp_path)


def test_a_listing_without_any_release_is_refused(server: Replay, tmp_path: Path) -> None:
    serve(server, {})
    with pytest.raises(SourceChanged, match="none of 1 items is titled"):
        fetched(usgs_mcs.CLIENT, tmp_path)


def test_a_file_of_another_size_than_listed_is_an_incomplete_pull(server: Replay, tmp_path: Path) -> None:
    items = serve(server, RELEASES)
    items[f"{2:024x}"]["files"][0]["size"] += 1
    with pytest.raises(IncompletePull, match=r"1,604 bytes, but the publisher lists 1,605"):
        fetched(usgs_mcs.CLIENT, tmp_path)


def test_a_file_that_is_lost_or_added_after_the_pull_fails_the_proof(server: Replay, tmp_path: Path) -> None:
    serve(server, RELEASES)
    plan, _ = fetched(usgs_mcs.CLIENT, tmp_path)
    (tmp_path / "stray.csv").write_text("a")
    with pytest.raises(IncompletePull, match=r"does not list: .*stray\.csv"):
        usgs_mcs.CLIENT.prove(plan, tmp_path)
    (tmp_path / "stray.csv").unlink()
    (tmp_path / "Salient/copper.csv").unlink()
    with pytest.raises(IncompletePull, match=r"Salient\.zip is not unpacked as it is: .*copper\.csv"):
        usgs_mcs.CLIENT.prove(plan, tmp_path)
    (tmp_path / "notes.xml").unlink()
    with pytest.raises(IncompletePull, match=r"notes\.xml: ScienceBase lists 4 bytes, found no file"):
        usgs_mcs.CLIENT.prove(plan, tmp_path)


def test_a_table_that_is_listed_and_packed_too_is_kept_once(server: Replay, tmp_path: Path) -> None:
    serve(server, {NEWEST: {"copper.csv": TABLE, "all.zip": packed(world__copper=TABLE, world__tin=b"x")}})
    fetched(usgs_mcs.CLIENT, tmp_path)
    assert _kept(tmp_path) == ["all.zip", "all/world/tin.csv", "copper.csv"]


def test_two_tables_of_one_name_with_different_content_are_refused(server: Replay, tmp_path: Path) -> None:
    serve(server, {NEWEST: {"copper.csv": TABLE, "all.zip": packed(world__copper=TABLE + b"3,4\n")}})
    with pytest.raises(SourceChanged, match="two tables of one name"):
        fetched(usgs_mcs.CLIENT, tmp_path)


def test_an_archive_that_would_write_elsewhere_is_refused(server: Replay, tmp_path: Path) -> None:
    serve(server, {NEWEST: {"all.zip": packed(**{"..__escape": TABLE})}})
    with pytest.raises(SourceChanged, match=r"'\.\.' in the path"):
        fetched(usgs_mcs.CLIENT, tmp_path / "vintage")
    assert not (tmp_path / "escape.csv").exists()


def test_editions_are_years_and_nothing_means_the_newest() -> None:
    today = date(2026, 1, 1)
    assert usgs_mcs.CLIENT.editions([2025, 2024], [], today) == ["2025", "2024"]
    assert usgs_mcs.CLIENT.editions([], [], today) == []
    with pytest.raises(BadInput, match="none by month"):
        usgs_mcs.CLIENT.editions([], ["2025-01"], today)


def test_a_recorded_file_entry_is_listed_as_the_generated_ones(shared_data: Path) -> None:
    (path,) = (shared_data / "api_recordings/sciencebase").glob("item_*_file_entry.json")
    recorded = json.loads(path.read_text())
    assert set(entry("1", "a.csv", TABLE, "2026-01-01")) < set(recorded)


@pytest.mark.parametrize(
    ("title", "year", "names"),
    [
        # The release of 2026 names its table with capitals.
        (NEWEST, "2026", {"usgs_mcs2026_commodities_data.csv": "MCS2026_Commodities_Data.csv"}),
        (OLDER, "2025", {}),
    ],
)
def test_a_real_release_reads_the_same_after_the_pull_as_from_its_folder(
    server: Replay, tmp_path: Path, shared_data: Path, title: str, year: str, names: dict[str, str]
) -> None:
    real = shared_data / "usgs_mcs" / year
    contents: dict[str, bytes | Path] = {names.get(path.name, path.name): path for path in real.glob("*.*")}
    serve(server, {title: contents})
    plan, proof = fetched(usgs_mcs.CLIENT, tmp_path, settings=replace(QUICK, read=5))
    assert (plan.edition, proof.server_total) == (year, len(contents))
    source = sources()["usgs_mcs"]
    pulled, direct = source.read_vintage(tmp_path, year), source.read_vintage(real, year)
    assert all(pulled[table].equals(direct[table]) for table in source.tables)
