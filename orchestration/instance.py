"""Dagster's own folder below ``ORETRACE_HOME``, and opening what is kept there: runs, events, schedules.

What belongs here: making that storage once, whoever comes first. What does not: what is read from it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.home import Home

if TYPE_CHECKING:
    from dagster import DagsterInstance

# No telemetry and no first-visit dialog; runs are kept in SQLite under ORETRACE_HOME, and wait for one another:
# a backfill of a publisher asks it for one edition at a time.
INSTANCE = """telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 1
"""


def dagster_home(home: Home) -> Path:
    """Prepare Dagster's folder and name it in the environment; return it."""
    config = home.dagster / "dagster.yaml"
    if not config.exists():
        partial = config.with_name(f".{config.name}.{os.getpid()}")
        partial.write_text(INSTANCE)
        partial.replace(config)
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    os.environ["ORETRACE_HOME"] = str(home.root)
    return home.dagster


@contextmanager
def dagster_instance(home: Home) -> Iterator[DagsterInstance]:
    """Open Dagster's storage; where there is none yet, make it while nobody else does."""
    import dagster as dg  # seconds to import

    dagster_home(home)
    with ExitStack() as opened:
        if is_made(home):
            instance = opened.enter_context(dg.DagsterInstance.get())
        else:
            with _alone(home):
                instance = opened.enter_context(dg.DagsterInstance.get())
                with suppress(OSError):
                    _mark(home).touch()
        yield instance


def is_made(home: Home) -> bool:
    """Tell whether Dagster's storage was made to its end."""
    return _mark(home).exists()


def _mark(home: Home) -> Path:
    return home.dagster / ".made"


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Let one process at a time in: Dagster's SQLite files do not stand being made by two at once."""
    try:
        lock = (home.dagster / ".lock").open("a")
    except OSError:  # a disk that cannot be written; what is wrong is said by those who need to write
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
