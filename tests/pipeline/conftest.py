"""One real run of the whole job, shared by the pipeline tests."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ORETRACE = Path(sys.executable).with_name("oretrace")

# Part of every secret that the shared run finds in its environment; test_security looks for it in all that was written.
PLANTED = "planted-7f3a9c"
SECRETS = {
    **{name: f"{PLANTED}-{name.lower()}" for name in ("ORETRACE_CENSUS_KEY", "ORETRACE_COMTRADE_KEY")},
    **{name: f"{PLANTED}-{name.lower()}" for name in ("ORETRACE_PG_PASSWORD", "ORETRACE_SMTP_PASSWORD")},
    **{name: f"{PLANTED}-{name.lower()}" for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "PGPASSWORD")},
    "DATABASE_URL": f"postgresql://user:{PLANTED}-url@127.0.0.1:9/db",
    # Nobody listens there, so that what is said of a failure is looked through as well.
    "ORETRACE_ALERT_WEBHOOK": f"http://127.0.0.1:9/hook/{PLANTED}-hook",
    "ORETRACE_ALERT_TIMEOUT": "1",
}


def oretrace(
    *arguments: str, home: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    settings = {**os.environ, "ORETRACE_HOME": str(home), **(environment or {})}
    return subprocess.run(
        [str(ORETRACE), *arguments], env=settings, capture_output=True, text=True, timeout=900, check=False
    )


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Home and output of ``oretrace run`` on an empty home; the workers of one test session share it."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    home, told = root / "first-run", root / "first-run.json"
    with (root / "first-run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            ran = oretrace("run", home=home, environment=SECRETS)
            told.write_text(json.dumps([ran.args, ran.returncode, ran.stdout, ran.stderr]))
    done = subprocess.CompletedProcess(*json.loads(told.read_text()))
    assert done.returncode == 0, done.stderr
    return home, done


@pytest.fixture
def home(first_run: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> Iterator[Path]:
    """A copy of a home in which the job has run once."""
    copy = tmp_path / "home"
    shutil.copytree(first_run[0], copy, symlinks=True)
    yield copy
    shutil.rmtree(copy)
