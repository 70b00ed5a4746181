"""The last time each publisher was asked for something, and what came of it.

What belongs here: one small note per source, ``raw/<source>/.attempt.json``, whoever asked (command line,
run, schedule). What does not: asking (``fetch``), and vintages, which say for themselves when they were kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingest.errors import Busy, FetchFailed, OretraceError
from ingest.net.keys import redact

NOTE = ".attempt.json"


@dataclass(frozen=True)
class Attempt:
    """One attempt at a source.

    Attributes:
        at: when it ended, UTC, ISO 8601.
        outcome: ``kept``, ``unchanged``, ``not out`` or ``failed``; of several editions, the first of these that holds.
        problem: why it failed, one line; None where it did not.
        lasting: whether trying again does not help.
    """

    at: str
    outcome: str
    problem: str | None = None
    lasting: bool = False


def last_attempt(raw: Path, source: str) -> Attempt | None:
    """Return the last attempt at a source; None where there was none (or its note is damaged)."""
    try:
        return Attempt(**json.loads((raw / source / NOTE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def attempt(raw: Path, source: str, outcomes: Sequence[str]) -> Iterator[None]:
    """Note what comes of the block; ``outcomes`` may be filled while it runs.

    A source that another process is fetching was not asked, so nothing is noted.
    """
    try:
        yield
    except Busy:
        raise
    except Exception as error:
        typed = isinstance(error, OretraceError)
        said = str(error) if typed else f"{type(error).__name__}: {error}"
        lasting = typed and not isinstance(error, FetchFailed)
        _write(raw, source, Attempt(_now(), "failed", redact(said), lasting))
        raise
    best = next((name for name in ("kept", "unchanged", "not out") if name in outcomes), "unchanged")
    _write(raw, source, Attempt(_now(), best))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write(raw: Path, source: str, made: Attempt) -> None:
    path = raw / source / NOTE
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(made)) + "\n", encoding="utf-8")
    partial.replace(path)
