"""Backup and restore: what is kept, what is shared, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import BadInput, OretraceError
from ingest.home import Home
from ingest.vintages import keep, raw_vintages
from orchestration.backup import back_up, backups
from orchestration.locks import hold_build
from orchestration.progress import Meter
from orchestration.publish import list_releases, publish, verify
from orchestration.restore import STAGE, BackupDamaged, restore
from tests.unit.test_publish import build, certify

# One worker makes the template once.
pytestmark = pytest.mark.xdist_group("backup")
FORMS = pytest.mark.parametrize("form", ["folder", "archive"])


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with two releases, a raw vintage, canonical tables, a user's file and a SQLite database."""
    home = Home(tmp_path_factory.mktemp("template")).create()
    for value in (71.0, 72.0):
        publish(build(home.build, value), certify(home.build / "candidate.duckdb"), home.warehouse)
    download = home.raw / "policy" / ".adding"
    download.mkdir(parents=True)
    (download / "events.csv").write_text("event,date\na,2025-04-04\n")
    keep(home.raw, "policy", "2025", download, {"origin": "a test"})
    (home.canonical / "stock.parquet").write_bytes(b"PAR1 of a kind")
    (home.root / "user").mkdir()
    (home.root / "user" / "stock.csv").write_text("material,quantity_t\n")
    (home.dagster / ".env").write_text("ORETRACE_PG_PASSWORD=hush\n")
    database = sqlite3.connect(home.dagster / "runs.db")
    database.execute("create table runs (id integer)")
    database.execute("insert into runs values (1)")
    database.commit()
    database.close()
    return home


@pytest.fixture
def home(template: Home, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(template.root, tmp_path / "a home", symlinks=True)))


def write(home: Home, form: str, folder: Path) -> Path:
    return back_up(home, folder / ("backups" if form == "folder" else "backup.tar.gz")).path


def content(root: Path) -> dict[str, bytes | str]:
    found = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def members(archive: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(archive) as old:
        return [(one, stream.read() if one.isreg() and (stream := old.extractfile(one)) else b"") for one in old]


def repack(archive: Path, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]) -> None:
    """Write an archive anew, with each member as ``change`` gives it back; None leaves it out."""
    changed = [pair for info, data in members(archive) if (pair := change(info, data)) is not None]
    with tarfile.open(archive, "w:gz") as new:
        for info, data in changed:
            info.size = len(data)
            new.addfile(info, io.BytesIO(data))


def with_member(archive: Path, info: tarfile.TarInfo, data: bytes = b"") -> None:
    """Put a member in front of what is there."""
    info.size = len(data)
    kept = members(archive)
    with tarfile.open(archive, "w:gz") as new:
        for one, content in [(info, data), *kept]:
            new.addfile(one, io.BytesIO(content))


@FORMS
def test_a_restored_home_holds_the_same_bytes_and_links_and_verifies(home: Home, tmp_path: Path, form: str) -> None:
    path = write(home, form, tmp_path)
    target = Home(tmp_path / "elsewhere" / "restored")
    restore(path, target)
    kept = {name: data for name, data in content(home.root).items() if not name.startswith("build/")}
    back = content(target.root)
    assert back.keys() == kept.keys() - {"dagster/.env", "raw/policy/.lock", "warehouse/.lock"}
    assert {name for name in back if back[name] != kept[name]} <= {"dagster/runs.db"}
    assert sqlite3.connect(target.dagster / "runs.db").execute("select * from runs").fetchall() == [(1,)]
    assert not Path(str(back["warehouse/oretrace.duckdb"])).is_absolute()
    assert verify(target.warehouse) == (2, [])
    assert [item.vintage for item in raw_vintages(target.raw)] == ["2025"]


def test_no_password_is_in_a_backup(home: Home, tmp_path: Path) -> None:
    folder = write(home, "folder", tmp_path)
    assert not any(b"hush" in data for data in content(folder).values() if isinstance(data, bytes))


def test_the_next_backup_writes_only_what_is_new_and_each_stands_alone(home: Home, tmp_path: Path) -> None:
    first = back_up(home, tmp_path / "backups")
    written = (home.root / "user" / "stock.csv").write_text("material,quantity_t\ncobalt,3\n")
    first.path.rename(first.path.with_name("20200101T000000Z"))
    second = back_up(home, tmp_path / "backups")
    assert first.added == first.size and second.added == written
    shutil.rmtree(tmp_path / "backups" / "20200101T000000Z")
    target = Home(tmp_path / "restored")
    restore(second.path, target)
    assert (target.root / "user" / "stock.csv").read_text().endswith("cobalt,3\n")
    assert verify(target.warehouse) == (2, [])


def test_a_copy_that_rotted_on_the_backup_disk_is_not_shared_again(home: Home, tmp_path: Path) -> None:
    first = back_up(home, tmp_path / "backups").path
    older = first.rename(first.with_name("20200101T000000Z"))
    rotten = older / "home" / "user" / "stock.csv"
    rotten.write_text("material,quantity_X\n")
    restore(back_up(home, tmp_path / "backups").path, Home(tmp_path / "restored"))
    with pytest.raises(BackupDamaged, match=r"user/stock\.csv changed"):
        restore(older, Home(tmp_path / "again"))


def test_only_the_newest_backups_are_kept(home: Home, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    for stamp in ("20200101T000000Z", "20200102T000000Z", "20200103T000000Z"):
        back_up(home, target).path.rename(target / stamp)
    newest = back_up(home, target, keep=2).path
    assert backups(target) == [target / "20200103T000000Z", newest]


def test_while_a_run_is_at_work_its_tables_are_left_out_and_that_is_said(home: Home, tmp_path: Path) -> None:
    with hold_build(home):
        done = back_up(home, tmp_path / "backups")
    assert "a run is writing it" in done.notes[0]
    restore(done.path, target := Home(tmp_path / "restored"))
    assert not target.canonical.exists() and verify(target.warehouse) == (2, [])


def test_backups_during_publication_always_hold_whole_releases_and_the_one_that_readers_see(
    home: Home, tmp_path: Path
) -> None:
    stop = threading.Event()

    def publish_on() -> None:
        value = 1.0
        while not stop.is_set():
            publish(build(home.build, value), certify(home.build / "candidate.duckdb"), home.warehouse)
            value += 1

    publisher = threading.Thread(target=publish_on)
    publisher.start()
    try:
        for number in range(6):
            path = back_up(home, tmp_path / f"{number}.tar.gz").path
            target = Home(tmp_path / f"restored-{number}")
            restore(path, target)
            assert verify(target.warehouse)[1] == []
    finally:
        stop.set()
        publisher.join()
    assert len(list(list_releases(home.warehouse))) > 2


def test_a_database_in_use_is_copied_between_two_transactions(home: Home, tmp_path: Path) -> None:
    path, stop = home.dagster / "events.db", threading.Event()
    with sqlite3.connect(path) as database:
        database.execute("pragma journal_mode = wal")
        database.execute("create table debit (n integer)")
        database.execute("create table credit (n integer)")

    def write_on() -> None:
        writer = sqlite3.connect(path, timeout=60)
        number = 0
        while not stop.is_set():
            with writer:
                writer.execute("insert into debit values (?)", (number,))
                writer.execute("insert into credit values (?)", (number,))
            number += 1
        writer.close()

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        for number in range(5):
            restore(back_up(home, tmp_path / f"{number}.tar.gz").path, target := Home(tmp_path / f"r{number}"))
            copy = sqlite3.connect(target.dagster / "events.db")
            assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
            counts = copy.execute("select (select count(*) from debit), (select count(*) from credit)").fetchone()
            assert counts[0] == counts[1]
            copy.close()
    finally:
        stop.set()
        writer.join()
    assert counts[0] > 0


def test_a_top_level_folder_may_live_on_another_disk(home: Home, tmp_path: Path) -> None:
    home.raw.rename(tmp_path / "big disk")
    home.raw.symlink_to(tmp_path / "big disk")
    restore(write(home, "archive", tmp_path), target := Home(tmp_path / "restored"))
    assert not target.raw.is_symlink() and len(raw_vintages(target.raw)) == 1


def test_links_that_lead_out_are_left_out_and_that_is_said(home: Home, tmp_path: Path) -> None:
    (home.root / "user" / "other.csv").symlink_to("/etc/hostname")
    done = back_up(home, tmp_path / "backups")
    assert "points to /etc/hostname" in done.notes[0]
    restore(done.path, Home(tmp_path / "restored"))


def _flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a changed release file": lambda path: repack(
        path, lambda info, data: (info, _flip(data) if info.name.endswith("mart_claims.parquet") else data)
    ),
    "a missing file": lambda path: repack(
        path, lambda info, data: None if info.name.endswith("user/stock.csv") else (info, data)
    ),
    "no list of files": lambda path: repack(
        path, lambda info, data: None if info.name == "backup.json" else (info, data)
    ),
    "an odd list of files": lambda path: repack(
        path, lambda info, data: (info, b'{"format": 1, "files": [1]}' if info.name == "backup.json" else data)
    ),
    "cut in the middle": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "cut at the end": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "cut to whole members": lambda path: path.write_bytes(
        gzip.compress(gzip.decompress(path.read_bytes())[: 512 * 9])
    ),
    "a flipped byte": lambda path: path.write_bytes(
        path.read_bytes()[: path.stat().st_size // 2]
        + _flip(path.read_bytes()[path.stat().st_size // 2 :])
    ),
    "an added file": lambda path: with_member(path, tarfile.TarInfo("home/warehouse/extra"), b"x"),
    "a file above": lambda path: with_member(path, tarfile.TarInfo("home/../../escaped"), b"x"),
    "a file above, hidden": lambda path: with_member(path, tarfile.TarInfo("home/user/../../../escaped"), b"x"),
    "an absolute file": lambda path: with_member(path, tarfile.TarInfo(f"home/{path.parent}/escaped"), b"x"),
    "a file beside": lambda path: with_member(path, tarfile.TarInfo("escaped"), b"x"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_or_hostile_archive_is_refused_and_nothing_is_put_in_place(
    home: Home, tmp_path: Path, kind: str
) -> None:
    path = write(home, "archive", tmp_path)
    DAMAGE[kind](path)
    before = {item.name for item in tmp_path.iterdir()}
    with pytest.raises(BackupDamaged, match=r"backup\.tar\.gz"):
        restore(path, Home(tmp_path / "restored"))
    with pytest.raises(BackupDamaged, match=r"backup\.tar\.gz"):
        restore(path, Home(tmp_path / "restored"), check_only=True)
    assert {item.name for item in tmp_path.iterdir()} == before


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_only_files_and_links_are_taken_from_an_archive(home: Home, tmp_path: Path, kind: bytes) -> None:
    path = write(home, "archive", tmp_path)
    info = tarfile.TarInfo("home/odd")
    info.type, info.linkname = kind, "home/user/stock.csv"
    with_member(path, info)
    with pytest.raises(BackupDamaged, match="home/odd is neither a file nor a link"):
        restore(path, Home(tmp_path / "restored"))
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize(
    "links",
    [
        {"out": "/etc"},
        {"out": "../.."},
        {"deep/er/back": "../..", "deep/er/out": "back/../.."},  # inside by its words, outside on the disk
    ],
)
def test_links_that_lead_out_are_refused_even_when_they_are_listed(
    home: Home, tmp_path: Path, links: dict[str, str]
) -> None:
    path = write(home, "archive", tmp_path)

    def listed(info: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if info.name == "backup.json":
            manifest = json.loads(data)
            manifest["links"] += [{"path": name, "target": target} for name, target in links.items()]
            data = json.dumps(manifest).encode()
        return info, data

    repack(path, listed)
    for name, target in links.items():
        info = tarfile.TarInfo(f"home/{name}")
        info.type, info.linkname = tarfile.SYMTYPE, target
        with_member(path, info)
    with pytest.raises(BackupDamaged):
        restore(path, Home(tmp_path / "restored"))
    assert not (tmp_path / "restored").exists()


def test_damage_that_the_list_of_files_agrees_with_is_still_found(home: Home, tmp_path: Path) -> None:
    path = write(home, "folder", tmp_path)
    release = next((path / "home" / "warehouse" / "releases").glob("2*"))
    (release / "mart_claims.parquet").unlink()
    manifest = json.loads((path / "backup.json").read_text())
    name = f"warehouse/releases/{release.name}/mart_claims.parquet"
    manifest["files"] = [item for item in manifest["files"] if item["path"] != name]
    (path / "backup.json").write_text(json.dumps(manifest))
    with pytest.raises(BackupDamaged, match=r"mart_claims\.parquet"):
        restore(path, Home(tmp_path / "restored"))
    assert not (tmp_path / "restored").exists()


def test_a_home_that_is_not_empty_is_never_written_to(home: Home, tmp_path: Path) -> None:
    path, before = write(home, "folder", tmp_path), content(home.root)
    with pytest.raises(BadInput, match="is not empty"):
        restore(path, home)
    assert content(home.root) == before
    target = Home(tmp_path / "restored")
    (target.root / STAGE).mkdir(parents=True)  # what a restore that was killed left
    (target.root / STAGE / "half").write_text("x")
    restore(path, target)
    assert verify(target.warehouse) == (2, []) and not (target.root / STAGE).exists()


def test_what_is_no_backup_is_said_to_be_none(home: Home, tmp_path: Path) -> None:
    write(home, "folder", tmp_path)
    (tmp_path / "text.tar.gz").write_text("hello")
    for source, said in {"backups": "Name one of them", "a home": "no backup", "text.tar.gz": "no backup", "x": "no such"}.items():  # fmt: skip  # noqa: E501
        with pytest.raises(BadInput, match=said):
            restore(tmp_path / source, Home(tmp_path / "restored"))


def test_a_backup_goes_neither_into_the_home_nor_over_another(home: Home, tmp_path: Path) -> None:
    for target in (home.root / "backups", home.root, home.root / "b.tar.gz"):
        with pytest.raises(BadInput, match="is inside"):
            back_up(home, target)
    path = write(home, "archive", tmp_path)
    with pytest.raises(BadInput, match="is there already"):
        back_up(home, path)
    with pytest.raises(BadInput, match="nothing to back up"):
        back_up(Home(tmp_path / "empty").create(), tmp_path / "backups")


def test_a_damaged_release_is_not_backed_up(home: Home, tmp_path: Path) -> None:
    release = next(home.warehouse.glob("releases/2*"))
    damaged = release / "mart_claims.parquet"
    damaged.chmod(0o644)
    damaged.write_bytes(_flip(damaged.read_bytes()))
    with pytest.raises(OretraceError, match=r"mart_claims\.parquet"):
        back_up(home, tmp_path / "backups")
    assert not (tmp_path / "backups").exists()


@FORMS
def test_a_full_disk_leaves_no_half_backup(home: Home, tmp_path: Path, form: str) -> None:
    target = tmp_path / "there" / ("backups" if form == "folder" else "backup.tar.gz")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("oretrace")), "backup", str(target)],
        env={**os.environ, "ORETRACE_HOME": str(home.root)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    # By the system for a plain file, by SQLite for a database.
    assert done.returncode == 1 and ("File too large" in done.stderr or "could not be copied" in done.stderr)
    assert [path for path in (tmp_path / "there").rglob("*") if path.name not in ("backups", ".lock")] == []


class Counting(Meter):
    """Remembers each part of the work, how much there was to do, and how much was done."""

    def __init__(self) -> None:
        self.parts: list[list[Any]] = []

    def begin(self, what: str, total: float | None = None, unit: str = "") -> None:
        self.parts.append([what, total, 0.0])

    def add(self, amount: float = 1) -> None:
        self.parts[-1][2] += amount


@FORMS
def test_progress_tells_the_bytes_that_are_checked_written_and_read(home: Home, tmp_path: Path, form: str) -> None:
    target = tmp_path / ("backups" if form == "folder" else "backup.tar.gz")
    done = back_up(home, target, meter=(writing := Counting()))
    restore(done.path, Home(tmp_path / "restored"), meter=(reading := Counting()))
    assert [part[0] for part in writing.parts] == ["checking", "writing"]
    assert [part[0] for part in reading.parts] == ["reading", "checking"]
    assert writing.parts[1][2] == reading.parts[0][2] == done.size
    for what, total, amount in [*writing.parts, *reading.parts]:
        if (what, form) == ("reading", "archive"):
            assert total is None
        else:  # links, locks, sidecars and secrets are a trifle
            assert 0.95 * total <= amount <= total, (what, total, amount)
