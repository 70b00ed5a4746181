"""Files: resumable, whole or absent.

What belongs here: one file from an address to a path. What does not: what the file holds.
"""

from __future__ import annotations

import re
from pathlib import Path

import requests

from ingest.errors import IncompletePull
from ingest.net.session import Broken, Http, promised_length


def download(http: Http, url: str, target: Path, *, size: int | None = None) -> None:
    """Bring a file to ``target``; what an earlier attempt left in ``<target>.part`` is continued.

    A part is continued only while the publisher still holds the same bytes (``If-Range`` with the
    validator it gave); otherwise the file is brought anew.

    Args:
        http: session with the publisher.
        url: without key.
        target: path of the file; its folder is made. A file that is there already is whole and stays.
        size: bytes, as the publisher lists them.

    Raises:
        FetchFailed, KeyRefused, SourceChanged: as ``Http.json``.
        IncompletePull: the file is whole by its headers but not of the listed size.
    """
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part, tag = target.with_name(target.name + ".part"), target.with_name(target.name + ".part.tag")
    http.again(url, lambda: _attempt(http, url, part, tag))
    found = part.stat().st_size
    tag.unlink(missing_ok=True)
    if size is not None and found != size:
        part.unlink()
        raise IncompletePull(f"{url}: {found:,} bytes, but the publisher lists {size:,}. No vintage was made.")
    part.rename(target)


def _attempt(http: Http, url: str, part: Path, tag: Path) -> None:
    have = part.stat().st_size if part.exists() and tag.exists() else 0
    # Without compression, so that ranges and lengths count the file's own bytes.
    headers = {"Cache-Control": "no-store", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag.read_text()}
    with http.open(url, None, headers) as response:
        if response.status_code == 416:
            part.unlink(missing_ok=True)
            tag.unlink(missing_ok=True)
            raise Broken("the part of the file that was there cannot be continued")
        start, whole = _span(response, have, tag)
        _note_validator(response, tag)
        expected = promised_length(response)
        with part.open("r+b" if start else "wb") as out:
            out.seek(start)
            out.truncate()
            for chunk in http.body(response):
                out.write(chunk)
            end = out.tell()
    if expected and end - start != expected:
        raise Broken(f"{end - start:,} bytes came of {expected:,}")
    if whole is not None and end != whole:
        raise Broken(f"{end:,} bytes came of {whole:,}")


def _span(response: requests.Response, have: int, tag: Path) -> tuple[int, int | None]:
    """Return the byte the answer begins with and the size of the whole file where the answer says it.

    Raises:
        Broken: the answer begins elsewhere, or is of another state of the file; what there was is given up.
    """
    if response.status_code != 206:
        return 0, None
    given = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if given is None or int(given[1]) != have:
        tag.unlink(missing_ok=True)
        raise Broken(f"asked for byte {have:,} on, the answer says {response.headers.get('Content-Range')!r}")
    if (now := _validator(response)) and now != tag.read_text():
        tag.unlink(missing_ok=True)
        raise Broken("the file changed while it was brought")
    return have, None if given[3] == "*" else int(given[3])


def _validator(response: requests.Response) -> str:
    """Return what tells this state of the file; a weak ETag does not vouch for bytes."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _note_validator(response: requests.Response, tag: Path) -> None:
    """Keep the validator beside the part, so that the next attempt can ask for the rest of these bytes."""
    if validator := _validator(response):
        tag.write_text(validator)
    else:
        tag.unlink(missing_ok=True)
