"""On a disk that fills up: publishing says so in one line, fetching gives back its room; nothing is half-written."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.errors import OretraceError
from ingest.fetch import fetch
from ingest.home import Home
from orchestration import publish as pub
from tests.candidates import build, certify, published_value
from tests.publishers.baci import release, serve
from tests.replay import Replay

MB = 1_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MB."""
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root can mount the small disk that this test fills")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def site(folder: Path) -> None:
    (folder / "site").mkdir()
    (folder / "site" / "page.html").write_bytes(os.urandom(2 * MB))


def fill(disk: Path, left: int) -> Path:
    """Leave so many bytes free."""
    filler = disk / "filler"
    filler.write_bytes(os.urandom(shutil.disk_usage(disk).free - left))
    return filler


@pytest.mark.parametrize("share", [0.02, 0.15, 0.3, 0.6, 0.95], ids=lambda share: f"{share:.0%} of what is needed")
def test_a_full_disk_stops_publication_in_one_line_and_loses_nothing(
    small_disk: Path, tmp_path: Path, share: float
) -> None:
    target = small_disk / "warehouse"
    candidate = build(tmp_path)
    first = pub.publish(candidate, certify(candidate), target, dress=[site])
    needed = sum(path.stat().st_size for path in first.folder.rglob("*"))
    candidate = build(tmp_path, 50.0)
    certificate = certify(candidate)
    filler = fill(small_disk, int(share * needed))
    with pytest.raises(OretraceError, match="the disk is full") as error:
        pub.publish(candidate, certificate, target, dress=[site], dressing="x")
    assert error.value.exit_code == 1
    assert len(str(error.value).splitlines()) == 1
    assert published_value(target) == pytest.approx(0.71)
    assert [path.name for path in (target / "releases").iterdir()] == [first.version]
    assert pub.verify(target) == (1, [])
    filler.unlink()
    assert not pub.publish(candidate, certificate, target, dress=[site], dressing="x").unchanged
    assert published_value(target) == pytest.approx(0.50)
    assert pub.verify(target) == (2, [])


def test_a_pull_that_fills_the_disk_gives_the_room_back_and_the_next_one_brings_everything(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(small_disk / "home")
    zipped = release(tmp_path / "cepii", replaced={"Readme.txt": os.urandom(3 * MB).hex()})
    with Replay() as server:
        monkeypatch.setenv("ORETRACE_URL_BACI", server.url)
        serve(server, {"V202601": zipped})
        filler = fill(small_disk, MB)
        with pytest.raises(OSError, match="No space left") as error:
            fetch(home, "baci")
        assert error.value.errno == errno.ENOSPC
        assert shutil.disk_usage(small_disk).free > 0.9 * MB
        assert [path.name for path in (home.raw / "baci").iterdir() if path.is_dir()] == []

        filler.unlink()
        (kept,) = fetch(home, "baci")
    assert kept.outcome == "kept"
