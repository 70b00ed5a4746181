"""One polite HTTP session: time-outs, retries, rate limits, conditional requests, keys that stay secret.

What belongs here: asking a publisher for a small answer and telling what went wrong. What does not:
files (``download.py``), and anything about one publisher (``ingest/clients``).
"""

from __future__ import annotations

import json
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import requests
from cachecontrol.caches import FileCache
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from urllib3.exceptions import HTTPError

from ingest.errors import BadInput, FetchFailed, KeyRefused, OretraceError, SourceChanged
from ingest.net.keys import Key, guard_logs, redact
from ingest.net.settings import LONGEST, Settings
from ingest.net.transport import RETRIED, HostBoundSession, PoliteAdapter, retries

__all__ = ["Answer", "Broken", "Http", "Settings"]

T = TypeVar("T")
CHUNK = 1 << 16
# No answer that is read into memory is larger; the largest known is about 100 MB.
LARGEST_ANSWER = 512 << 20
# Bytes a second below which a long file is given up (and continued by the next attempt).
SLOWEST = 100_000
# A shorter word may stand in an answer by chance.
SHORTEST_KEY = 12


class Broken(Exception):
    """An answer broke off or cannot be read; asking again may mend it."""


@dataclass(frozen=True)
class Answer:
    """A publisher's answer.

    Attributes:
        url: what was asked, without any key.
        status: HTTP status; 204 comes with empty text and content None.
        text: the body, decoded.
        content: the body as parsed JSON.
    """

    url: str
    status: int
    text: str
    content: Any


class Http:
    """A session with one publisher.

    Args:
        cache: folder for answers that carry a validator (ETag); None keeps none.
        per_second: requests a second to any one host.
        key: the publisher's key, sent when the environment holds it.
        hosts: other hosts that the publisher's redirects may lead to.
        settings: how patient it is.
    """

    def __init__(
        self,
        cache: Path | None = None,
        *,
        per_second: float = 1.0,
        key: Key | None = None,
        hosts: frozenset[str] = frozenset(),
        settings: Settings | None = None,
    ) -> None:
        """Open the session; no request is made yet."""
        guard_logs()
        self.settings = settings or Settings.from_environment()
        self.key = key
        header = frozenset({key.header.lower()}) if key and key.header else frozenset()
        self._session = HostBoundSession(hosts, header)
        # A cached answer keeps the request's headers, so nothing that goes with a key is cached.
        if key is not None and key.value():
            cache = None
        self._adapter = PoliteAdapter(
            per_second=self.settings.per_second or per_second, cache=FileCache(str(cache)) if cache else None
        )
        # The rate limiter's constructor drops this argument.
        self._adapter.max_retries = retries(self.settings)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)
        contact = os.environ.get("ORETRACE_CONTACT", "")
        if not re.fullmatch(r"[ -~]*", contact):
            raise BadInput("ORETRACE_CONTACT must be plain ASCII, e.g. data@example.org.")
        self._session.headers["User-Agent"] = f"oretrace/{version('oretrace')}" + (f" ({contact})" if contact else "")

    def __enter__(self) -> Self:
        """Use as a context manager: the session is closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection."""
        self._session.close()

    def json(self, url: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """Ask for JSON.

        Args:
            url: without key.
            params: query parameters, without key.

        Returns:
            The answer; status 204 has content None.

        Raises:
            FetchFailed: no usable answer after every retry: the publisher is down, slow, or its answer broken.
            KeyRefused: status 401 or 403.
            SourceChanged: any other status, or a redirect to an unknown host.
        """

        def ask() -> Answer:
            with self.open(url, params, {"Cache-Control": "max-age=0"}) as response:
                plain = self._plain(response.url)
                if response.status_code == 204:
                    return Answer(plain, 204, "", None)
                try:
                    text = self._text(response)
                    self._refuse_echo(text, plain)
                    return Answer(plain, response.status_code, text, self._parsed(text, response))
                except Broken:
                    # A broken answer that came with a validator must not be what is compared next time.
                    self._adapter.cache.delete(self._adapter.controller.cache_url(response.url))
                    raise

        return self.again(url, ask)

    def again(self, url: str, attempt: Callable[[], T]) -> T:
        """Call ``attempt`` until its answer is whole; urllib3's own retries end with the headers.

        Raises:
            FetchFailed: it stayed broken.
        """
        pause = wait_random_exponential(multiplier=self.settings.backoff, max=self.settings.longest_wait)
        try:
            for trial in Retrying(
                stop=stop_after_attempt(1 + min(self.settings.retries, 3)),
                wait=pause,
                retry=retry_if_exception_type(Broken),
                reraise=True,
            ):
                with trial:
                    return attempt()
        except Broken as error:
            raise FetchFailed(
                f"{self._plain(url)}: {redact(str(error))}. No vintage was made; try again later."
            ) from None
        raise AssertionError("tenacity ends with a result or an error")

    def head(self, url: str) -> dict[str, str]:
        """Ask for a file's headers; names in lower case.

        Raises:
            FetchFailed, KeyRefused, SourceChanged: as ``json``.
        """
        with self.open(url, None, {"Cache-Control": "no-store", "Accept-Encoding": "identity"}, "HEAD") as response:
            return {name.lower(): value for name, value in response.headers.items()}

    @contextmanager
    def open(
        self,
        url: str,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
    ) -> Iterator[requests.Response]:
        """Open a streamed answer with status 2xx (or 416, which a resumed download may meet).

        Raises:
            FetchFailed, KeyRefused, SourceChanged: as ``json``.
        """
        sent, query = dict(headers or {}), dict(params or {})
        if self.key and (secret := self.key.value()):
            if self.key.header:
                sent[self.key.header] = secret
            if self.key.parameter:
                query[self.key.parameter] = secret
        patience = (self.settings.connect, self.settings.read)
        try:
            response = self._in_time(
                lambda: self._session.request(
                    method, url, params=query, headers=sent, timeout=patience, stream=True, allow_redirects=True
                )
            )
        except OretraceError:
            raise
        except requests.exceptions.TooManyRedirects:
            raise FetchFailed(f"{self._plain(url)}: redirected in a circle.") from None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise BadInput(f"{self._plain(url)}: not an address ({redact(str(error))}).") from None
        except (requests.exceptions.RequestException, HTTPError, ValueError, OverflowError, TimeoutError) as error:
            raise FetchFailed(
                f"{self._plain(url)}: no usable answer after {self.settings.retries} retries ({_why(error)}). "
                "No vintage was made; try again later."
            ) from None
        with response:
            self._refuse(response)
            yield response

    def body(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the body in chunks, decoded, within the total time (longer for what is long).

        Raises:
            Broken: it broke off, cannot be decoded, or took too long.
        """
        late = threading.Event()
        limit = min(self.settings.total + promised_length(response) / SLOWEST, LONGEST)

        def stop() -> None:
            late.set()
            response.raw.shutdown()

        # A read waits for a whole chunk, so an answer that drips is ended from outside.
        watch = threading.Timer(limit, stop)
        watch.daemon = True
        watch.start()
        try:
            yield from response.iter_content(CHUNK)
        except (requests.exceptions.RequestException, HTTPError, OSError, ValueError) as error:
            raise Broken("the answer broke off" if late.is_set() else f"the answer broke off ({_why(error)})") from None
        finally:
            watch.cancel()
            if late.is_set():
                raise Broken(f"the answer took longer than {limit:.0f} s")

    def _text(self, response: requests.Response) -> str:
        parts, size = [], 0
        for chunk in self.body(response):
            parts.append(chunk)
            size += len(chunk)
            if size > LARGEST_ANSWER:
                raise SourceChanged(f"{self._plain(response.url)}: an answer above {LARGEST_ANSWER >> 20} MB.")
        try:
            return b"".join(parts).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Broken(f"the answer is not UTF-8 ({error.reason} at byte {error.start})") from None

    @staticmethod
    def _parsed(text: str, response: requests.Response) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            kind = response.headers.get("Content-Type", "no content type")
            raise Broken(f"the answer is not whole JSON ({kind}; {error}; begins {text[:60]!r})") from None

    def _in_time(self, call: Callable[[], T]) -> T:
        """Call from another thread and give up after the longest that patience allows.

        A read time-out starts anew with every byte, so headers, or the body of a redirect, could drip for ever.

        Raises:
            TimeoutError: it took longer; the call is left behind.
        """
        patience = self.settings
        limit = patience.total + (patience.retries + 1) * (patience.connect + patience.read)
        limit += patience.retries * patience.longest_wait
        done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

        def work() -> None:
            try:
                done.put((call(), None))
            except BaseException as error:  # raised again by the caller
                done.put((None, error))

        threading.Thread(target=work, daemon=True).start()
        try:
            result, error = done.get(timeout=min(limit, LONGEST))
        except queue.Empty:
            raise TimeoutError(f"nothing whole came within {limit:.0f} s") from None
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def _refuse_echo(self, text: str, plain: str) -> None:
        """Refuse an answer that repeats the key: what is kept must not hold it."""
        secret = self.key.value() if self.key else None
        if secret and len(secret) >= SHORTEST_KEY and redact(text) != text:
            raise SourceChanged(
                f"{plain}: the answer repeats {self.key.variable if self.key else 'the key'}; not kept."
            )

    def _refuse(self, response: requests.Response) -> None:
        status, plain = response.status_code, self._plain(response.url)
        if status < 300 or (status == 416 and "Range" in response.request.headers):
            return
        if status in (401, 403):
            raise KeyRefused(f"{plain}: refused with status {status}{self._said(response)}. {self._key_advice()}")
        if status in RETRIED:
            raise FetchFailed(
                f"{plain}: status {status} after {self.settings.retries} retries. No vintage was made; try again later."
            )
        raise SourceChanged(
            f"{plain}: status {status}, expected 200{self._said(response)}; "
            "the address or its parameters may have changed."
        )

    def _said(self, response: requests.Response) -> str:
        """What the publisher says of a refusal, such as a quota that is used up; short, one line, no key."""
        try:
            begun = next(self.body(response), b"")[:300].decode("utf-8", errors="replace")
        except Broken:
            return ""
        text = redact(" ".join(begun.split()))
        return f" ({text})" if text and not text.startswith("<") else ""

    def _key_advice(self) -> str:
        if self.key is None:
            return "The publisher asks for no key; it may have blocked this machine."
        state = "is set, but not accepted" if self.key.value() else "is not set"
        return f"{self.key.variable} {state}; a key can be had at {self.key.apply}."

    def _plain(self, url: str) -> str:
        """The URL without key: neither its value nor the parameter that carries it."""
        parts = urlsplit(redact(url))
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        name = self.key.parameter if self.key else None
        kept = [piece for piece in parts.query.split("&") if piece and piece.partition("=")[0] != name]
        return parts._replace(query="&".join(kept)).geturl()


def promised_length(response: requests.Response) -> int:
    """Return the Content-Length, 0 where there is none that can be read."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _why(error: BaseException) -> str:
    """The innermost reason of an HTTP error, short and without keys."""
    reason = error
    for _ in range(5):
        inner = getattr(reason, "reason", None) or next(iter(reason.args), None)
        if not isinstance(inner, BaseException):
            break
        reason = inner
    return redact(str(reason) or type(reason).__name__)[:300]
