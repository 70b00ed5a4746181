"""Asking a publisher within a live run: what is new is kept, a publisher that fails does not stop the run.

What belongs here: which sources are asked and what becomes of a failure. What does not: fetching
(``fetch``), what a run reads afterwards (``live``).
"""

from __future__ import annotations

from ingest.attempts import last_attempt
from ingest.clients import clients
from ingest.errors import OretraceError
from ingest.fetch import Say, drop_folder, fetch
from ingest.home import Home
from ingest.net.keys import redact


def ask(home: Home, source: str, *, offline: bool, say: Say, warn: Say) -> str | None:
    """Fetch what is new of a source, from its publisher or from the drop folder.

    Args:
        home: where raw vintages are.
        source: name of the source.
        offline: touch no network; the drop folder is still looked into.
        say: takes lines of progress.
        warn: takes why nothing could be fetched; the newest complete vintage stands in.

    Returns:
        Why nothing could be fetched, now or, offline, at the last attempt; None where nothing went wrong.
    """
    if source in clients():
        if offline:
            last = last_attempt(home.raw, source)
            return last.problem if last else None
    elif not any(drop_folder(home, source).glob("*/")):
        return None
    try:
        for item in fetch(home, source, say=say):
            say(f"{item.source} {item.edition}: {item.outcome} ({item.note})")
    except Exception as error:
        said = str(error) if isinstance(error, OretraceError) else f"{type(error).__name__}: {redact(str(error))}"
        warn(f"{source} could not be fetched; what was kept before is used. {said}")
        return said
    return None
