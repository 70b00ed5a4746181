"""Processes that audit beside the run: Great Expectations loads in them while the run does other work.

What belongs here: their start, their end, and handing them marts. What does not: what an audit of a
mart is (``adapter``, ``docs``).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from expectations.adapter import great_expectations
from ingest.errors import OretraceError

Answer = TypeVar("Answer")
MOST = 2  # more would wait for the largest mart

_started: list[ProcessPoolExecutor] = []


@contextmanager
def helpers() -> Iterator[None]:
    """Have helpers ready for the audits within the block; with one core there are none, and none are needed.

    The audit of a block without helpers, such as one that Dagster's own processes run, works alone.
    """
    count = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MOST)
    if count < 2:
        # One core: loading early, in this process, still fills the moments in which the run waits for the disk.
        threading.Thread(target=great_expectations, daemon=True).start()
        yield
        return
    # A fork would copy the locks of threads that do not exist in the copy.
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_begin)
    for _ in range(count):
        pool.submit(great_expectations_loaded)
    _started.append(pool)
    try:
        yield
    finally:
        _started.remove(pool)
        pool.shutdown(wait=False, cancel_futures=True)


def ready() -> bool:
    """Whether there are helpers."""
    return bool(_started)


def spread(work: Callable[..., Answer], tasks: Sequence[tuple[Any, ...]]) -> list[Answer]:
    """Do the tasks in the helpers, begun in the order given; answers come in that order.

    Args:
        work: function of a module; its arguments and its answer are copied between processes.
        tasks: arguments of each call.

    Raises:
        OretraceError: a helper died, or ``work`` raised it.
    """
    futures: list[Future[Answer]] = []
    try:
        futures = [_started[-1].submit(work, *task) for task in tasks]
        return [future.result() for future in futures]
    except BrokenProcessPool:
        raise OretraceError(
            "a process of the gate died, most likely for want of memory; nothing is certified. Try again: oretrace run"
        ) from None
    finally:
        for future in futures:
            future.cancel()


def great_expectations_loaded() -> str:
    """Load Great Expectations in a helper; the version, as its answer can be copied."""
    return str(great_expectations().__version__)


def _begin() -> None:
    """Make a helper end with the run: at once when the run is killed, quietly when it is interrupted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
