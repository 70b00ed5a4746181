"""Layout of releases: one pointer, dressed releases, order under a moved clock, one publisher, retention."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from ingest.errors import BadInput, OretraceError
from orchestration import publish as pub
from tests.candidates import build, certify, published_value


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "warehouse"


def site(folder: Path) -> None:
    (folder / "site" / "img").mkdir(parents=True)
    version = json.loads((folder / "datapackage.json").read_text())["version"]
    (folder / "site" / "index.html").write_text(f"<p>{version}</p>")
    (folder / "site" / "img" / "map of the world.svg").write_text("<svg/>")


def release(tmp_path: Path, target: Path, value: float = 71.0, **more: object) -> pub.Release:
    candidate = build(tmp_path, value)
    return pub.publish(candidate, certify(candidate), target, **more)  # type: ignore[arg-type]


def old_layout(target: Path) -> pub.Release:
    """Make of a warehouse what it was before there was a pointer and a list of hashes."""
    current = pub.current_release(target)
    assert current is not None
    for link in ("current", "oretrace.duckdb"):
        (target / link).unlink()
    (target / "oretrace.duckdb").symlink_to(Path("releases") / current.version / "oretrace.duckdb")
    package = current.package
    del package["checksums"]
    (current.folder / "datapackage.json").write_text(json.dumps(package))
    (current.folder / "checksums.txt").unlink()
    return current


def test_one_pointer_leads_to_file_parquet_and_site(tmp_path: Path, target: Path) -> None:
    first = release(tmp_path, target, dress=[site])
    assert (target / "current").readlink() == Path("releases") / first.version
    assert (target / "oretrace.duckdb").readlink() == Path("current/oretrace.duckdb")
    assert (target / "oretrace.duckdb").resolve() == first.database
    assert first.version in (target / "site" / "index.html").read_text()
    second = release(tmp_path, target, 50.0)
    assert not (target / "site").is_symlink()
    pub.rollback(target, first.version)
    assert (target / "current").resolve() == first.folder
    assert first.version in (target / "site" / "index.html").read_text()
    pub.rollback(target, second.version)
    assert not (target / "site").is_symlink()
    assert pub.verify(target) == (2, [])


@pytest.mark.parametrize("value", [71.0, 50.0], ids=["the same marts", "others"])
def test_a_warehouse_of_the_old_layout_moves_at_the_next_publication_and_readers_always_see_a_release(
    tmp_path: Path, target: Path, value: float
) -> None:
    release(tmp_path, target)
    old = old_layout(target)
    assert pub.verify(target) == (1, [])
    assert pub.current_release(target) == old
    seen: set[float] = set()
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            seen.add(published_value(target))

    reader = threading.Thread(target=read)
    reader.start()
    new = release(tmp_path, target, value)
    seen.add(published_value(target))
    ended.set()
    reader.join()
    assert seen <= {0.71, value / 100}
    assert not new.unchanged
    assert (target / "oretrace.duckdb").readlink() == Path("current/oretrace.duckdb")
    assert (target / "current").resolve() == new.folder
    assert pub.verify(target)[1] == []


def test_a_move_from_the_old_layout_is_whole_after_each_of_its_steps(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(tmp_path, target)
    old_layout(target)
    states = []
    replace = Path.replace

    def watched(self: Path, to: Path) -> Path:
        done = replace(self, to)
        if to.parent == target:
            current = pub.current_release(target)
            states.append((to.name, published_value(target), current.version if current else None))
        return done

    monkeypatch.setattr(Path, "replace", watched)
    first = pub.current_release(target)
    second = release(tmp_path, target, 50.0)
    assert first is not None
    assert states == [
        ("current", 0.71, first.version), ("oretrace.duckdb", 0.71, first.version), ("current", 0.5, second.version)
    ]  # fmt: skip


def test_every_file_of_a_release_is_in_the_list_that_sha256sum_reads(tmp_path: Path, target: Path) -> None:
    folder = release(tmp_path, target, dress=[site]).folder
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    listed = [line.partition("  ")[2] for line in (folder / "checksums.txt").read_text().splitlines()]
    assert {*listed, "checksums.txt"} == files
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    check = ["sha256sum", "--check", "--strict", "checksums.txt"]
    assert subprocess.run(check, cwd=folder, capture_output=True, check=False).returncode == 0
    (folder / "site" / "index.html").write_text("edited")
    assert subprocess.run(check, cwd=folder, capture_output=True, check=False).returncode == 1


def test_the_same_marts_in_another_dress_are_a_new_release(tmp_path: Path, target: Path) -> None:
    first = release(tmp_path, target, dress=[site], dressing="a")
    assert release(tmp_path, target, dress=[site], dressing="a").unchanged
    second = release(tmp_path, target, dress=[site], dressing="b")
    assert not second.unchanged
    assert second.version > first.version
    assert second.package["previous"]["version"] == first.version


def test_a_fingerprint_changes_with_any_file_of_the_dressers(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    (folder / "templates").mkdir(parents=True)
    (folder / "templates" / "page.html").write_text("a")
    before = pub.fingerprint(folder)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("compiled")
    assert pub.fingerprint(folder) == before
    (folder / "templates" / "page.html").write_text("b")
    assert pub.fingerprint(folder) != before


def damage(folder: Path) -> None:
    (folder / "mart_claims.parquet").write_bytes(b"mine")


def link_out(folder: Path) -> None:
    (folder / "passwords").symlink_to("/etc/passwd")


def give_up(_: Path) -> None:
    raise OretraceError("no page for today")


@pytest.mark.parametrize(
    ("dresser", "says"),
    [(damage, "mart_claims.parquet of the release was changed"), (link_out, "passwords"), (give_up, "no page")],
)
def test_a_dresser_that_fails_or_oversteps_publishes_nothing(
    tmp_path: Path, target: Path, dresser: pub.Dresser, says: str
) -> None:
    first = release(tmp_path, target)
    with pytest.raises(OretraceError, match=says):
        release(tmp_path, target, 50.0, dress=[site, dresser])
    assert pub.current_release(target) == first
    assert [path.name for path in (target / "releases").iterdir()] == [first.version]


PUBLISH = """
import sys, pathlib
from orchestration.publish import publish
candidate, certificate, target = map(pathlib.Path, sys.argv[1:])
print(publish(candidate, certificate, target).version)
"""


def test_a_release_is_later_than_the_last_when_the_clock_was_set_back(tmp_path: Path, target: Path) -> None:
    if shutil.which("faketime") is None:
        pytest.skip("faketime is not installed (Debian package faketime)")
    versions = []
    for value, clock in ((71.0, "2031-05-01 12:00:00"), (50.0, "2029-01-01 00:00:00"), (60.0, "2029-01-02 00:00:00")):
        candidate = build(tmp_path, value)
        command = ["faketime", clock, sys.executable, "-c", PUBLISH]
        done = subprocess.run(
            [*command, str(candidate), str(certify(candidate)), str(target)], capture_output=True, text=True, check=True
        )
        versions.append(done.stdout.strip())
    assert versions[0].startswith("20310501T")
    assert versions == sorted(set(versions))
    assert [item.version for item, _ in pub.list_releases(target)] == versions[::-1]
    current = pub.current_release(target)
    assert current is not None
    assert current.version == versions[-1]
    assert current.package["created"].startswith("2029-01-02")


def test_two_publishers_at_once_publish_one_after_the_other(tmp_path: Path, target: Path) -> None:
    publishers = []
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        candidate = build(folder, 50.0 + number)
        command = [sys.executable, "-c", PUBLISH, str(candidate), str(certify(candidate)), str(target)]
        publishers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    versions = [publisher.communicate(timeout=120)[0].strip() for publisher in publishers]
    assert [publisher.returncode for publisher in publishers] == [0] * 4
    assert len(set(versions)) == 4
    assert pub.verify(target) == (4, [])


@pytest.fixture
def busy(target: Path) -> Iterator[Path]:
    """A publisher in another process that stays in the middle of its work; yields its partial folder."""
    script = (
        "import sys, pathlib\nfrom orchestration.releases import only_publisher, partial_folder\n"
        "target = pathlib.Path(sys.argv[1])\nwith only_publisher(target):\n"
        "    partial = partial_folder(target)\n    partial.mkdir()\n"
        "    print(partial, flush=True)\n    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as publisher:
        assert publisher.stdout is not None
        yield Path(publisher.stdout.readline().strip())
        publisher.kill()


def test_a_live_publisher_is_waited_for_and_its_work_is_left_alone(
    tmp_path: Path, target: Path, busy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.releases.PATIENCE_S", 0.3)
    for attempt in (
        lambda: release(tmp_path, target),
        lambda: pub.prune(target, 1),
    ):
        with pytest.raises(OretraceError, match="another process has been publishing"):
            attempt()
    assert busy.is_dir()
    assert pub.verify(target) == (0, [])


def test_the_lock_of_a_killed_publisher_falls_and_its_work_is_cleared(tmp_path: Path, target: Path, busy: Path) -> None:
    (owner,) = [int(busy.name.split("-")[1])]
    os.kill(owner, 9)
    assert release(tmp_path, target).folder.is_dir()
    assert not busy.exists()


def test_pruning_keeps_the_newest_and_whatever_readers_see(tmp_path: Path, target: Path) -> None:
    versions = [release(tmp_path, target, 50.0 + number).version for number in range(5)]
    pub.rollback(target, versions[1])
    with duckdb.connect(str(target / "oretrace.duckdb"), read_only=True) as reader:
        assert [gone.version for gone in pub.prune(target, 2)] == [versions[2], versions[0]]
        assert [item.version for item, _ in pub.list_releases(target)] == [versions[4], versions[3], versions[1]]
        assert reader.execute("select count(*) from mart_claims").fetchone() == (2,)
    assert published_value(target) == pytest.approx(0.51)
    assert pub.verify(target) == (3, [])
    assert pub.prune(target, 5) == []


def test_an_unreadable_data_package_hides_no_other_release(tmp_path: Path, target: Path) -> None:
    first = release(tmp_path, target)
    second = release(tmp_path, target, 50.0)
    (second.folder / "datapackage.json").write_text("{")
    assert [item.version for item, _ in pub.list_releases(target)] == [first.version]
    pub.rollback(target, first.version)
    with pytest.raises(OretraceError, match="damaged"):
        pub.rollback(target, second.version)
    with pytest.raises(BadInput):
        pub.rollback(target, "1999")


def test_versions_in_the_same_second_still_differ(tmp_path: Path, target: Path) -> None:
    begun = time.monotonic()
    versions = [release(tmp_path, target, 50.0 + number).version for number in range(3)]
    stamps = [version.partition("-")[0] for version in versions]
    assert stamps == sorted(set(stamps)), time.monotonic() - begun
