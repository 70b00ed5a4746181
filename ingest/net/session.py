"""One polite HTTP session: time-outs, retries, rate limits, conditional requests, keys that stay secret.

What belongs here: asking a publisher for a small answer and telling what went wrong. What does not:
files (``download.py``), and anything about one publisher (``ingest/clients``).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from cachecontrol import CacheControlAdapter
from cachecontrol.caches import FileCache
from requests.adapters import HTTPAdapter
from requests_ratelimiter import LimiterMixin
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from urllib3 import Retry

from ingest.errors import BadInput, FetchFailed, KeyRefused, OretraceError, SourceChanged
from ingest.net.keys import Key, guard_logs, redact

T = TypeVar("T")
RETRIED = (429, 500, 502, 503, 504)
CHUNK = 1 << 16
# No answer that is read into memory is larger; the largest known is about 100 MB.
LARGEST_ANSWER = 512 << 20
# Bytes a second below which a long file is given up (and continued by the next attempt).
SLOWEST = 100_000


class Broken(Exception):
    """An answer broke off or cannot be read; asking again may mend it."""


@dataclass(frozen=True)
class Settings:
    """How patient a session is; seconds. Each has an environment variable ``ORETRACE_HTTP_<NAME>``.

    Attributes:
        connect: until a connection stands.
        read: between two bytes.
        total: for one answer as a whole, however slowly it drips.
        retries: how often a refused or broken request is repeated.
        backoff: first pause; it doubles, with jitter.
        longest_wait: longest pause, also where ``Retry-After`` asks for more.
        per_second: requests a second to one host; 0 leaves the publisher's own limit (your mirror may take more).
    """

    connect: float = 10.0
    read: float = 60.0
    total: float = 600.0
    retries: int = 5
    backoff: float = 1.0
    longest_wait: float = 120.0
    per_second: float = 0.0

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment.

        Raises:
            BadInput: a value is no number, or negative.
        """
        found: dict[str, Any] = {}
        for name, kind in cls.__annotations__.items():
            variable = f"ORETRACE_HTTP_{name.upper()}"
            if text := os.environ.get(variable):
                try:
                    found[name] = int(text) if kind == "int" else float(text)
                except ValueError:
                    raise BadInput(f"{variable}={text!r} is not a number.") from None
                if found[name] < 0:
                    raise BadInput(f"{variable}={text!r} must not be negative.")
        return cls(**found)


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


class _Adapter(LimiterMixin, CacheControlAdapter):  # type: ignore[misc]
    """Rate limit and response cache in one; requests that say ``no-store`` pass the cache by."""

    def build_response(self, request: Any, response: Any, *rest: Any, **more: Any) -> Any:  # type: ignore[override]
        if request.headers.get("Cache-Control") == "no-store":
            return HTTPAdapter.build_response(self, request, response)
        return super().build_response(request, response, *rest, **more)


class _Session(requests.Session):
    """Follows redirects on the same host and to hosts the publisher is known to use; sends keys to none of these."""

    def __init__(self, hosts: frozenset[str], key_headers: frozenset[str]) -> None:
        super().__init__()
        self.hosts, self.key_headers = hosts, key_headers
        self.max_redirects = 5

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is not None:
            here, there = urlsplit(resp.url), urlsplit(urljoin(resp.url, target))
            moved = there.hostname != here.hostname or there.port != here.port
            if moved and there.hostname not in self.hosts:
                raise SourceChanged(
                    f"{here.hostname} sends us to another host, {there.hostname or target!r}, which is not one of the "
                    "publisher's known hosts; not followed. If the publisher moved, its client needs the new address."
                )
            if here.scheme == "https" and there.scheme != "https":
                raise SourceChanged(f"{here.hostname} sends us to an address without encryption; not followed.")
        return target

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]
        if urlsplit(prepared_request.url or "").netloc != urlsplit(response.url).netloc:
            for name in self.key_headers & {header.lower() for header in prepared_request.headers}:
                del prepared_request.headers[name]


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
        self._session = _Session(hosts, header)
        self._adapter = _Adapter(
            per_second=self.settings.per_second or per_second, cache=FileCache(str(cache)) if cache else None
        )
        # The rate limiter's constructor drops this argument.
        self._adapter.max_retries = Retry(
            total=self.settings.retries,
            status_forcelist=RETRIED,
            allowed_methods=frozenset({"GET", "HEAD"}),
            backoff_factor=self.settings.backoff,
            backoff_jitter=self.settings.backoff,
            backoff_max=self.settings.longest_wait,
            retry_after_max=int(self.settings.longest_wait),
            respect_retry_after_header=True,
            raise_on_status=False,
            raise_on_redirect=False,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)
        contact = os.environ.get("ORETRACE_CONTACT")
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
            response = self._session.request(
                method, url, params=query, headers=sent, timeout=patience, stream=True, allow_redirects=True
            )
        except OretraceError:
            raise
        except requests.exceptions.TooManyRedirects:
            raise FetchFailed(f"{self._plain(url)}: redirected in a circle.") from None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise BadInput(f"{self._plain(url)}: not an address ({redact(str(error))}).") from None
        except requests.exceptions.RequestException as error:
            raise FetchFailed(
                f"{self._plain(url)}: no answer after {self.settings.retries} retries ({_why(error)}). "
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
        limit = self.settings.total + int(response.headers.get("Content-Length") or 0) / SLOWEST

        def stop() -> None:
            late.set()
            response.raw.shutdown()

        # A read waits for a whole chunk, so an answer that drips is ended from outside.
        watch = threading.Timer(limit, stop)
        watch.daemon = True
        watch.start()
        try:
            yield from response.iter_content(CHUNK)
        except (requests.exceptions.RequestException, OSError) as error:
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
        except ValueError as error:
            kind = response.headers.get("Content-Type", "no content type")
            raise Broken(f"the answer is not whole JSON ({kind}; {error}; begins {text[:60]!r})") from None

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
        name = self.key.parameter if self.key else None
        kept = [piece for piece in parts.query.split("&") if piece and piece.partition("=")[0] != name]
        return parts._replace(query="&".join(kept)).geturl()


def _why(error: BaseException) -> str:
    """The innermost reason of an HTTP error, short and without keys."""
    reason = error
    for _ in range(5):
        inner = getattr(reason, "reason", None) or next(iter(reason.args), None)
        if not isinstance(inner, BaseException):
            break
        reason = inner
    return redact(str(reason) or type(reason).__name__)[:300]
