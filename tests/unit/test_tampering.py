"""Tampering: whatever is changed by another hand is named by ``verify``, and nothing is published over it."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from ingest.vintages import sha256_of
from orchestration import publish as pub
from orchestration.integrity import listing, read_listing
from orchestration.releases import list_releases
from tests.candidates import build, certify, published_value


@dataclass
class Place:
    """A warehouse with two releases, and an audited candidate for a third."""

    target: Path
    old: Path
    new: Path
    candidate: Path
    certificate: Path
    elsewhere: Path

    def publish(self) -> pub.Release:
        return pub.publish(self.candidate, self.certificate, self.target)


def site(folder: Path) -> None:
    (folder / "site" / "data").mkdir(parents=True)
    (folder / "site" / "index.html").write_text("<p>page</p>")
    (folder / "site" / "data" / "chart.json").write_text("{}")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    for value in (71.0, 50.0):
        candidate = build(folder, value)
        pub.publish(candidate, certify(candidate), folder / "warehouse", dress=[site], dressing="site")
    certify(build(folder, 33.0))
    (folder / "elsewhere").mkdir()
    return folder


@pytest.fixture
def place(original: Path, tmp_path: Path) -> Place:
    folder = tmp_path / "home"
    shutil.copytree(original, folder, symlinks=True)
    target = folder / "warehouse"
    new, old = [release.folder for release, _ in list_releases(target)]
    return Place(target, old, new, folder / "candidate.duckdb", folder / "certificate.json", folder / "elsewhere")


def edit_json(path: Path, key: str, value: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}, indent=1) + "\n")


def relink(link: Path, to: Path | str) -> None:
    link.unlink()
    link.symlink_to(to)


def move_away(path: Path, place: Place) -> Path:
    return Path(shutil.move(path, place.elsewhere / path.name))


def update_database(place: Place) -> None:
    with duckdb.connect(str(place.new / "oretrace.duckdb")) as db:
        db.execute("update mart_claims set verdict = 'reproduced'")


def drop_a_line(place: Place) -> None:
    listing = place.new / "checksums.txt"
    listing.write_text("".join(listing.read_text().splitlines(keepends=True)[1:]))


def reorder_lines(place: Place) -> None:
    listing = place.new / "checksums.txt"
    listing.write_text("".join(reversed(listing.read_text().splitlines(keepends=True))))


def replace_by_link(place: Place) -> None:
    file = place.new / "mart_claims.parquet"
    file.symlink_to(move_away(file, place))


def replace_folder_by_link(place: Place) -> None:
    place.new.symlink_to(move_away(place.new, place))


def replace_site_by_link(place: Place) -> None:
    folder = place.new / "site" / "data"
    folder.symlink_to(move_away(folder, place))


def replace_by_other_release(place: Place) -> None:
    shutil.rmtree(place.new)
    shutil.copytree(place.old, place.new)


def pointer_to_copy(place: Place) -> None:
    shutil.copytree(place.new, place.elsewhere / place.new.name)
    relink(place.target / "current", place.elsewhere / place.new.name)


def pointer_becomes_folder(place: Place) -> None:
    (place.target / "current").unlink()
    shutil.copytree(place.new, place.target / "current")


def file_instead_of_link(place: Place) -> None:
    (place.target / "oretrace.duckdb").unlink()
    shutil.copyfile(place.candidate, place.target / "oretrace.duckdb")


def pointer_through_link(place: Place) -> None:
    (place.target / "releases" / "20990101T000000Z-00000000").symlink_to(place.new.name)
    relink(place.target / "current", "releases/20990101T000000Z-00000000")


def folder_of_another(place: Place) -> None:
    place.new.rename(place.new.with_name("20990101T000000Z-00000000"))
    relink(place.target / "current", "releases/20990101T000000Z-00000000")


# What is done, and the path below the warehouse that must be named ({new}: the published release).
Tampering = Callable[[Place], object]
PUBLISHED: dict[str, tuple[Tampering, str]] = {
    "certificate edited": (lambda p: edit_json(p.new / "certificate.json", "run_id", "x"), "{new}/certificate.json"),
    "database edited": (update_database, "{new}/oretrace.duckdb"),
    "log beside database": (lambda p: (p.new / "oretrace.duckdb.wal").touch(), "{new}/oretrace.duckdb.wal"),
    "table edited": (lambda p: (p.new / "mart_claims.parquet").write_bytes(b"x"), "{new}/mart_claims.parquet"),
    "diff edited": (lambda p: (p.new / "diff.md").write_text("nothing changed"), "{new}/diff.md"),
    "package edited": (lambda p: edit_json(p.new / "datapackage.json", "licenses", []), "{new}/datapackage.json"),
    "hash in package edited": (
        lambda p: edit_json(p.new / "datapackage.json", "resources", []), "{new}/datapackage.json"
    ),
    "package removed": (lambda p: (p.new / "datapackage.json").unlink(), "{new}/datapackage.json"),
    "package garbled": (lambda p: (p.new / "datapackage.json").write_bytes(b"\xff{"), "{new}/datapackage.json"),
    "list loses a line": (drop_a_line, "{new}/certificate.json"),
    "list reordered": (reorder_lines, "{new}/checksums.txt"),
    "list garbled": (lambda p: (p.new / "checksums.txt").write_bytes(b"\xff\n"), "{new}/checksums.txt"),
    "list emptied": (lambda p: (p.new / "checksums.txt").write_text(""), "{new}/oretrace.duckdb"),
    "list removed": (lambda p: (p.new / "checksums.txt").unlink(), "{new}/checksums.txt"),
    "page edited": (lambda p: (p.new / "site" / "index.html").write_text("<script>"), "{new}/site/index.html"),
    "page removed": (lambda p: (p.new / "site" / "data" / "chart.json").unlink(), "{new}/site/data/chart.json"),
    "file added": (lambda p: (p.new / "extra.txt").touch(), "{new}/extra.txt"),
    "hidden file added": (lambda p: (p.new / ".x").touch(), "{new}/.x"),
    "file added to site": (lambda p: (p.new / "site" / "data" / "x.js").touch(), "{new}/site/data/x.js"),
    "link added": (lambda p: (p.new / "site" / "x").symlink_to("/etc"), "{new}/site/x"),
    "table removed": (lambda p: (p.new / "mart_claims.parquet").unlink(), "{new}/mart_claims.parquet"),
    "table becomes a link": (replace_by_link, "{new}/mart_claims.parquet"),
    "folder in site becomes a link": (replace_site_by_link, "{new}/site/data"),
    "release becomes a link": (replace_folder_by_link, "{new}"),
    "release becomes another": (replace_by_other_release, "{new}/datapackage.json"),
    "release renamed": (folder_of_another, "releases/20990101T000000Z-00000000/datapackage.json"),
    "pointer to a copy elsewhere": (pointer_to_copy, "current"),
    "pointer to no release": (lambda p: relink(p.target / "current", "releases"), "current"),
    "pointer with another path": (lambda p: relink(p.target / "current", p.new), "current"),
    "pointer through a link": (pointer_through_link, "current"),
    "pointer becomes a folder": (pointer_becomes_folder, "current"),
    "file link to the candidate": (lambda p: relink(p.target / "oretrace.duckdb", p.candidate), "oretrace.duckdb"),
    "file link to another release": (
        lambda p: relink(p.target / "oretrace.duckdb", p.old / "oretrace.duckdb"), "oretrace.duckdb"
    ),
    "file instead of the link": (file_instead_of_link, "oretrace.duckdb"),
    "site link to elsewhere": (lambda p: relink(p.target / "site", p.elsewhere), "site"),
}  # fmt: skip


@pytest.mark.parametrize(("tamper", "named"), PUBLISHED.values(), ids=PUBLISHED.keys())
def test_tampering_with_what_is_published_is_named_and_nothing_is_published_over_it(
    place: Place, tamper: Tampering, named: str
) -> None:
    tamper(place)
    before = sorted(path.name for path in (place.target / "releases").iterdir())
    path = place.target / named.format(new=f"releases/{place.new.name}")
    _, wrong = pub.verify(place.target)
    assert any(f"{path} " in line for line in wrong), wrong
    with pytest.raises(pub.PublishRefused, match="was tampered with") as refused:
        place.publish()
    assert any(line in str(refused.value) for line in wrong)
    assert sorted(path.name for path in (place.target / "releases").iterdir()) == before


def test_readers_are_led_back_to_an_intact_release_and_the_next_one_is_published(place: Place) -> None:
    update_database(place)
    pub.rollback(place.target, place.old.name)
    assert published_value(place.target) == pytest.approx(0.71)
    assert not place.publish().unchanged
    assert published_value(place.target) == pytest.approx(0.33)
    _, wrong = pub.verify(place.target)  # the damaged one is still told of
    assert all(str(place.new) in line for line in wrong)
    assert wrong


def test_rollback_mends_swapped_links(place: Place) -> None:
    for name in ("current", "oretrace.duckdb", "site"):
        relink(place.target / name, place.elsewhere)
    pub.rollback(place.target, place.new.name)
    assert pub.verify(place.target) == (2, [])
    assert published_value(place.target) == pytest.approx(0.5)


def test_a_damaged_release_that_was_moved_away_no_longer_stops_publication(place: Place) -> None:
    update_database(place)
    move_away(place.new, place)
    assert pub.verify(place.target)[1] == [f"{place.target / 'oretrace.duckdb'} points at no release"]
    assert place.publish().version > place.old.name
    assert pub.verify(place.target) == (2, [])


def test_one_changed_byte_anywhere_in_a_release_is_found(place: Place) -> None:
    anywhere = random.Random(7)  # noqa: S311
    files = [path for path in place.new.rglob("*") if path.is_file()]
    assert len(files) == 10
    for path in files:
        content = path.read_bytes()
        for at in {0, len(content) - 1, *(anywhere.randrange(len(content)) for _ in range(4))}:
            path.write_bytes(content[:at] + bytes([content[at] ^ (1 << anywhere.randrange(8))]) + content[at + 1 :])
            assert pub.verify(place.target)[1], (path.name, at)
        path.write_bytes(content)
    assert pub.verify(place.target) == (2, [])


def test_an_older_release_written_anew_with_its_hashes_is_found_by_what_its_successor_recorded(place: Place) -> None:
    page = place.old / "site" / "index.html"
    page.write_text("<p>another</p>")
    written = place.old / "checksums.txt"
    hashes = read_listing(written)
    written.write_text(listing(hashes | {"site/index.html": sha256_of(page)}))
    assert pub.verify_release(pub.Release(place.old.name, place.old)) == []
    assert [str(written) in line for line in pub.verify(place.target)[1]] == [True]


def test_a_stray_file_among_the_releases_is_named(place: Place) -> None:
    (place.target / "releases" / "notes.txt").touch()
    assert any("notes.txt" in line for line in pub.verify(place.target)[1])


def test_an_edit_of_any_line_of_the_certificate_is_refused(place: Place) -> None:
    content = json.loads(place.certificate.read_text())
    for key in content:
        place.certificate.write_text(json.dumps(content | {key: "edited"}))
        with pytest.raises(pub.PublishRefused):
            place.publish()
        place.certificate.write_text(json.dumps({name: value for name, value in content.items() if name != key}))
        with pytest.raises(pub.PublishRefused):
            place.publish()
    place.certificate.write_text(json.dumps(content))
    assert not place.publish().unchanged


def test_what_is_published_is_what_was_audited_however_candidate_and_certificate_change_meanwhile(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    audited, vouched = place.candidate.read_bytes(), place.certificate.read_bytes()
    copyfile = shutil.copyfile

    def change_after_copy(source: Path, to: Path) -> object:
        done = copyfile(source, to)
        place.candidate.write_bytes(b"other")
        place.certificate.write_text("{}")
        return done

    monkeypatch.setattr(shutil, "copyfile", change_after_copy)
    release = place.publish()
    assert release.database.read_bytes() == audited
    assert (release.folder / "certificate.json").read_bytes() == vouched
    assert pub.verify(place.target) == (3, [])


def test_the_command_names_the_file_and_ends_with_one(place: Place) -> None:
    (place.new / "site" / "index.html").write_text("<p>edited</p>")
    command = [str(Path(sys.executable).with_name("oretrace")), "verify"]
    environment = {**os.environ, "ORETRACE_HOME": str(place.target.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"oretrace: {place.new / 'site' / 'index.html'} changed: expected sha256 ")
    assert len(done.stderr.splitlines()) == 1
