"""Keeping the working disk at the release that readers of the store see, for a server that runs on.

What belongs here: looking again and again. What does not: bringing a release (``shelf``).
"""

from __future__ import annotations

import sys
import threading

from ingest.errors import OretraceError
from ingest.home import Home
from orchestration.store.shelf import catch_up

EVERY = 60.0  # seconds; a look that finds nothing new is two small requests


def follow(home: Home, every: float = EVERY) -> threading.Event:
    """Bring the published release now, and each later one from a thread.

    Returns:
        What ends the thread, which also ends with the process.

    Raises:
        OretraceError: it cannot be brought now.
    """
    catch_up(home)
    over = threading.Event()
    threading.Thread(target=_again_and_again, args=(home, every, over), daemon=True, name="store").start()
    return over


def _again_and_again(home: Home, every: float, over: threading.Event) -> None:
    told = ""
    while not over.wait(every):
        try:
            catch_up(home)
            told = ""
        except (OretraceError, OSError) as error:  # what was brought before stays
            if str(error) != told:
                told = str(error)
                print(f"oretrace: {told}", file=sys.stderr, flush=True)
