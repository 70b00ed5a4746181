"""Keeping the working disk at the release that readers of the store see, for a server that runs on.

What belongs here: looking again and again. What does not: bringing a release (``shelf``).
"""

from __future__ import annotations

import sys
import threading
import time

from ingest.errors import OretraceError
from ingest.home import Home
from orchestration.store.shelf import catch_up

EVERY = 60.0  # seconds; a look that finds nothing new is two small requests


def follow(home: Home, every: float = EVERY) -> None:
    """Bring the published release now, and each later one from a thread that ends with the process.

    Raises:
        OretraceError: it cannot be brought now.
    """
    catch_up(home)
    threading.Thread(target=_again_and_again, args=(home, every), daemon=True, name="store").start()


def _again_and_again(home: Home, every: float) -> None:
    told = ""
    while True:
        time.sleep(every)
        try:
            catch_up(home)
            told = ""
        except (OretraceError, OSError) as error:  # what was brought before stays
            if str(error) != told:
                told = str(error)
                print(f"oretrace: {told}", file=sys.stderr, flush=True)
