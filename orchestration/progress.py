"""Progress on a terminal: a line that comes when work takes more than two seconds, and goes when it is done.

What belongs here: when and how it is shown. What does not: the work, which tells a ``Meter`` how far it is and knows
nothing of terminals.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

AFTER = 2.0  # seconds; what is quicker shows nothing
BYTES = "bytes"


class Meter:
    """Is told how far work has come; this one keeps it to itself."""

    def begin(self, what: str, total: float | None = None, unit: str = "") -> None:
        """Say what is done now, and how much of it there is where that is known."""

    def add(self, amount: float = 1) -> None:
        """Say that so much more is done."""

    def each(self, names: Sequence[str]) -> Iterator[str]:
        """Go through names, one step each."""
        for name in names:
            yield name
            self.add()


SILENT = Meter()
_LIVE: list[_Live] = []


@contextmanager
def shown(what: str, total: float | None = None, unit: str = "") -> Iterator[Meter]:
    """Show on stderr how far work has come, when that is a terminal and the work takes more than two seconds.

    Args:
        what: the work in a few words.
        total: how much there is; None where nobody knows, which shows the seconds alone.
        unit: what is counted: ``BYTES``, or a word.

    Yields:
        What the work tells its progress to.
    """
    if not _is_screen():
        yield SILENT
        return
    meter = _Live(what, total, unit)
    _LIVE.append(meter)
    try:
        yield meter
    finally:
        _LIVE.remove(meter)
        meter.stop()


def say(line: str) -> None:
    """Print a line of progress to stderr, above what is shown there, so that stdout holds results only."""
    if not (_LIVE and _LIVE[-1].say(line)):
        print(line, file=sys.stderr, flush=True)


def _is_screen() -> bool:
    """A terminal whose lines can be written anew; FORCE_COLOR does not make one of a pipe."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb").casefold() not in ("dumb", "unknown", "")


class _Live(Meter):
    """Shows a line after a while. Lines that are printed meanwhile scroll by above it."""

    def __init__(self, what: str, total: float | None, unit: str) -> None:
        self._lock = threading.RLock()
        self._bar: Progress | None = None
        self._done, self._begun, self._stopped = 0.0, time.monotonic(), False
        self._what, self._total, self._unit = what, total, unit
        self._timer = threading.Timer(AFTER, self._show)
        self._timer.daemon = True
        self._timer.start()

    def begin(self, what: str, total: float | None = None, unit: str = "") -> None:
        with self._lock:
            self._what, self._total, self._unit, self._done = what, total, unit, 0.0
            self._begun = time.monotonic()
            if self._bar is not None:
                self._bar.remove_task(self._bar.task_ids[0])
                self._bar.add_task(what, total=total, amount=self._amount())

    def add(self, amount: float = 1) -> None:
        with self._lock:
            self._done += amount
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=self._done, amount=self._amount())

    def say(self, line: str) -> bool:
        """Print above the line that is shown; False when none is."""
        with self._lock:
            if self._bar is None:
                return False
            self._bar.console.print(line, markup=False, highlight=False, emoji=False)
            return True

    def stop(self) -> None:
        """Take the line away."""
        self._timer.cancel()
        with self._lock:
            self._stopped = True  # the clock may have struck, and be waiting for the lock
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def _show(self) -> None:
        with self._lock:
            if self._stopped:
                return
            self._bar = _bar()
            self._bar.add_task(self._what, total=self._total, completed=int(self._done), amount=self._amount())
            self._bar.tasks[0].start_time = self._begun
            self._bar.start()

    def _amount(self) -> str:
        from rich.filesize import decimal

        def say(number: float) -> str:
            return decimal(int(number)) if self._unit == BYTES else f"{number:,.0f}"

        if self._total is None:
            return say(self._done) if self._done else ""
        of = f"{say(min(self._done, self._total))} of {say(self._total)}"
        return of if self._unit == BYTES else f"{of} {self._unit}".rstrip()


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[amount]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True, soft_wrap=True),
        transient=True,
        # What is printed to the same terminal goes above the line; what goes into a pipe or file is left alone.
        redirect_stdout=sys.stdout.isatty(),
    )
