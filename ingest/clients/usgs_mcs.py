"""USGS Mineral Commodity Summaries through ScienceBase: the newest release, all its files.

What belongs here: finding the release of an edition, its files, and unpacking its archives. What does
not: what the tables hold (``ingest.sources.usgs_mcs*``), and what makes an archive unsafe (``ingest.net.archive``).

An edition is a year. It is complete when every file that the release lists is there with the size it
lists, and every archive among them is unpacked beside it, whole. An erratum changes sizes, dates or the
version in the title, and so makes a new revision.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from ingest.clients.base import Client, Item, Plan, Proof
from ingest.errors import BadInput, IncompletePull, SourceChanged
from ingest.net.archive import extract, members
from ingest.net.download import download
from ingest.net.session import Answer, Http
from ingest.vintages import SIDECAR, kept_files, sha256_of

_TITLE = re.compile(r"\bMineral Commodity Summaries (20\d\d) Data Release(?: \(ver\. ([^)]+)\))?$")
# Half of a pair of surrogates is no character, and no file can be named with it.
_PLAIN_NAME = re.compile(r"[^/\\:\x00-\x1f\x7f\ud800-\udfff]+")
_ITEM = re.compile(r"[0-9A-Za-z-]{1,64}")
# File systems hold names of 255 bytes, and a part of a download has some more.
_LONGEST_NAME = 200
_LARGEST_FILE = 1 << 40


class MineralCommoditySummaries(Client):
    """One data release a year.

    Attributes:
        parent: ScienceBase's item of the National Minerals Information Center; its children are the
            releases. Not in the recorded replies: known from public code that lists it.
        per_listing: children asked for at once.
    """

    source: ClassVar[str] = "usgs_mcs"
    base_url: ClassVar[str] = "https://www.sciencebase.gov"
    # Where ScienceBase sends file downloads to, as seen in public links; not confirmed for these releases.
    hosts: ClassVar[frozenset[str]] = frozenset(
        {"prod-is-usgs-sb-prod-publish.s3.amazonaws.com", "prod-is-usgs-sb-prod-content.s3.amazonaws.com"}
    )
    parent: ClassVar[str] = "5c8c03e4e4b0938824529f7d"
    per_listing: ClassVar[int] = 100
    # Editions come as a few archives or as one table, with or without chapters as PDF.
    size_band: ClassVar[tuple[float, float]] = (0.2, 5.0)

    def editions(self, years: Sequence[int], months: Sequence[str], today: date) -> list[str]:
        """Return the years asked for; nothing means the newest.

        Raises:
            BadInput: a month was asked for.
        """
        if months:
            raise BadInput("usgs_mcs has one edition a year, none by month; use --year.")
        return [str(year) for year in years]

    def plan(self, http: Http, edition: str | None) -> Plan:
        """Find the release of the edition and list its files."""
        releases = self._releases(http)
        if edition is not None and edition not in releases:
            raise BadInput(f"usgs_mcs: ScienceBase lists no edition {edition}; it lists {', '.join(sorted(releases))}.")
        year = edition or max(releases)
        number, version = releases[year]
        address = f"{self.url}/catalog/item/{number}"
        answer = _asked(http, address, {"format": "json"})
        listed = answer.content.get("files") if isinstance(answer.content, dict) else None
        if not isinstance(listed, list) or not listed:
            raise SourceChanged(f"{answer.url}: the release of {year} lists no files.")
        items = tuple(self._item(entry, answer.url) for entry in _objects(listed, answer.url))
        _one_path_each(items, answer.url)
        dates = {str(entry["name"]): entry.get("dateUploaded") for entry in listed}
        what = {"item": number, "version": version, "files": sorted([it.path, it.size, dates[it.path]] for it in items)}
        return Plan(year, items, {"year": int(year), "item": number, "version": version}, json.dumps(what))

    def pull(self, http: Http, plan: Plan, folder: Path) -> None:
        """Bring every file and unpack archives beside themselves; the archives stay as received."""
        for item in plan.items:
            download(http, item.url, folder / item.path, size=item.size)
        for archive, target in _archives(plan, folder):
            for broken in folder.glob(f".{target.name}-*"):  # left by an unpacking that was killed
                shutil.rmtree(broken)
            if not target.exists():
                extract(archive, target)
            _leave_out_copies(plan, folder, target)

    def prove(self, plan: Plan, folder: Path) -> Proof:
        """Hold every file to its listed size, and every archive to what is unpacked of it."""
        for item in plan.items:
            path = folder / item.path
            found = path.stat().st_size if path.is_file() else None
            if found != item.size:
                raise IncompletePull(f"{item.path}: ScienceBase lists {item.size:,} bytes, found {found or 'no file'}.")
        alone = {item.path: item.size for item in plan.items}
        unpacked = [found for archive, target in _archives(plan, folder) for found in _proven(archive, target, alone)]
        known = {folder / item.path for item in plan.items} | set(unpacked)
        strays = [path for path in kept_files(folder) if path not in known]
        if strays:
            raise IncompletePull(f"files that the release does not list: {', '.join(map(str, strays[:5]))}.")
        _no_table_twice(sorted(known))
        size = sum(item.size or 0 for item in plan.items)
        checks = (
            f"{len(plan.items)} files with the {size:,} bytes listed",
            f"{len(unpacked)} files unpacked of archives",
        )
        return Proof(0, len(plan.items), checks)

    def _releases(self, http: Http) -> dict[str, tuple[str, str | None]]:
        """Return year to (item number, version) of every release, from all pages of the listing."""
        found: dict[str, str] = {}
        total = 1
        while len(found) < total:
            query: dict[str, str | int] = {
                "parentId": self.parent,
                "format": "json",
                "fields": "title",
                "max": self.per_listing,
            }
            answer = _asked(http, f"{self.url}/catalog/items", query | {"offset": len(found)})
            match answer.content:
                case {"total": int(total), "items": list(children)}:
                    new = dict(_titled(child, answer.url) for child in _objects(children, answer.url))
                case _:
                    raise SourceChanged(
                        f"{answer.url}: expected total and items of a listing, found {answer.text[:80]!r}."
                    )
            if not new or found.keys() & new.keys() or len(new) != len(children):
                raise IncompletePull(
                    f"{answer.url}: the listing counts {total} items, but after {len(found)} of them a page "
                    f"{'repeats items' if new else 'is empty'}."
                )
            found |= new
        if len(found) != total:
            raise IncompletePull(f"{answer.url}: the listing counts {total} items, its pages hold {len(found)}.")
        releases: dict[str, tuple[str, str | None]] = {}
        for number, title in found.items():
            if match := _TITLE.search(title):
                if match[1] in releases:
                    raise SourceChanged(
                        f"{answer.url}: two releases of {match[1]}, items {releases[match[1]][0]}, {number}."
                    )
                releases[match[1]] = number, match[2]
        if not releases:
            raise SourceChanged(
                f"{answer.url}: none of {len(found)} items is titled 'Mineral Commodity Summaries 20..'."
            )
        return releases

    def _item(self, entry: dict[str, Any], where: str) -> Item:
        """Return a listed file; its address is kept to this publisher.

        Raises:
            SourceChanged: no plain name, no size, or an address elsewhere.
        """
        name, size = entry.get("name"), entry.get("size")
        if not isinstance(name, str) or not _is_plain(name):
            raise SourceChanged(f"{where}: a file is named {name!r:.300}, which is no plain file name.")
        if name.casefold() == SIDECAR:
            raise SourceChanged(f"{where}: a file is named {name!r}, which is the name of our own note on a vintage.")
        if isinstance(size, bool) or not isinstance(size, int) or not 0 < size <= _LARGEST_FILE:
            raise SourceChanged(f"{where}: {name} is listed with size {size!r:.40}.")
        link = str(entry.get("downloadUri") or entry.get("url") or "")
        try:
            address = urlsplit(link)
        except ValueError:
            raise SourceChanged(f"{where}: {name} lies at {link!r:.200}, which is no address.") from None
        if address.hostname not in {urlsplit(self.base_url).hostname, urlsplit(self.url).hostname} or not address.path:
            raise SourceChanged(f"{where}: {name} lies at another publisher, {address.hostname!r}; not fetched.")
        query = f"?{address.query}" if address.query else ""
        return Item(name, f"{self.url}{address.path}{query}", size=size)


def _asked(http: Http, url: str, params: Mapping[str, str | int]) -> Answer:
    """Ask for JSON that may not be empty."""
    answer = http.json(url, params)
    if answer.content is None:
        raise IncompletePull(f"{answer.url}: an empty answer (status {answer.status}), expected a listing.")
    return answer


def _objects(entries: list[Any], where: str) -> list[dict[str, Any]]:
    """Return the entries of a listing, which are objects each."""
    for entry in entries:
        if not isinstance(entry, dict):
            raise SourceChanged(f"{where}: a listing holds {entry!r:.80}, expected an object.")
    return entries


def _titled(child: Mapping[str, Any], where: str) -> tuple[str, str]:
    """Return number and title of an item."""
    match child:
        case {"id": str(number)} if _ITEM.fullmatch(number):
            return number, str(child.get("title")).encode(errors="replace").decode()
    raise SourceChanged(f"{where}: expected items with an id, found {child!r:.120}.")


def _is_plain(name: str) -> bool:
    plain = _PLAIN_NAME.fullmatch(name) and name[0] != "." and not name.endswith(".part")
    return bool(plain) and len(name.encode()) <= _LONGEST_NAME


def _archives(plan: Plan, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each archive of the plan and the folder it is unpacked to."""
    for item in plan.items:
        if item.path.lower().endswith(".zip"):
            yield folder / item.path, folder / item.path[:-4].rstrip(". ")


def _leave_out_copies(plan: Plan, folder: Path, target: Path) -> None:
    """Remove what was unpacked of an archive but is listed on its own too: its rows would count twice."""
    for item in plan.items:
        for path in [found for found in target.rglob("*") if found.name == item.path]:
            if path.stat().st_size == item.size and sha256_of(path) == sha256_of(folder / item.path):
                path.unlink()


def _proven(archive: Path, target: Path, alone: Mapping[str, int | None]) -> list[Path]:
    """Return the unpacked files of an archive; what they hold was checked as they were unpacked."""
    inside = {target / member.name: member.size for member in members(archive)}
    there = {path: path.stat().st_size for path in target.rglob("*") if path.is_file()}
    due = {path: size for path, size in inside.items() if path in there or alone.get(path.name) != size}
    if due != there:
        different = sorted(str(path) for path in due.keys() | there.keys() if due.get(path) != there.get(path))
        raise IncompletePull(f"{archive.name} is not unpacked as it is: {', '.join(different[:5])}.")
    return list(due)


def _one_path_each(items: Sequence[Item], where: str) -> None:
    """Refuse names that are one file, or a file and the folder of an archive, on some system."""
    seen: set[str] = set()
    for name in [item.path for item in items] + [
        target.name for _, target in _archives(Plan("", tuple(items)), Path())
    ]:
        if not name or name.casefold() in seen:
            raise SourceChanged(
                f"{where}: the file name {name!r} is listed twice, or is that of an unpacked archive too."
            )
        seen.add(name.casefold())


def _no_table_twice(paths: Sequence[Path]) -> None:
    """Refuse two tables of one name: both would be read.

    Raises:
        SourceChanged: with both places.
    """
    seen: dict[str, Path] = {}
    for path in paths:
        if path.suffix.lower() == ".csv" and (other := seen.setdefault(path.name.casefold(), path)) != path:
            raise SourceChanged(f"two tables of one name, with different content or both in archives: {other}, {path}.")


CLIENT = MineralCommoditySummaries()
