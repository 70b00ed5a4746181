"""Who is at work: the lock of the build folder, and a lock of its own for every run.

What belongs here: taking the locks and asking who holds them. What does not: the executor that takes
them for runs which Dagster launches (``executor``), what is done about a run that died (``alerting``).

Locks are ``flock``: the kernel drops them with the process, however it ends, so none is ever stale.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from ingest.errors import BadInput
from ingest.home import Home

WAIT = "ORETRACE_BUILD_WAIT"
DEFAULT_WAIT = 1800.0
PAUSE = 0.5


class BuildBusy(BadInput):
    """Another run holds the build folder."""


def build_wait() -> float:
    """Return how long a launched run waits for the build folder, in seconds (``ORETRACE_BUILD_WAIT``).

    Raises:
        BadInput: it is no number, or negative.
    """
    text = os.environ.get(WAIT, "")
    try:
        seconds = float(text) if text else DEFAULT_WAIT
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise BadInput(f"{WAIT}={text!r} must be a number of seconds, 0 or more.")
    return seconds


@contextmanager
def hold_build(
    home: Home, *, run_id: str = "", wait: float = 0.0, say: Callable[[str], object] | None = None
) -> Iterator[None]:
    """Hold the lock of the build folder; only its holder writes build, canonical and warehouse.

    Args:
        home: whose build folder.
        run_id: the run that wants it, noted for those who find it held.
        wait: how long to wait for another run to end, in seconds.
        say: told once when it has to wait.

    Raises:
        BuildBusy: another run holds it (still, after waiting).
    """
    path = home.build / ".lock"
    # "a": who finds it held must be able to read who holds it.
    with path.open("a") as lock:
        until = time.monotonic() + wait
        waited = False
        while not _taken(lock):
            if time.monotonic() >= until:
                after = f" It was waited for {wait:.0f} s ({WAIT})." if waited else ""
                raise BuildBusy(f"another run is at work in {home.root}{_holder(path)}; wait for it to end.{after}")
            if say and not waited:
                say(f"waiting up to {wait:.0f} s for another run{_holder(path)}")
            waited = True
            time.sleep(PAUSE)
        _note(lock, run_id)
        yield


def hold_run(home: Home, run_id: str) -> IO[str]:
    """Take the lock of a run, by which a living run is told from a dead one, and return the open file.

    The lock lives as long as the file is open; whoever keeps it until the process ends need not close it.
    """
    folder = runs_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / f"{run_id}.lock").open("a")
    # Nobody else takes it; who asks whether the run is alive holds it for an instant.
    fcntl.flock(lock, fcntl.LOCK_EX)
    _note(lock, run_id)
    return lock


def runs_folder(home: Home) -> Path:
    """Return where the locks of runs are."""
    return home.build / "runs"


def is_alive(home: Home, run_id: str) -> bool | None:
    """Tell whether a run's process is there; None when the run never took its lock."""
    path = runs_folder(home) / f"{run_id}.lock"
    try:
        with path.open("r") as lock:
            return not _taken(lock, fcntl.LOCK_SH)
    except FileNotFoundError:
        return None


def left_behind(home: Home) -> list[str]:
    """Return the ids of runs whose lock file is there and not held: they died, or ended and nobody looked."""
    return [path.stem for path in sorted(runs_folder(home).glob("*.lock")) if is_alive(home, path.stem) is False]


def forget_run(home: Home, run_id: str) -> None:
    """Remove the lock file of a run that is over; one that is held stays."""
    if is_alive(home, run_id) is False:
        with suppress(OSError):
            (runs_folder(home) / f"{run_id}.lock").unlink()


def _taken(lock: IO[str], kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _note(lock: IO[str], run_id: str) -> None:
    """Write who holds a lock; on a full disk the lock holds all the same."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    with suppress(OSError):
        lock.truncate(0)
        lock.write(json.dumps({"run": run_id, "pid": os.getpid(), "host": socket.gethostname(), "since": since}))
        lock.flush()


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text())
        run = f"run {note['run']}, " if note["run"] else ""
        return f" ({run}process {note['pid']}, since {note['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
