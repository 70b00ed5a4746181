"""Publishing on a disk that fills up: one line, nothing half-written, the last release stays."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.errors import OretraceError
from orchestration import publish as pub
from tests.candidates import build, certify, published_value

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
