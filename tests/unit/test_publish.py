"""Publication: what is refused, what is swapped, what is found when someone tampers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import duckdb
import pytest

from ingest.errors import BadInput, OretraceError
from orchestration import publish as pub
from orchestration.certificate import _seal
from orchestration.release_diff import changed_claims
from tests.candidates import build, certify, published_value


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "it's a warehouse"  # an apostrophe in a path must not break SQL
    folder.mkdir()
    return folder


def test_an_audited_candidate_is_published_with_parquet_package_and_diff(tmp_path: Path, target: Path) -> None:
    release = pub.publish(build(tmp_path), certify(tmp_path / "candidate.duckdb"), target)
    package = json.loads((release.folder / "datapackage.json").read_text())
    assert {item["path"] for item in package["resources"]} == {
        "oretrace.duckdb", "certificate.json", "diff.json", "diff.md", "mart_claims.parquet",
        "mart_dependence_by_stage.parquet",
    }  # fmt: skip
    assert package["vintages"] == {"usgs_mcs": ["2026"]}
    assert published_value(target) == pytest.approx(0.71)
    assert pub.verify(target) == (1, [])


def test_a_release_is_on_the_disk_whole_before_readers_are_led_to_it_and_so_is_what_leads_them(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Path | str] = []
    fsync, replace = os.fsync, Path.replace

    def written(handle: int) -> None:
        done.append(Path(f"/proc/self/fd/{handle}").readlink())
        fsync(handle)

    def moved(path: Path, to: Path) -> Path:
        done.append(f"moved to {to}")
        return replace(path, to)

    candidate = build(tmp_path)
    certificate = certify(candidate)
    monkeypatch.setattr(os, "fsync", written)
    monkeypatch.setattr(Path, "replace", moved)
    release = pub.publish(candidate, certificate, target)
    led = done.index(f"moved to {target / 'current'}")
    before = {path.name for path in done[:led] if isinstance(path, Path)}
    missing = {path.name for path in release.folder.rglob("*") if path.is_file()} - before
    assert missing == set() and release.folder.parent in done[:led]
    assert target in done[led:]


def test_without_certificate_nothing_is_published(tmp_path: Path, target: Path) -> None:
    with pytest.raises(pub.PublishRefused, match="no certificate"):
        pub.publish(build(tmp_path), tmp_path / "certificate.json", target)
    assert pub.current_release(target) is None


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"passed": true}', '{"passed": "yes", "candidate_sha256": "x", "gate": {}}']
)
def test_a_file_that_is_no_passing_certificate_is_refused(tmp_path: Path, target: Path, text: str) -> None:
    candidate = build(tmp_path)
    (tmp_path / "certificate.json").write_text(text)
    with pytest.raises(pub.PublishRefused):
        pub.publish(candidate, tmp_path / "certificate.json", target)


def test_a_certificate_of_a_failed_gate_is_refused(tmp_path: Path, target: Path) -> None:
    candidate = build(tmp_path)
    certificate = certify(candidate, {"passed": False, "checks": []})
    with pytest.raises(pub.PublishRefused, match="did not pass"):
        pub.publish(candidate, certificate, target)
    content = json.loads(certificate.read_text()) | {"passed": True}  # only half of it forged
    certificate.write_text(json.dumps(content))
    with pytest.raises(pub.PublishRefused, match="was edited after the gate wrote it"):
        pub.publish(candidate, certificate, target)
    certificate.write_text(json.dumps(content | {"sealed_sha256": _seal(content)}))
    with pytest.raises(pub.PublishRefused, match="did not pass"):
        pub.publish(candidate, certificate, target)


def test_a_candidate_changed_after_its_audit_is_refused_and_the_published_bytes_stay(
    tmp_path: Path, target: Path
) -> None:
    first = pub.publish(build(tmp_path), certify(tmp_path / "candidate.duckdb"), target)
    before = first.database.read_bytes()
    candidate = build(tmp_path, 72.0)
    certificate = certify(candidate)
    with duckdb.connect(str(candidate)) as db:
        db.execute("update mart_dependence_by_stage set top_supplier_import_share = 0.01")
    with pytest.raises(pub.PublishRefused, match="changed after its audit"):
        pub.publish(candidate, certificate, target)
    assert (target / "oretrace.duckdb").resolve().read_bytes() == before
    assert list((target / "releases").glob(".partial*")) == []


def test_equal_marts_make_no_second_release(tmp_path: Path, target: Path) -> None:
    first = pub.publish(build(tmp_path), certify(tmp_path / "candidate.duckdb"), target)
    second = pub.publish(build(tmp_path), certify(tmp_path / "candidate.duckdb"), target)
    assert second.unchanged
    assert second.version == first.version


def test_a_reader_keeps_its_release_while_a_new_one_is_published(tmp_path: Path, target: Path) -> None:
    pub.publish(build(tmp_path), certify(tmp_path / "candidate.duckdb"), target)
    with duckdb.connect(str((target / "oretrace.duckdb").resolve()), read_only=True) as reader:
        pub.publish(build(tmp_path, 50.0), certify(tmp_path / "candidate.duckdb"), target)
        row = reader.execute("select top_supplier_import_share from mart_dependence_by_stage").fetchone()
        assert row == (0.71,)
    assert published_value(target) == pytest.approx(0.50)


def test_the_diff_names_the_figure_that_moved_and_the_rows_that_changed(tmp_path: Path, target: Path) -> None:
    pub.publish(build(tmp_path), certify(tmp_path / "candidate.duckdb"), target)
    release = pub.publish(build(tmp_path, 50.0), certify(tmp_path / "candidate.duckdb"), target)
    diff = json.loads((release.folder / "diff.json").read_text())
    assert diff["marts"]["mart_dependence_by_stage"] == {"rows": 1, "added": 1, "removed": 1}
    assert diff["marts"]["mart_claims"] == {"rows": 2, "added": 0, "removed": 0}
    assert [(item["measure"], item["was_pct"], item["is_pct"]) for item in diff["moved"]] == [
        ("top_supplier_import_share", pytest.approx(71), pytest.approx(50))
    ]


def with_claims(candidate: Path, *claims: tuple[object, ...]) -> Path:
    """Give a candidate whole claims: name, verdict, published, recomputed, tolerance, reason, inputs."""
    with duckdb.connect(str(candidate)) as db:
        db.execute(
            "create or replace table mart_claims (claim varchar, verdict varchar, published double, recomputed double, "
            "tolerance double, reason varchar, inputs varchar)"
        )
        db.executemany("insert into mart_claims values (?, ?, ?, ?, ?, ?, ?)", claims)
    return candidate


BEFORE = [
    ("drifts", "reproduced", 70.0, 70.1, 1.0, None, "edition 2025"),
    ("moves_inside", "differs", 70.0, 80.0, 1.0, "another basis", "edition 2025"),
    ("steady", "reproduced", 70.0, 70.0, 1.0, None, "edition 2025"),
    ("tuned", "differs", 70.0, 75.0, 1.0, "another basis", "edition 2025"),
    ("vanishes", "reproduced", 70.0, 70.0, 1.0, None, "edition 2025"),
]
AFTER = [
    ("drifts", "differs", 70.0, 74.0, 1.0, "Edition 2026 counts 74 of 100 t.", "edition 2026"),
    ("moves_inside", "differs", 70.0, 85.0, 1.0, "another basis", "edition 2025"),
    ("steady", "reproduced", 70.0, 70.4, 1.0, None, "edition 2026"),
    ("tuned", "reproduced", 70.0, 75.0, 6.0, None, "edition 2025"),
    ("vanishes", "not measurable here", 70.0, None, 1.0, "No row is left.", None),
]


def test_the_diff_lists_every_claim_that_changed_its_verdict_or_moved_beyond_its_tolerance(
    tmp_path: Path, target: Path
) -> None:
    pub.publish(with_claims(build(tmp_path), *BEFORE), certify(tmp_path / "candidate.duckdb"), target)
    release = pub.publish(with_claims(build(tmp_path), *AFTER), certify(tmp_path / "candidate.duckdb"), target)
    verdicts = json.loads((release.folder / "diff.json").read_text())["verdicts"]
    assert [(item["claim"], item["was"], item["is"], item["changed"]) for item in verdicts] == [
        ("drifts", "reproduced", "differs", ["recomputed", "inputs"]),
        ("moves_inside", "differs", "differs", ["recomputed"]),
        ("tuned", "differs", "reproduced", ["tolerance"]),
        ("vanishes", "reproduced", "not measurable here", ["recomputed", "inputs"]),
    ]
    page = (release.folder / "diff.md").read_text()
    assert (
        "- drifts: reproduced -> differs (recomputed 70.1 -> 74; changed: recomputed, inputs). "
        "Edition 2026 counts 74 of 100 t." in page
    )
    assert "- tuned: differs -> reproduced (recomputed 75; changed: tolerance)\n" in page
    assert "- vanishes: reproduced -> not measurable here (recomputed 70 -> none;" in page
    assert "steady" not in page


def test_claims_of_a_release_without_figures_are_compared_by_verdict(tmp_path: Path, target: Path) -> None:
    pub.publish(build(tmp_path), certify(tmp_path / "candidate.duckdb"), target)
    changed = with_claims(build(tmp_path), ("a", "differs", 70.0, 74.0, 1.0, "why", None))
    release = pub.publish(changed, certify(tmp_path / "candidate.duckdb"), target)
    verdicts = json.loads((release.folder / "diff.json").read_text())["verdicts"]
    assert [(item["claim"], item["was"], item["is"], item["reason"]) for item in verdicts] == [
        ("a", "reproduced", "differs", "why")
    ]


def test_the_end_of_a_run_names_changed_claims_and_is_silent_without_any(tmp_path: Path, target: Path) -> None:
    first = pub.publish(with_claims(build(tmp_path), *BEFORE), certify(tmp_path / "candidate.duckdb"), target)
    assert changed_claims(first.folder) == []
    second = pub.publish(with_claims(build(tmp_path), *AFTER), certify(tmp_path / "candidate.duckdb"), target)
    heading, *lines = changed_claims(second.folder)
    assert heading.endswith("than in the last release: 4")
    assert [line.split(":")[0].strip() for line in lines] == ["drifts", "moves_inside", "tuned", "vanishes"]
    many = [(f"claim_{n}", *AFTER[0][1:]) for n in range(7)]
    before = [(name, *BEFORE[0][1:]) for name, *_ in many]
    pub.publish(with_claims(build(tmp_path), *before), certify(tmp_path / "candidate.duckdb"), target)
    third = pub.publish(with_claims(build(tmp_path), *many), certify(tmp_path / "candidate.duckdb"), target)
    heading, *lines = changed_claims(third.folder)
    assert "7 (all of them: " in heading
    assert len(lines) == 5


def test_rollback_points_back_and_refuses_unknown_and_damaged_releases(tmp_path: Path, target: Path) -> None:
    first = pub.publish(build(tmp_path), certify(tmp_path / "candidate.duckdb"), target)
    second = pub.publish(build(tmp_path, 50.0), certify(tmp_path / "candidate.duckdb"), target)
    pub.rollback(target, first.version)
    assert published_value(target) == pytest.approx(0.71)
    with pytest.raises(BadInput, match=first.version):
        pub.rollback(target, "20000101T000000Z-00000000")
    (second.folder / "mart_claims.parquet").write_bytes(b"edited")
    with pytest.raises(OretraceError, match=r"mart_claims\.parquet changed"):
        pub.rollback(target, second.version)
    assert published_value(target) == pytest.approx(0.71)


def test_verify_names_every_file_that_is_not_as_published(tmp_path: Path, target: Path) -> None:
    release = pub.publish(build(tmp_path), certify(tmp_path / "candidate.duckdb"), target)
    (release.folder / "diff.md").write_text("edited")
    (release.folder / "mart_claims.parquet").unlink()
    (release.folder / "extra.txt").write_text("planted")
    _, wrong = pub.verify(target)
    assert len(wrong) == 3
    assert all(any(name in line for line in wrong) for name in ("diff.md", "mart_claims.parquet", "extra.txt"))


def test_verify_notices_a_swapped_link(tmp_path: Path, target: Path) -> None:
    pub.publish(build(tmp_path), certify(tmp_path / "candidate.duckdb"), target)
    (target / "oretrace.duckdb").unlink()
    (target / "oretrace.duckdb").symlink_to(tmp_path / "candidate.duckdb")
    _, wrong = pub.verify(target)
    assert wrong


def test_leftovers_of_a_killed_publication_are_cleared_and_never_listed(tmp_path: Path, target: Path) -> None:
    left = target / "releases" / ".partial-1"
    left.mkdir(parents=True)
    (left / "oretrace.duckdb").write_bytes(os.urandom(10))
    pub.publish(build(tmp_path), certify(tmp_path / "candidate.duckdb"), target)
    assert not left.exists()
    assert len(list(pub.list_releases(target))) == 1


def test_two_equal_builds_give_equal_parquet_bytes(tmp_path: Path, target: Path) -> None:
    first = pub.publish(build(tmp_path), certify(tmp_path / "candidate.duckdb"), target)
    other = target / "other"
    other.mkdir()
    second = pub.publish(build(tmp_path), certify(tmp_path / "candidate.duckdb"), other)
    for mart in ("mart_claims", "mart_dependence_by_stage"):
        assert (first.folder / f"{mart}.parquet").read_bytes() == (second.folder / f"{mart}.parquet").read_bytes()
