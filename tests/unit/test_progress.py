"""Work tells its progress truly: what is counted adds up to what there was."""

from __future__ import annotations

import io
import sys
import time

import pytest

from orchestration import progress
from orchestration.progress import BYTES, SILENT, Meter, say, shown


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def open_screen(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal in the place of stderr; no fixture, because pytest takes stderr back before the test."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "AFTER", 0.01)
    for name, value in {"TERM": "xterm", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    return terminal


def until(meter: Meter, screen: Terminal, words: str) -> None:
    """Wait until words are on the screen; progress is drawn by a thread of its own."""
    give_up = time.monotonic() + 30
    while words not in screen.getvalue():
        assert time.monotonic() < give_up, screen.getvalue()
        meter.add(0)
        time.sleep(0.02)


def test_amounts_are_shown_as_they_grow_and_the_next_part_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = open_screen(monkeypatch)
    with shown("checking", 4_000_000, BYTES) as meter:
        meter.add(1_000_000)
        until(meter, screen, "1.0 MB of 4.0 MB")
        meter.begin("writing", 3, "tables")
        meter.add()
        until(meter, screen, "1 of 3 tables")
        say("  [a] line of the work")
    assert "\r\x1b[2K  [a] line of the work\n" in screen.getvalue(), "above the line that is shown, whole, as it is"
    assert screen.getvalue().endswith("\x1b[2K"), "the line is taken away"


def test_work_that_is_done_before_its_time_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = open_screen(monkeypatch)
    monkeypatch.setattr(progress, "AFTER", 3600)
    with shown("checking", 2) as meter:
        assert list(meter.each(["a", "b"])) == ["a", "b"]
    assert screen.getvalue() == ""


def test_an_error_takes_the_line_away_too(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = open_screen(monkeypatch)
    with pytest.raises(ValueError, match="broken"), shown("checking") as meter:
        until(meter, screen, "checking")
        raise ValueError("broken")
    assert "\x1b[?25h" in screen.getvalue(), "the cursor is back"
    assert sys.stderr is screen


def test_elsewhere_progress_keeps_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("checking") as meter:
        assert meter is SILENT
    assert capsys.readouterr() == ("", "")
