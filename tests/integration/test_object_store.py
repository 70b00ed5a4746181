"""Raw vintages, canonical tables and releases in a real object store, shared by machines that know nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import polars as pl
import pytest

from ingest.errors import OretraceError
from ingest.home import PROJECT, Home
from ingest.live import choose, read_tables
from ingest.sources import sources
from ingest.vintages import add_vintage, raw_vintages, verify_files
from orchestration import standing
from orchestration.publish import current_release, publish
from orchestration.releases import complete_releases
from orchestration.store.follow import follow
from orchestration.store.shelf import catch_up
from orchestration.warehouse import connect, table
from tests.baci_release import row, write_release
from tests.candidates import published_value
from tests.ceph import without_keys
from tests.shelves import FIGURE, Place, command, machine, ready, released

pytestmark = pytest.mark.xdist_group("object store")


def baci(folder: Path, value: str = "12.5") -> Path:
    """Write a small BACI release into a folder of its own, as a user downloads it, and return the folder."""
    years = {year: [row(year, 156, 842, v=value)] for year in range(2022, 2026)}
    write_release(folder, years, hs="HS22", version="V202701")
    return folder


def test_a_new_machine_reads_what_another_published(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = machine(tmp_path, "first"), machine(tmp_path, "second")
    for value in (71.0, 72.0):
        release = released(first, value)
    said = command(second, monkeypatch, capfd, "query", FIGURE, "--format", "csv")
    assert (said.code, said.out.split()) == (0, ["share", "0.72"])
    assert table("mart_claims").height == 2
    with connect() as db:
        assert db.execute(FIGURE).fetchone() == (0.72,)
    copy = current_release(second.warehouse)
    assert copy is not None and copy.version == release.version
    assert (copy.folder / "checksums.txt").read_bytes() == (release.folder / "checksums.txt").read_bytes()

    rows = json.loads(command(second, monkeypatch, capfd, "releases", "--json").out)
    assert [row["published"] for row in rows] == [True, False]
    assert rows[0]["folder"] == f"{place.url}/releases/{release.version}" and rows[0]["files"] == len(
        place.names(f"releases/{release.version}/")
    )
    assert command(second, monkeypatch, capfd, "verify").out == "2 release(s) are as they were published.\n"


def test_polars_duckdb_and_fsspec_read_the_store_by_themselves(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home = machine(tmp_path, "first")
    released(home, 71.0)
    said = json.loads(command(home, monkeypatch, capfd, "store", "status", "--json").out)
    options = {"aws_allow_http": "true"}
    marts = pl.scan_parquet(f"{said['release']}/mart_dependence_by_stage.parquet", storage_options=options)
    assert marts.select("top_supplier_import_share").collect().item() == 0.71
    flows = pl.read_parquet(f"{said['canonical']}/*.parquet", storage_options=options)
    assert flows["share"].to_list() == [71.0]

    import duckdb_extension_httpfs
    from obstore.fsspec import FsspecStore

    with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as db:
        extension = next(Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension"))
        db.load_extension(str(extension))
        server = place.server
        db.execute(
            f"create secret (type s3, key_id '{server.identity}', secret '{server.secret}', region 'us-east-1', "
            f"endpoint '{server.endpoint.removeprefix('http://')}', use_ssl false, url_style 'path')"
        )
        found = db.execute(f"select verdict from '{said['release']}/mart_claims.parquet' order by 1").fetchall()
    assert found == [("differs",), ("reproduced",)]

    files = FsspecStore("s3", client_options={"allow_http": True})
    name = said["release"].removeprefix("s3://")
    assert json.loads(files.cat_file(f"{name}/datapackage.json"))["version"] == said["published"]


def test_a_vintage_kept_on_one_machine_is_read_on_another_without_a_fetch(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = machine(tmp_path, "first"), machine(tmp_path, "second")
    add_vintage(first.raw, "baci", "V202701", baci(tmp_path / "download"))

    said = json.loads(command(second, monkeypatch, capfd, "sources", "--json").out)
    assert "V202701" in json.dumps([row for row in said if row["source"] == "baci"])
    (seen,) = raw_vintages(second.raw)
    assert not list(seen.folder.glob("*.zip")), "its files come when they are read"
    used = choose(second, "live")["baci"][-1:]
    flows = read_tables(second, sources()["baci"], used)["raw_baci__flows"]
    assert flows.filter(vintage="V202701").height == 4
    assert [path.name for path in seen.folder.glob("*.zip")] == ["BACI_HS22_V202701.zip"]
    verify_files(raw_vintages(second.raw)[0])
    with pytest.raises(OretraceError, match="is there already"):
        add_vintage(second.raw, "baci", "V202701", tmp_path / "download")


def test_a_damaged_vintage_of_the_store_is_never_read(place: Place, tmp_path: Path) -> None:
    first, second = machine(tmp_path, "first"), machine(tmp_path, "second")
    add_vintage(first.raw, "baci", "V202701", baci(tmp_path / "download"))
    (name,) = place.names("raw/files/")
    place.overwrite(name, b"other bytes")
    from ingest.store.raw import see

    see(second.raw)
    used = choose(second, "live")["baci"][-1:]
    with pytest.raises(OretraceError, match=r"BACI_HS22_V202701\.zip is damaged"):
        read_tables(second, sources()["baci"], used)
    (seen,) = raw_vintages(second.raw)
    assert not list(seen.folder.glob("*.zip")) and not list(second.raw.glob("baci/.bringing-*"))


def test_two_machines_that_keep_other_files_as_one_edition_do_not_mix_them(place: Place, tmp_path: Path) -> None:
    homes = [machine(tmp_path, name) for name in ("first", "second")]
    for number, home in enumerate(homes):
        folder = baci(tmp_path / f"download{number}", str(number + 1))
        with pytest.MonkeyPatch.context() as alone:
            alone.delenv("ORETRACE_STORE")  # both at once: neither sees the other's
            add_vintage(home.raw, "baci", "V202701", folder)
    from ingest.store.raw import send

    assert [item.vintage for item in send(homes[0].raw)] == ["V202701"]
    with pytest.raises(OretraceError, match="is not what another machine kept as baci V202701"):
        send(homes[1].raw)
    (record,) = place.names("raw/records/")
    assert json.loads(place.read(record)) == json.loads((homes[0].raw / "baci/V202701/vintage.json").read_text())


def test_a_release_made_elsewhere_of_the_same_inputs_is_nothing_new(place: Place, tmp_path: Path) -> None:
    first, second = machine(tmp_path, "first"), machine(tmp_path, "second")
    version = released(first, 71.0).version
    catch_up(second)
    assert standing.standing(second).version == version
    assert standing.reasons_to_run(second, "snapshot", {}) == []
    (second.root / "user").mkdir()
    (second.root / "user" / "stock.csv").write_text("x")
    assert standing.reasons_to_run(second, "snapshot", {}) == ["user/stock.csv is new"]


def test_the_job_publishes_to_the_store(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration.assets import published

    home = machine(tmp_path, "maker")
    candidate, _ = ready(home, 71.0)
    monkeypatch.setattr(published.site, "dresser", lambda home: lambda folder: None)  # pages want every mart
    release = published.publish_candidate(home, candidate)
    assert json.loads(place.read("pointers/000000000001.json"))["current"] == release.version


def test_runs_and_sensors_of_dagster_begin_with_what_the_store_holds(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dagster as dg

    from orchestration import sensors

    version = released(machine(tmp_path, "maker"), 71.0).version
    launched, sensed = machine(tmp_path, "launched"), machine(tmp_path, "sensed")
    standing.begin(launched, "a run that Dagster launched", "snapshot", {})
    assert standing.standing(launched).version == version
    monkeypatch.setenv("ORETRACE_HOME", str(sensed.root))
    with dg.DagsterInstance.ephemeral() as instance:
        result = sensors.new_inputs(dg.build_sensor_context(instance=instance))
        assert result.skip_reason is not None and result.skip_reason.skip_message == "nothing new"
        assert standing.standing(sensed).version == version
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        down = sensors.new_inputs(dg.build_sensor_context(instance=instance))
    assert down.skip_reason is not None and "cannot be reached" in str(down.skip_reason.skip_message)


def test_a_folder_from_before_the_store_is_taken_over_with_all_its_releases(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    old, new = machine(tmp_path, "old"), machine(tmp_path, "new")
    for value in (71.0, 72.0):
        publish(*ready(old, value), old.warehouse)
    refused = command(old, monkeypatch, capfd, "query", FIGURE)
    assert refused.code == 2 and "oretrace store push" in refused.err
    assert "2 release(s)" in command(old, monkeypatch, capfd, "store", "push").out
    assert "0 release(s)" in command(old, monkeypatch, capfd, "store", "push").out
    third = released(old, 73.0)
    rows = json.loads(command(new, monkeypatch, capfd, "releases", "--json").out)
    assert [row["published"] for row in rows] == [True, False, False] and rows[0]["version"] == third.version
    assert command(new, monkeypatch, capfd, "verify").code == 0


def test_rollback_and_prune_act_on_the_store_and_every_machine_follows(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = machine(tmp_path, "first"), machine(tmp_path, "second")
    versions = [released(first, value).version for value in (71.0, 72.0, 73.0)]
    assert command(second, monkeypatch, capfd, "rollback", versions[1]).out == f"published: {versions[1]}\n"
    catch_up(first)
    assert published_value(first.warehouse) == published_value(second.warehouse) == 0.72
    for home in (first, second):  # as on one disk: it stays until an input changes, or somebody runs
        assert standing.what_is_new(home, "snapshot") == []
        assert standing.reasons_to_run(home, "snapshot", {}) == [
            f"release {versions[1]} is not the one that was published last ({versions[2]})"
        ]
    wrong = command(second, monkeypatch, capfd, "rollback", "20200101T000000Z-00000000")
    assert wrong.code == 2 and versions[0] in wrong.err

    pruned = command(second, monkeypatch, capfd, "releases", "--prune", "--keep", "1")
    assert f"removed {versions[0]}" in pruned.out and versions[1] in pruned.out and versions[2] in pruned.out
    assert {name.split("/")[1] for name in place.names("releases/")} == set(versions[1:])
    assert {name.split("/")[1] for name in place.names("canonical/")} == set(versions[1:])
    assert command(first, monkeypatch, capfd, "verify").code == 0
    newer = released(first, 74.0).version
    assert newer > versions[2], "later than every release of the store, also those that are not here"


def test_verify_names_what_changed_in_the_store(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home = machine(tmp_path, "first")
    old, version = released(home, 71.0).version, released(home, 72.0).version
    place.overwrite(f"releases/{version}/mart_claims.parquet", b"other")
    place.overwrite(f"releases/{version}/more.txt", b"more")
    place.remove(f"releases/{version}/diff.md")
    place.remove(f"canonical/{old}/trade_flow.parquet")
    said = command(home, monkeypatch, capfd, "verify")
    assert said.code == 1
    for line in (
        "mart_claims.parquet changed",
        "more.txt was added",
        "diff.md is missing",
        "trade_flow.parquet is missing",
    ):
        assert line in said.err
    assert "is damaged" in command(home, monkeypatch, capfd, "rollback", version).err
    place.overwrite(f"releases/{old}/checksums.txt", b"")
    assert "is not the list that the pointer names" in command(home, monkeypatch, capfd, "verify").err


def test_a_damaged_copy_is_brought_anew_and_copies_do_not_pile_up(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = machine(tmp_path, "first"), machine(tmp_path, "second")
    for value in (71.0, 72.0, 73.0, 74.0, 75.0):
        version = released(first, value).version
        catch_up(second)
    assert len(complete_releases(second.warehouse)) == 3
    copy = second.warehouse / "releases" / version
    (copy / "mart_claims.parquet").write_bytes(b"other")
    assert command(second, monkeypatch, capfd, "verify").code == 1
    pulled = command(second, monkeypatch, capfd, "store", "pull", "--canonical")
    assert pulled.code == 0 and "1 canonical tables" in pulled.out
    assert command(second, monkeypatch, capfd, "verify").code == 0
    assert pl.read_parquet(second.canonical / "trade_flow.parquet")["share"].to_list() == [75.0]


def test_readers_on_other_machines_see_one_release_only_while_it_changes(place: Place, tmp_path: Path) -> None:
    values = [61.0, 62.0, 63.0, 64.0]
    maker = machine(tmp_path, "maker")
    released(maker, 60.0)
    over, seen, troubles = threading.Event(), [], []

    def read(home: Home) -> None:
        while not over.wait(0.05):
            try:
                pointer = catch_up(home)
                release = current_release(home.warehouse)
                assert release is not None
                with duckdb.connect(str(release.database), read_only=True) as db:
                    whole = db.execute(FIGURE).fetchone()
                    parts = db.execute(
                        f"select top_supplier_import_share from '{release.folder}/mart_dependence_by_stage.parquet'"
                    ).fetchone()
                assert whole == parts, f"{pointer.current}: two releases mixed"
                seen.append((pointer.serial, whole))
            except Exception as error:
                troubles.append(repr(error))

    readers = [threading.Thread(target=read, args=(machine(tmp_path, f"reader{number}"),)) for number in range(3)]
    for reader in readers:
        reader.start()
    for value in values:
        released(maker, value)
    over.set()
    for reader in readers:
        reader.join()
    assert troubles == [] and len(seen) > 10
    assert {share for _, share in seen} <= {(value / 100,) for value in [60.0, *values]}


def test_a_server_of_pages_follows_the_store(place: Place, tmp_path: Path) -> None:
    maker, server = machine(tmp_path, "maker"), machine(tmp_path, "server")
    released(maker, 71.0)
    ended = follow(server, every=0.1)
    assert published_value(server.warehouse) == 0.71
    released(maker, 72.0)
    for _ in range(200):
        if published_value(server.warehouse) == 0.72:
            break
        ended.wait(0.1)
    ended.set()
    assert published_value(server.warehouse) == 0.72


def test_without_the_setting_nothing_of_it_is_loaded() -> None:
    code = (
        "import sys, orchestration.cli, orchestration.warehouse, orchestration.standing, ingest.vintages; "
        "print([name for name in sys.modules if name.startswith(('obstore', 'orchestration.store', 'ingest.store.'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=without_keys(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
