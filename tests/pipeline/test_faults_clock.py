"""A clock that was moved back over audit and publication: the order of releases holds, it is told, and its end too."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pipeline.conftest import ORETRACE, oretrace
from tests.pipeline.faults import Published, certify_anew, parts, reader
from tests.receivers import receivers

pytestmark = [
    pytest.mark.xdist_group("faults"),
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed (Debian package faketime)"),
]
BACK = ("faketime", "-f", "-40d")


def test_a_clock_moved_back_over_audit_and_publication_keeps_the_order_of_releases_and_is_told(home: Path) -> None:
    before = Published.of(home)
    with receivers() as got, reader(home) as watched:
        settings = {**got.environment, "ORETRACE_HOME": str(home)}
        certify_anew(home)
        with parts(home, "published", "gate", environment=settings, prefix=BACK) as run:
            assert run() == "ok"
        after = before.check_or_next(home)
        assert after.version == max(after.releases) > before.version
        look = [*BACK, str(ORETRACE), "alerts", "check"]
        said = subprocess.run(look, env=os.environ | settings, capture_output=True, text=True, check=True).stdout
        assert "the clock says " in said and f"the newest release is of {after.version[:4]}" in said
        assert oretrace("alerts", "check", home=home, environment=settings).returncode == 0
    kinds = [(post["oretrace"]["kind"], post["oretrace"]["subject"]) for post in got.posts]
    assert sorted(kinds) == [("clock_back", "clock"), ("digest", "refresh"), ("recovered", "clock")]
    assert len(got.mails) == len(got.posts)
    after.check(home)
    assert watched.errors == [] and watched.reads > 10
