"""What was told, what waits to be told, and what trouble goes on: files below ``ORETRACE_HOME/alerts``.

``outbox/`` holds alerts that some way out still has to take, ``sent/`` those that all have taken,
``state.json`` the runs that were dealt with and the troubles that go on. What does not belong here:
what is worth telling (``desk``).

Nothing here raises because of a disk: what cannot be written is kept in the process and still sent.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.home import Home
from orchestration.alerting.backends import Backend, NotSent, backends
from orchestration.alerting.message import Alert, now

KEPT = 500  # alerts in sent/
ATTEMPTS, PAUSE = 2, 1.0
PATIENCE = 60.0  # for another process that sends
LONGEST_PAUSE = 3600.0

# What a full or read-only disk did not take, by folder: state, and alerts with their deliveries.
_STATE: dict[Path, dict[str, Any]] = {}
_MESSAGES: dict[Path, dict[str, Message]] = {}


@dataclass
class Message:
    """An alert and how far it got by each way out.

    Attributes:
        alert: what is told.
        deliveries: way out to ``{"state": waiting | sent | dropped, "tries", "said", "at"}``.
    """

    alert: Alert
    deliveries: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def waiting(self) -> list[str]:
        """Ways out that still have to take it."""
        return [name for name, item in self.deliveries.items() if item["state"] == "waiting"]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"alert": self.alert.to_dict(), "deliveries": self.deliveries}


class Outbox:
    """The alerts of a home."""

    def __init__(self, home: Home, ways: list[Backend] | None = None) -> None:
        """Take the ways out from the environment, or those given."""
        self.home = home
        self.folder = home.root / "alerts"
        self.ways = backends(home) if ways is None else ways

    @contextmanager
    def state(self) -> Iterator[dict[str, Any]]:
        """Give the state for changes, alone among processes, and keep what the caller made of it.

        ``runs`` maps the runs that were dealt with to what was made of them; ``troubles`` maps a subject to what
        goes on. Nothing is kept when the caller raises.
        """
        with self._alone("state"):
            state = self._read_state()
            before = json.dumps(state)
            yield state
            state["runs"] = dict(list(state["runs"].items())[-2 * KEPT :])
            if json.dumps(state) == before:
                return
            try:
                _write(self.folder / "state.json", state)
                _STATE.pop(self.folder, None)
            except OSError:
                _STATE[self.folder] = state

    def _read_state(self) -> dict[str, Any]:
        if self.folder in _STATE:
            return _STATE[self.folder]
        try:
            state: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        except (OSError, ValueError):
            state = {}
        return {"new": not state, "runs": {}, "troubles": {}, **state}

    def put(self, alert: Alert) -> None:
        """Keep an alert for every way out; one that was put before is left as it is."""
        if not self._has(alert):
            waiting = {way.name: {"state": "waiting", "tries": 0, "said": "", "at": ""} for way in self.ways}
            self._keep(Message(alert, waiting))

    def _has(self, alert: Alert) -> bool:
        """Whether the alert is there; of a run also where it was put before the process died that dealt with it."""
        if alert.run_id:
            same = f"*-{alert.id.partition('-')[2]}.json"
            if any(any((self.folder / folder).glob(same)) for folder in ("outbox", "sent")):
                return True
        return self.find(alert.id) is not None

    def find(self, name: str) -> Message | None:
        """Return the alert with this id."""
        if known := _MESSAGES.get(self.folder, {}).get(name):
            return known
        paths = (self.folder / folder / f"{name}.json" for folder in ("sent", "outbox"))
        return next(filter(None, map(_read, paths)), None)

    def messages(self) -> list[Message]:
        """Return every alert that is known, newest first."""
        return self._all("sent", "outbox")

    def _all(self, *folders: str) -> list[Message]:
        paths = (path for folder in folders for path in (self.folder / folder).glob("*.json"))
        found = {message.alert.id: message for message in filter(None, map(_read, paths))}
        found |= _MESSAGES.get(self.folder, {})
        return [found[name] for name in sorted(found, reverse=True)]

    def deliver(self) -> list[Message]:
        """Send what waits, every way out by itself; return the alerts that still wait for one.

        Raises:
            nothing: a way out that does not work keeps its alerts waiting, for the next call.
        """
        with self._alone("delivery"):
            waiting = [message for message in reversed(self._all("outbox")) if message.waiting]
            if waiting:
                known = {way.name for way in self.ways}
                for message in waiting:
                    for name in set(message.waiting) - known:
                        message.deliveries[name] |= {"state": "dropped", "said": "no longer configured", "at": now()}
                saving = threading.Lock()
                with ThreadPoolExecutor(len(self.ways) or 1) as pool:
                    list(pool.map(lambda way: self._deliver_by(way, waiting, saving), self.ways))
                for message in waiting:
                    self._keep(message)
                self._prune()
        return [message for message in waiting if message.waiting]

    def _deliver_by(self, way: Backend, waiting: list[Message], saving: threading.Lock) -> None:
        for message in waiting:
            delivery = message.deliveries.get(way.name)
            if delivery is None or delivery["state"] != "waiting" or not _due(delivery):
                continue
            sent, said = _try(way, message.alert)
            with saving:
                changed = {"state": "sent" if sent else "waiting", "said": said, "at": now()}
                delivery.update(changed, tries=delivery["tries"] + 1)
                self._keep(message)
            if not sent:
                return  # the others would wait just as long for nothing

    def _keep(self, message: Message) -> None:
        """Write an alert where it belongs; on a disk that takes nothing keep it in the process."""
        name = f"{message.alert.id}.json"
        here, there = ("outbox", "sent") if message.waiting else ("sent", "outbox")
        try:
            _write(self.folder / here / name, message.to_dict())
            (self.folder / there / name).unlink(missing_ok=True)
            _MESSAGES.get(self.folder, {}).pop(message.alert.id, None)
        except OSError:
            _MESSAGES.setdefault(self.folder, {})[message.alert.id] = message

    def _prune(self) -> None:
        for path in sorted((self.folder / "sent").glob("*.json"))[:-KEPT]:
            with suppress(OSError):
                path.unlink()

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        """Hold a lock among processes and threads; without a disk to lock on, among threads."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / f".{what}.lock").open("w")
        except OSError:
            yield
            return
        with lock:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    # Telling twice is better than not telling.
                    if time.monotonic() >= until:
                        break
                    time.sleep(0.05)
            yield


def _due(delivery: dict[str, Any]) -> bool:
    """Tell whether to try again: at once at first, then with pauses that double up to an hour."""
    if not delivery["at"] or delivery["tries"] < 3:
        return True
    waited = (datetime.now(UTC) - datetime.fromisoformat(delivery["at"])).total_seconds()
    # A clock that was moved back makes it negative.
    return not 0 <= waited < min(60.0 * 2 ** (delivery["tries"] - 3), LONGEST_PAUSE)


def _try(way: Backend, alert: Alert) -> tuple[bool, str]:
    said = ""
    for attempt in range(ATTEMPTS):
        try:
            return True, way.send(alert)
        except NotSent as error:
            said = str(error)
            if not error.passing:
                break
        except Exception as error:  # a way out must never break the run or the other ways
            said = f"an unexpected {type(error).__name__}"
            break
        if attempt + 1 < ATTEMPTS:
            time.sleep(PAUSE)
    return False, said


def _read(path: Path) -> Message | None:
    """Read an alert; None where it is being moved just now, or is no alert."""
    try:
        content = json.loads(path.read_text())
        return Message(Alert.from_dict(content["alert"]), content["deliveries"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, content: Any) -> None:
    """Write JSON that is there whole or not at all, and survives a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with partial.open("w") as file:
            json.dump(content, file, indent=1, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
