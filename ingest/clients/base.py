"""What every publisher's client declares: where it is, what one edition is, and when it is complete.

What belongs here: the ``Client`` and what passes between it and the store (``ingest.fetch``). What
does not: HTTP manners (``ingest.net``), keeping vintages (``ingest.fetch``), reading them (``ingest.sources``).
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

from ingest.net.keys import Key
from ingest.net.session import Http
from ingest.vintages import content_hash


@dataclass(frozen=True)
class Item:
    """One file or request of an edition.

    Attributes:
        path: where it is kept, relative to the vintage's folder.
        url: address, without key.
        params: query parameters, without key.
        size: bytes as the publisher lists them; None where it lists none.
    """

    path: str
    url: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    size: int | None = None


@dataclass(frozen=True)
class Plan:
    """What will be asked for one edition.

    Attributes:
        edition: name of the edition, e.g. ``2026``, ``V202601``, ``2025-01``; a folder name.
        items: files and requests known beforehand (a client may have to split requests later).
        partitions: what the edition covers, for the sidecar, e.g. ``{"year": 2024, "codes": [...]}``.
        state: what the publisher says identifies the content (sizes, dates, ETags), None where it says
            nothing; equal to the kept vintage's means that there is nothing new.
    """

    edition: str
    items: tuple[Item, ...]
    partitions: Mapping[str, Any] = field(default_factory=dict)
    state: str | None = None


@dataclass(frozen=True)
class Proof:
    """Why a pull is complete.

    Attributes:
        rows: rows kept (0 for files that are only counted in bytes).
        server_total: rows (or files) as the publisher counts them, None where it does not.
        checks: one line per check that held, with its figures.
    """

    rows: int
    server_total: int | None
    checks: tuple[str, ...]


class Client(ABC):
    """One publisher over HTTP.

    Attributes:
        source: name of the source whose reader reads the vintages.
        base_url: where the publisher is; ``ORETRACE_URL_<SOURCE>`` in the environment replaces it (a mirror).
        hosts: other hosts that its redirects may lead to.
        per_second: requests a second it allows (or its terms do).
        key: its key, None where it wants none.
        size_band: bytes of a new vintage as a multiple of the last one's; outside is refused.
        stale_after_days: a partial pull older than this is begun anew, because the publisher may have moved on.
    """

    source: ClassVar[str]
    base_url: ClassVar[str]
    hosts: ClassVar[frozenset[str]] = frozenset()
    per_second: ClassVar[float] = 1.0
    key: ClassVar[Key | None] = None
    size_band: ClassVar[tuple[float, float]] = (0.5, 2.0)
    stale_after_days: ClassVar[float] = 2.0

    @property
    def url(self) -> str:
        """Base address in use, without a slash at the end."""
        return os.environ.get(f"ORETRACE_URL_{self.source.upper()}", self.base_url).rstrip("/")

    @abstractmethod
    def editions(self, years: Sequence[int], months: Sequence[str], today: date) -> list[str]:
        """Return the editions meant by ``--year`` and ``--month``, or the newest due when both are empty.

        An empty list means: ask the publisher which is the newest (``plan`` with edition None).

        Raises:
            BadInput: the publisher has no such edition.
        """

    @abstractmethod
    def plan(self, http: Http, edition: str | None) -> Plan:
        """Ask the publisher what the edition (None: the newest) consists of; nothing is kept.

        Raises:
            BadInput: there is no such edition.
            FetchFailed, KeyRefused, SourceChanged: as ``Http.json``.
        """

    @abstractmethod
    def pull(self, http: Http, plan: Plan, folder: Path) -> None:
        """Bring what the plan names into ``folder``.

        Each file appears whole or not at all, and a file that is there already is kept: so a pull
        that was interrupted goes on where it stopped.

        Raises:
            FetchFailed, KeyRefused, SourceChanged: as ``Http.json``.
            IncompletePull: an answer is truncated and cannot be split further.
        """

    @abstractmethod
    def prove(self, plan: Plan, folder: Path) -> Proof:
        """Prove that what was pulled is the whole edition.

        Raises:
            IncompletePull: something is missing, doubled, or does not add up; with expected and found.
            SourceChanged: a new column, file or token, by name.
        """

    def fingerprint(self, folder: Path) -> str:
        """Return a hash of the content; equal hashes make no second vintage.

        All bytes by default. A client whose publisher writes the time of day into its answers hashes
        what is left without it.
        """
        return content_hash(folder)


def write_text(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
