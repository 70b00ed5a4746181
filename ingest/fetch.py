"""Fetching: plan, pull aside, prove, read, keep.

What belongs here: the way from a publisher to an immutable raw vintage, the same for every publisher.
What does not: HTTP manners (``net``), one publisher's editions and proofs (``clients``), the vintage's
form on disk (``vintages``).
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from ingest.attempts import attempt
from ingest.clients import clients
from ingest.clients.base import Client, Plan, Proof, write_text
from ingest.errors import BadInput, IncompletePull, NotOut, SourceChanged
from ingest.home import Home
from ingest.net.session import Http
from ingest.vintages import (
    Vintage,
    check_edition,
    copy_download,
    keep,
    kept_files,
    known_source,
    newest,
    only_writer,
)

PLAN = ".plan.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Fetched:
    """What became of one edition.

    Attributes:
        source: name of the source.
        edition: name of the edition.
        outcome: ``kept``, ``unchanged`` (the publisher has nothing new), ``not out`` (of the newest edition, where
            the publisher is late) or ``planned`` (dry run).
        vintage: the vintage, None where a dry run would make one.
        note: what the plan or the proof says, one line.
    """

    source: str
    edition: str
    outcome: str
    vintage: Vintage | None
    note: str

    def to_dict(self) -> dict[str, str | None]:
        """Plain values, with the vintage's folder."""
        folder = str(self.vintage.folder) if self.vintage else None
        return {
            "source": self.source, "edition": self.edition, "outcome": self.outcome, "note": self.note, "folder": folder
        }  # fmt: skip


def fetch(
    home: Home,
    source: str,
    *,
    years: Sequence[int] = (),
    months: Sequence[str] = (),
    dry_run: bool = False,
    any_size: bool = False,
    today: date | None = None,
    say: Say = lambda _: None,
) -> list[Fetched]:
    """Fetch editions of a source and keep what is new.

    A pull that was interrupted goes on where it stopped. A pull that does not add up is moved to
    ``raw/<source>/.rejected-<edition>`` for a look and is never used.

    Args:
        home: where raw vintages are.
        source: name of the source.
        years: editions by year; the newest when ``months`` is empty too.
        months: editions by month, ``YYYY-MM``, of monthly sources.
        dry_run: ask what there is and keep nothing.
        any_size: accept a vintage that is far larger or smaller than the last one.
        today: the day, by default this one (UTC).
        say: takes lines of progress.

    Returns:
        One entry per edition.

    Raises:
        BadInput: unknown source or edition, or another process fetches this source.
        FetchFailed: the publisher does not answer as it should; try again later.
        KeyRefused, SourceChanged, IncompletePull: trying again does not help; nothing was kept.
        NotOut: an edition that was asked for by name is not released yet.
    """
    known_source(source)
    client = clients().get(source)
    if client is None:
        if months:
            raise BadInput(f"{source} has no monthly editions.")
        return take_from_drop(home, source, years=years, dry_run=dry_run)
    cache = home.root / "http" / source
    with (
        only_writer(home.raw, source),
        Http(cache, per_second=client.per_second, key=client.key, hosts=client.hosts) as http,
    ):
        wanted = wanted_editions(home, client, years, months, today or datetime.now(UTC).date())
        out: list[Fetched] = []
        outcomes: list[str] = []
        with nullcontext() if dry_run else attempt(home.raw, source, outcomes):
            for edition in wanted:
                try:
                    out.append(_fetch_edition(home, client, http, edition, dry_run, any_size, say))
                except NotOut as error:
                    if years or months or edition is None:
                        raise
                    out.append(Fetched(source, edition, "not out", None, str(error)))
                outcomes.append(out[-1].outcome)
        return out


def wanted_editions(
    home: Home, client: Client, years: Sequence[int], months: Sequence[str], today: date
) -> Sequence[str | None]:
    """Editions to fetch; for a monthly source also the months since the last one kept, so that none is skipped."""
    editions = client.editions(years, months, today)
    if years or months or len(editions) != 1 or not _is_month(editions[0]):
        return editions or [None]
    kept = sorted(edition for name, edition in newest(home.raw) if name == client.source and _is_month(edition))
    return months_between(kept[0], editions[0], kept) if kept else editions


def _is_month(edition: str) -> bool:
    return len(edition) == 7 and edition[4] == "-" and edition.replace("-", "").isdigit()


def months_between(first: str, last: str, kept: Sequence[str] = ()) -> list[str]:
    """Return the months from ``first`` to ``last`` (``YYYY-MM``) that are not in ``kept``; ``last`` always."""
    year, month = int(first[:4]), int(first[5:])
    found = []
    while (name := f"{year:04}-{month:02}") <= last:
        if name not in kept or name == last:
            found.append(name)
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return found


def _fetch_edition(
    home: Home, client: Client, http: Http, edition: str | None, dry_run: bool, any_size: bool, say: Say
) -> Fetched:
    plan = client.plan(http, edition)
    check_edition(plan.edition)
    last = newest(home.raw).get((client.source, plan.edition))
    listed = sum(item.size or 0 for item in plan.items)
    note = f"{len(plan.items)} file(s) or request(s)" + (f", {listed:,} bytes as listed" if listed else "")
    if last is not None and lists_nothing_new(plan, last):
        return Fetched(client.source, plan.edition, "unchanged", last, "the publisher lists nothing new")
    if dry_run:
        return Fetched(client.source, plan.edition, "planned", last, note)
    say(f"{client.source} {plan.edition}: {note}")
    partial = _partial(home, client, plan)
    with room_given_back(partial):
        client.pull(http, plan, partial)
        proof = _accept(home, client, plan, partial, any_size)
    known = {
        "origin": "http",
        "urls": [item.url for item in plan.items],
        "partitions": dict(plan.partitions),
        "state": plan.state,
        "server_total": proof.server_total,
        "rows": proof.rows,
        "checks": list(proof.checks),
    }
    vintage = keep(home.raw, client.source, plan.edition, partial, known, client.fingerprint)
    if vintage is None:
        shutil.rmtree(partial)
        if last is not None and plan.state is not None:
            _note(last, plan.state)
        return Fetched(client.source, plan.edition, "unchanged", last, "the same content as kept before")
    return Fetched(client.source, plan.edition, "kept", vintage, f"{proof.rows:,} rows; {'; '.join(proof.checks)}")


@contextmanager
def room_given_back(partial: Path) -> Iterator[None]:
    """Remove what a pull brought when it filled the disk: the run needs room to say so, and to go on."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            shutil.rmtree(partial, ignore_errors=True)
        raise


def lists_nothing_new(plan: Plan, last: Vintage) -> bool:
    """Return whether the publisher lists what was kept last; False also where it says nothing of its content."""
    return plan.state is not None and plan.state in (last.sidecar.get("state"), _noted(last))


def _noted(vintage: Vintage) -> str | None:
    """Return the publisher's newest listing that turned out to mean the content of ``vintage``."""
    path = vintage.folder.with_name(f".state-{vintage.vintage}")
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _note(vintage: Vintage, state: str) -> None:
    """Remember a listing beside the vintage, which itself never changes."""
    write_text(vintage.folder.with_name(f".state-{vintage.vintage}"), state)


def _partial(home: Home, client: Client, plan: Plan) -> Path:
    """Return the folder of the pull: what an interrupted one left when it is of the same plan and young, else empty."""
    partial = home.raw / client.source / f".partial-{plan.edition}"
    note = partial / PLAN
    now = {"state": plan.state, "items": [[item.path, item.url, dict(item.params), item.size] for item in plan.items]}
    try:
        begun = json.loads(note.read_text())
        age = datetime.now(UTC) - datetime.fromisoformat(begun.pop("begun"))
        usable = begun == json.loads(json.dumps(now)) and age < timedelta(days=client.stale_after_days)
    except (OSError, ValueError, KeyError, TypeError):
        usable = False
    if not usable:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        note.write_text(json.dumps({**now, "begun": datetime.now(UTC).isoformat()}))
    return partial


def _accept(home: Home, client: Client, plan: Plan, partial: Path, any_size: bool) -> Proof:
    """Prove, weigh and read a pull; what fails is moved aside, so that the next pull begins anew."""
    if not any_size:
        _weigh(home, client, plan, partial)  # what is refused for its size stays, and can be accepted
    try:
        proof = client.prove(plan, partial)
        for _ in known_source(client.source).parts_of(partial, plan.edition):
            pass  # read as a run will read it, a part at a time
    except Exception as error:
        aside = partial.with_name(f".rejected-{plan.edition}")
        shutil.rmtree(aside, ignore_errors=True)
        partial.rename(aside)
        if isinstance(error, IncompletePull | SourceChanged):
            name, said = f"{client.source} {plan.edition}: ", str(error)
            raise type(error)(f"{name}{said.removeprefix(name)} What came is in {aside}.") from None
        raise
    return proof


def _weigh(home: Home, client: Client, plan: Plan, partial: Path) -> None:
    """Compare the size with that of the last vintage; an edition older than all kept has nothing to be compared with.

    Raises:
        IncompletePull: outside the client's band.
    """
    earlier = [item for item in newest(home.raw).values() if item.source == client.source]
    if not any(item.edition <= plan.edition for item in earlier):
        return
    last = max((item for item in earlier if item.edition <= plan.edition), key=lambda item: item.edition)
    size = sum(path.stat().st_size for path in kept_files(partial))
    low, high = client.size_band
    if not low * last.size <= size <= high * last.size:
        raise IncompletePull(
            f"{size:,} bytes, expected {low * last.size:,.0f} to {high * last.size:,.0f} ({low:g} to {high:g} times "
            f"{last.vintage}). If the publisher did change this much, give the same command with --any-size."
        )


def drop_folder(home: Home, source: str) -> Path:
    """Return where a user puts downloads of a publisher without an interface: ``drop/<source>/<edition>/``."""
    return home.root / "drop" / source


def take_from_drop(home: Home, source: str, *, years: Sequence[int] = (), dry_run: bool = False) -> list[Fetched]:
    """Keep what lies in the drop folder of a source, one sub-folder per edition; the files stay there.

    Raises:
        BadInput: nothing lies there.
        SourceChanged: the files cannot be read as that source; nothing is kept of that edition.
    """
    meta, folder = known_source(source), drop_folder(home, source)
    found = sorted(path for path in folder.glob("*") if path.is_dir() and not path.name.startswith("."))
    if years:
        found = [path for path in found if path.name in {str(year) for year in years}]
    if not found:
        raise BadInput(
            f"{meta.title} ({meta.publisher}) has no stable interface. Download it from {meta.homepage} and put the "
            f"files, unpacked, into {folder / 'EDITION'} (e.g. {folder / '2026'}), then run this again."
        )
    out: list[Fetched] = []
    with only_writer(home.raw, source):
        for path in found:
            edition = check_edition(path.name)
            out.append(_take(home, source, edition, path, dry_run))
    return out


def _take(home: Home, source: str, edition: str, path: Path, dry_run: bool) -> Fetched:
    last = newest(home.raw).get((source, edition))
    if dry_run:
        return Fetched(source, edition, "planned", last, f"{len(kept_files(path))} file(s) in {path}")
    partial = home.raw / source / f".partial-{edition}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        copy_download(path, partial)
        tables = known_source(source).parts_of(partial, edition)
        rows = sum(frame.height for part in tables for frame in part.values())
        known: dict[str, Any] = {"origin": "file drop", "rows": rows}
        vintage = keep(home.raw, source, edition, partial, known)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    if vintage is None:
        return Fetched(source, edition, "unchanged", last, "the same content as kept before")
    return Fetched(source, edition, "kept", vintage, f"{known['rows']:,} rows read")
