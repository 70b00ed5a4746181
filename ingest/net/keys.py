"""Keys of publishers: read from the environment, sent, and never shown.

What belongs here: where a key comes from and how it is kept out of every text. What does not: the
requests it goes with (``session.py``).
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from ingest.errors import BadInput

HIDDEN = "***"
# Loggers of the libraries that write URLs; a filter on a parent does not see what its children log.
_LOGGERS = (
    "urllib3.connectionpool",
    "urllib3.util.retry",
    "cachecontrol.controller",
    "cachecontrol.adapter",
    "requests_ratelimiter.requests_ratelimiter",
)


@dataclass(frozen=True)
class Key:
    """A publisher's key: the environment variable that holds it and how it is sent.

    Attributes:
        variable: name of the environment variable, ``ORETRACE_..._KEY``.
        header: request header it goes in, or None.
        parameter: query parameter it goes in, or None.
        apply: where a user gets one.
    """

    variable: str
    apply: str
    header: str | None = None
    parameter: str | None = None

    def value(self) -> str | None:
        """Return the key, None where the environment has none (or a blank).

        Raises:
            BadInput: it holds what no key holds: blanks, line breaks, quotes, letters beyond ASCII.
        """
        key = os.environ.get(self.variable, "").strip()
        if not re.fullmatch(r"[!#-&(-\[\]-~]*", key):
            raise BadInput(
                f"{self.variable} is not a key: it holds blanks, line breaks, quotes or other odd characters."
            )
        return key or None


# Secrets that are no publisher's key: passwords, addresses that let anybody post.
_HIDDEN_TOO: set[str] = set()


def hide(*secrets: str) -> None:
    """Let ``redact`` and the logs hide these as well; short words, which may stand anywhere, are left out."""
    _HIDDEN_TOO.update(secret for secret in secrets if len(secret) >= 4)


def _planted() -> set[str]:
    """Every key in the environment, as it is and as it looks inside a URL, and what was hidden by name."""
    found = {
        value.strip() for name, value in os.environ.items() if name.startswith("ORETRACE_") and name.endswith("_KEY")
    } | _HIDDEN_TOO
    return {form for key in found if key for form in (key, quote(key), quote(key, safe=""), quote_plus(key))}


def redact(text: str) -> str:
    """Return ``text`` without any key of the environment."""
    for key in sorted(_planted(), key=len, reverse=True):
        text = re.sub(re.escape(key), HIDDEN, text, flags=re.IGNORECASE)
    return text


class _Redact(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, None
        return True


_FILTER = _Redact()


def guard_logs() -> None:
    """Keep keys out of what the HTTP libraries log, at any level. Calling it twice is harmless."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
