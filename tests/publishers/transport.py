"""Faults of the way, the same for every publisher that answers in JSON, and what each must come to.

What belongs here: faults below the publisher's own meaning. What does not: totals that do not match,
pages that repeat and the like, which each publisher's tests plant themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ingest.clients.base import Client, Plan, Proof
from ingest.errors import FetchFailed, IncompletePull, KeyRefused, OretraceError, SourceChanged
from ingest.net.session import Http, Settings
from tests import replay
from tests.replay import Asked, Fault, Reply

QUICK = Settings(read=0.25, retries=2, backoff=0.01, longest_wait=1, per_second=1000)


class Planted(NamedTuple):
    """A fault, how often it is planted (None: for ever), and the error it must come to (None: the whole result)."""

    name: str
    fault: Fault
    times: int | None
    error: type[OretraceError] | None


def nothing(_: Asked, __: Reply) -> Reply:
    return Reply(b"", 204)


PLANTED = [
    Planted("429 with Retry-After, then the answer", replay.status(429, Retry_After="0"), 1, None),
    Planted("500, then the answer", replay.status(500), 2, None),
    Planted("503 for ever", replay.status(503), None, FetchFailed),
    Planted("403", replay.status(403), None, KeyRefused),
    Planted("404", replay.status(404), None, SourceChanged),
    Planted("silence", replay.silence, None, FetchFailed),
    Planted("a reset in mid-body, then the answer", replay.reset, 1, None),
    Planted("a reset in mid-body for ever", replay.reset, None, FetchFailed),
    Planted("truncated JSON, then the answer", replay.truncated, 1, None),
    Planted("truncated JSON for ever", replay.truncated, None, FetchFailed),
    Planted("a wrong length for ever", replay.long_length, None, FetchFailed),
    Planted("gzip of the wrong length, then the answer", replay.broken_gzip, 1, None),
    Planted("gzip of the wrong length for ever", replay.broken_gzip, None, FetchFailed),
    Planted("html", replay.html, None, FetchFailed),
    Planted("a redirect to another host", replay.elsewhere("http://localhost:9"), None, SourceChanged),
    Planted("204", replay.other(nothing), None, IncompletePull),
]


def fetched(client: Client, folder: Path, edition: str | None = None, settings: Settings = QUICK) -> tuple[Plan, Proof]:
    """Plan, pull and prove as the store does."""
    with Http(per_second=client.per_second, key=client.key, hosts=client.hosts, settings=settings) as http:
        plan = client.plan(http, edition)
        client.pull(http, plan, folder)
    return plan, client.prove(plan, folder)
