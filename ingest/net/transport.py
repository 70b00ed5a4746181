"""What a session is made of: adapter with rate limit and cache, retries, redirects.

What belongs here: settings of the HTTP libraries that one answer does not see. What does not: asking
(``session.py``).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from cachecontrol import CacheControlAdapter
from requests.adapters import HTTPAdapter
from requests_ratelimiter import LimiterMixin
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from ingest.errors import SourceChanged
from ingest.net.keys import redact
from ingest.net.settings import Settings

RETRIED = (408, 425, 429, *range(500, 600))


class PoliteAdapter(LimiterMixin, CacheControlAdapter):  # type: ignore[misc]
    """Rate limit and response cache in one; requests that say ``no-store`` pass the cache by."""

    def build_response(self, request: Any, response: Any, *rest: Any, **more: Any) -> Any:  # type: ignore[override]
        """Hand an answer on, through the cache unless the request says ``no-store``."""
        if request.headers.get("Cache-Control") == "no-store":
            return HTTPAdapter.build_response(self, request, response)
        return super().build_response(request, response, *rest, **more)


class PatientRetry(Retry):
    """A ``Retry-After`` that cannot be read is no reason to give up: the usual pause serves."""

    def get_retry_after(self, response: Any) -> float | None:
        """Return the pause the publisher asks for in seconds, None where it asks for none that can be read."""
        try:
            return super().get_retry_after(response)
        except (HTTPError, ValueError, OverflowError):
            return None


class HostBoundSession(requests.Session):
    """Follows redirects on the same host and to hosts the publisher is known to use; sends keys to none of these."""

    def __init__(self, hosts: frozenset[str], key_headers: frozenset[str]) -> None:
        """Take the hosts that redirects may lead to, and the headers that hold keys, in lower case."""
        super().__init__()
        self.hosts, self.key_headers = hosts, key_headers
        self.max_redirects = 5

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where a redirect leads.

        Raises:
            SourceChanged: to an unknown host, to no address, or away from encryption.
        """
        target = super().get_redirect_target(resp)
        if target is not None:
            here = urlsplit(resp.url)
            try:
                there = urlsplit(urljoin(resp.url, target))
                moved = there.hostname != here.hostname or there.port != here.port
            except ValueError:
                raise SourceChanged(f"{here.hostname} sends us to {redact(target)!r}, which is no address.") from None
            if moved and there.hostname not in self.hosts:
                raise SourceChanged(
                    f"{here.hostname} sends us to another host, {there.hostname or redact(target)!r}, not one of the "
                    "publisher's known hosts; not followed. If the publisher moved, its client needs the new address."
                )
            if here.scheme == "https" and there.scheme != "https":
                raise SourceChanged(f"{here.hostname} sends us to an address without encryption; not followed.")
        return target

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Take keys off what goes to another host."""
        super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]
        if urlsplit(prepared_request.url or "").netloc != urlsplit(response.url).netloc:
            for name in self.key_headers & {header.lower() for header in prepared_request.headers}:
                del prepared_request.headers[name]


def retries(settings: Settings) -> Retry:
    """Return urllib3's retries: growing pauses with jitter, ``Retry-After`` honoured up to the longest wait."""
    return PatientRetry(
        total=settings.retries,
        status_forcelist=RETRIED,
        allowed_methods=frozenset({"GET", "HEAD"}),
        backoff_factor=settings.backoff,
        backoff_jitter=settings.backoff,
        backoff_max=settings.longest_wait,
        retry_after_max=int(settings.longest_wait),
        respect_retry_after_header=True,
        raise_on_status=False,
        raise_on_redirect=False,
    )
