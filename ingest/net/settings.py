"""How patient a session is, from the environment.

What belongs here: the settings and their limits. What does not: what they do (``session.py``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ingest.errors import BadInput

# Whatever length an answer promises, it is not waited for longer, in seconds.
LONGEST = 6 * 3600.0


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
                least = 0 if name in ("retries", "backoff", "longest_wait", "per_second") else 1e-3
                if not least <= found[name] <= LONGEST:
                    raise BadInput(f"{variable}={text!r} must be between {least:g} and {LONGEST:g}.")
        return cls(**found)
