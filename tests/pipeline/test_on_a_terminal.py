"""What takes long shows progress on a terminal, and nothing of it anywhere else."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestration.progress import AFTER
from tests.pipeline.conftest import ORETRACE

pytestmark = pytest.mark.xdist_group("pipeline")

Run = tuple[Path, subprocess.CompletedProcess[str]]
# Never ends by itself: it is stopped a second after progress is due, however fast the machine.
ENDLESS = ("query", "select sum(a.range * b.range) from range(1000000) a, range(1000000) b")
SLOW = (*ENDLESS, "--seconds", str(AFTER + 1))
COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-8]|4[0-8]|9[0-7])(?:;[0-9;]*)?m")


def on_terminal(*command: str, home: Path, environment: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run with stderr on a pseudo-terminal and stdout in a pipe; return exit code, stdout, and what the screen got."""
    ours, theirs = pty.openpty()
    settings = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "ORETRACE_HOME": str(home)}
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        settings.pop(name, None)
    process = subprocess.Popen(
        [str(ORETRACE), *command], env=settings | dict(environment or {}), stdin=theirs, stdout=subprocess.PIPE,
        stderr=theirs, text=True,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while True:
        try:
            got = os.read(ours, 65536)
        except OSError:  # how a terminal says that nobody writes to it any more
            break
        if not got:
            break
        seen += got
    os.close(ours)
    out, _ = process.communicate(timeout=120)
    return process.returncode, out, seen.decode()


def test_a_long_query_shows_that_it_is_at_work_and_cleans_up(first_run: Run) -> None:
    code, out, screen = on_terminal(*SLOW, home=first_run[0])
    assert (code, out) == (1, "")
    assert "reading" in screen
    assert "0:00:0" in screen, "seconds are told"
    assert COLOUR.search(screen)
    assert screen.rstrip().splitlines()[-1].endswith("or give --seconds.")
    assert screen.count("\x1b[?25l") == screen.count("\x1b[?25h") == 1, "the cursor is hidden and comes back"


def test_what_is_quick_shows_nothing(first_run: Run) -> None:
    code, out, screen = on_terminal("query", "select 1 as one", "--json", home=first_run[0])
    assert (code, screen) == (0, "")
    assert '"one": 1' in out


def test_no_color_is_respected(first_run: Run) -> None:
    _, _, screen = on_terminal(*SLOW, home=first_run[0], environment={"NO_COLOR": "1"})
    assert "reading" in screen
    assert not COLOUR.search(screen)


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_cannot_rewrite_lines_gets_none(first_run: Run, kind: str) -> None:
    _, _, screen = on_terminal(*SLOW, home=first_run[0], environment={"TERM": kind})
    assert "\x1b" not in screen
    assert screen.count("\n") == 1, "the error alone"


def test_a_pipe_gets_no_progress_whatever_the_environment_says(first_run: Run) -> None:
    forced = {**os.environ, "ORETRACE_HOME": str(first_run[0]), "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}
    done = subprocess.run([str(ORETRACE), *SLOW], env=forced, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
