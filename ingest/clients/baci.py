"""CEPII BACI over HTTP: one edition is one release, a single zip of every year of one HS edition.

What belongs here: finding releases and bringing the zip. What does not: resuming a download
(``ingest/net/download.py``), what a complete release is (``ingest/sources/baci_release.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from html import unescape
from pathlib import Path
from urllib.parse import SplitResult, urljoin, urlsplit

from ingest.clients.base import Client, Item, Plan, Proof
from ingest.errors import BadInput, IncompletePull, SourceChanged
from ingest.net.archive import members
from ingest.net.download import download
from ingest.net.session import Broken, Http
from ingest.sources.baci_release import prove_release

# The edition that the mapped codes are kept in.
HS = "17"
# The catalogue's entry, and the page it leads to, which also lists earlier releases.
PAGES = ("/CEPII/en/bdd_modele/bdd_modele_item.asp?id=37", "/DATA_DOWNLOAD/baci/doc/baci_webpage.html")
_HREF = re.compile(r"""href\s*=\s*["']?([^"'\s>]*BACI_HS(\d\d)_(V\d{6}[a-z]?)\.zip)""", re.IGNORECASE)


class Baci(Client):
    """One release: complete when the zip is of the listed size, safe to unpack, and proven row by row."""

    source = "baci"
    base_url = "https://www.cepii.fr"
    hosts = frozenset({"cepii.fr", "www.cepii.fr"})

    def editions(self, years: Sequence[int], months: Sequence[str], today: date) -> list[str]:
        """Return the years asked for; which release one is, only the publisher knows.

        Raises:
            BadInput: a month.
        """
        if months:
            raise BadInput(f"{self.source} has one release a year and no monthly editions.")
        return [str(year) for year in sorted(set(years))]

    def plan(self, http: Http, edition: str | None) -> Plan:
        """Find a release and ask for its size and date.

        Args:
            http: session with the publisher.
            edition: the name of a release (``V202601``), a year for the newest release of it, or None
                for the newest of all.

        Raises:
            BadInput: no such release.
            SourceChanged: no page lists a release.
            FetchFailed: no answer.
        """
        listed = self._releases(http)
        wanted = "" if edition is None else edition.removeprefix("V")
        fitting = sorted(name for name in listed if name.removeprefix("V").startswith(wanted))
        if not fitting:
            raise BadInput(f"baci has no release {edition}; CEPII lists {', '.join(sorted(listed))}.")
        release = fitting[-1]
        headers = http.head(listed[release])
        length = headers.get("content-length", "")
        size = int(length) if re.fullmatch(r"[0-9]{1,15}", length) else None
        known = {"size": size, "etag": headers.get("etag"), "modified": headers.get("last-modified")}
        return Plan(
            edition=release,
            items=(Item(f"BACI_HS{HS}_{release}.zip", listed[release], size=size),),
            partitions={"hs_edition": f"HS20{HS}", "release": release},
            state=json.dumps(known) if size and (known["etag"] or known["modified"]) else None,
        )

    def pull(self, http: Http, plan: Plan, folder: Path) -> None:
        """Bring the zip; what an interrupted download left is continued while CEPII holds the same file.

        Raises:
            FetchFailed, SourceChanged, IncompletePull: as ``download``.
        """
        for item in plan.items:
            download(http, item.url, folder / item.path, size=item.size)

    def prove(self, plan: Plan, folder: Path) -> Proof:
        """Prove size, archive and every row.

        Raises:
            IncompletePull: another size than listed, or no zip.
            SourceChanged: an archive that is not safe, or not a release as ``prove_release`` knows it.
        """
        (item,) = plan.items
        path = folder / item.path
        found = path.stat().st_size if path.exists() else None
        if found is None or (item.size is not None and found != item.size):
            raise IncompletePull(f"{path}: {found} bytes, CEPII lists {item.size}. Fetch it again.")
        count = len(members(path))
        proof = prove_release(folder, plan.edition)
        rows, years = int(proof["rows"]), proof["years"]
        size = f"{found:,} bytes" + (" as listed" if item.size is not None else ", none listed")
        summary = f"{len(years)} years {years[0]}-{years[-1]}, {rows:,} rows"
        return Proof(rows, None, (f"{size}, {count} members", summary, *proof["checks"]))

    def _releases(self, http: Http) -> dict[str, str]:
        """Return release to address, from the first page that lists any."""
        for page in PAGES:
            text = _page(http, f"{self.url}{page}")
            found = {
                release.replace("v", "V", 1): f"{self.url}{place.path}"
                for href, hs, release in _HREF.findall(text)
                # The page names the publisher's own host; a mirror has the same paths.
                if hs == HS and (place := _place(f"{self.base_url}{page}", unescape(href))).hostname in self.hosts
            }
            if found:
                return found
        raise SourceChanged(f"{self.url}: no link to a BACI_HS{HS}_Vyyyymm.zip on {' or '.join(PAGES)}.")


def _place(page: str, href: str) -> SplitResult:
    """Return where a link of a page leads, nowhere where it is none."""
    try:
        return urlsplit(urljoin(page, href))
    except ValueError:
        return urlsplit("")


def _page(http: Http, url: str) -> str:
    """Read a page; its links are ASCII, whatever the rest is."""

    def attempt() -> str:
        with http.open(url, None, {"Cache-Control": "no-store"}) as response:
            text = b"".join(http.body(response)).decode("latin-1")
        if "</html" not in text.lower():
            raise Broken(f"the page breaks off (begins {text[:60]!r})")
        return text

    return http.again(url, attempt)


CLIENT = Baci()
