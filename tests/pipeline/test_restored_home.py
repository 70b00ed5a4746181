"""A home that was backed up while a run was at work, brought back elsewhere, is used as before."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.pipeline.conftest import ORETRACE, oretrace
from tests.pipeline.test_run import _env, _read_until

pytestmark = pytest.mark.xdist_group("runs")

QUESTION = "select count(*) as n from mart_supplier_exposure"
BAN = ("scenario", "--by", "CHN", "--material", "rare_earths", "--stage", "metal", "--to", "USA", "--format", "csv")


def test_a_home_restored_elsewhere_answers_and_rolls_back_as_before(home: Path, tmp_path: Path) -> None:
    archive, folder, moved = tmp_path / "home.tar.gz", tmp_path / "backups", tmp_path / "another" / "place"
    assert oretrace("backup", str(archive), home=home).returncode == 0
    with subprocess.Popen([str(ORETRACE), "run", "--force"], env=_env(home), stderr=subprocess.PIPE, text=True) as run:
        _read_until(run, "raw_usitc")
        during = oretrace("backup", str(folder), home=home)
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert during.returncode == 0 and "a run is writing it" in during.stderr
    asked, banned = (oretrace(*words, home=home).stdout for words in (("query", QUESTION, "--format", "csv"), BAN))

    assert oretrace("restore", str(next(folder.glob("2*"))), "--check", home=moved).returncode == 0
    assert not moved.exists()
    for source in (next(folder.glob("2*")), archive):
        shutil.rmtree(moved, ignore_errors=True)
        back = oretrace("restore", str(source), home=moved)
        assert back.returncode == 0, back.stderr
        assert oretrace("verify", home=moved).returncode == 0
        assert oretrace("query", QUESTION, "--format", "csv", home=moved).stdout == asked
    refused = oretrace("restore", str(archive), home=moved)
    assert refused.returncode == 2 and "is not empty" in refused.stderr
    assert oretrace(*BAN, home=moved).stdout == banned != ""

    listed = oretrace("releases", home=moved)
    version = listed.stdout.split()[1]
    assert oretrace("rollback", version, home=moved).returncode == 0
    assert oretrace("verify", home=moved).returncode == 0


@pytest.mark.long  # a whole run
def test_a_restored_home_runs_as_before(home: Path, tmp_path: Path) -> None:
    archive, moved = tmp_path / "home.tar.gz", tmp_path / "another" / "place"
    assert oretrace("backup", str(archive), home=home).returncode == 0
    assert oretrace("restore", str(archive), home=moved).returncode == 0
    shutil.rmtree(home)  # nothing is read from where the backup was taken
    again = oretrace("run", home=moved)
    assert again.returncode == 0, again.stderr
    # Equal inputs give equal tables, here as there.
    assert "nothing new" in again.stdout + again.stderr
    assert oretrace("verify", home=moved).returncode == 0
    home.mkdir()  # the fixture removes it


def test_an_archive_that_was_cut_or_changed_is_refused_by_name(home: Path, tmp_path: Path) -> None:
    archive = tmp_path / "home.tar.gz"
    assert oretrace("backup", str(archive), home=home).returncode == 0
    data = archive.read_bytes()
    for damaged in (data[:-1000], data[: len(data) // 2] + b"?" + data[len(data) // 2 + 1 :]):
        archive.write_bytes(damaged)
        done = oretrace("restore", str(archive), home=tmp_path / "moved")
        assert done.returncode == 1 and str(archive) in done.stderr and "Traceback" not in done.stderr
        assert not (tmp_path / "moved").exists()
