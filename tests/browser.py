"""Chromium for tests: Debian's, headless, with a fresh profile and no word to any host but the one under test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium and stop it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """An open page and what went wrong on it.

    Attributes:
        page: the open page.
        troubles: console errors, exceptions, failed and outside requests.
    """

    page: Page
    troubles: list[str] = field(default_factory=list)


@contextmanager
def visit(
    browser: Browser, address: str, *, width: int = 1280, scheme: str = "light", script: bool = True
) -> Iterator[Visit]:
    """Open a page, wait until it has drawn what it draws, and note everything that goes wrong.

    Requests to any other host than the page's own are noted and refused.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        java_script_enabled=script,  # type: ignore[arg-type]
    )
    try:
        found = Visit(context.new_page())
        host = urlsplit(address).netloc

        def guard(route: Any) -> None:
            parts = urlsplit(route.request.url)
            if parts.scheme in ("data", "blob") or parts.netloc == host:
                route.continue_()
            else:
                found.troubles.append(f"asks for {route.request.url}")
                route.abort()

        found.page.route("**/*", guard)
        found.page.on("console", lambda message: _note(found, message))
        found.page.on("pageerror", lambda error: found.troubles.append(f"exception: {error}"))
        found.page.on("requestfailed", lambda request: found.troubles.append(f"failed: {request.url}"))
        found.page.goto(address)
        if script:
            settle(found.page)
        yield found
    finally:
        context.close()


def _note(found: Visit, message: Any) -> None:
    if message.type in ("error", "warning"):
        found.troubles.append(f"{message.type}: {message.text}")


def settle(page: Page) -> None:
    """Wait until every chart on show has been drawn."""
    page.wait_for_function(
        "() => [...document.querySelectorAll('figure.chart')]"
        ".every((figure) => figure.hidden || !figure.offsetParent || figure.dataset.drawn)"
    )
