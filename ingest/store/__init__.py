"""The object store that holds raw vintages, canonical tables and releases when ``ORETRACE_STORE`` names one.

``ORETRACE_HOME`` is then the working disk: what is made there is sent to the store, what others sent comes from it.
Every object is written once and never again; docs/object-storage.md says how that makes a publication atomic.

What belongs here: the store itself (``bucket``) and raw vintages in it (``raw``). What does not: releases
(``orchestration.store``). This module is light, for it is asked whether there is a store at all.
"""

from __future__ import annotations

import os

VARIABLE = "ORETRACE_STORE"


def configured() -> bool:
    """Tell whether the environment names an object store."""
    return bool(os.environ.get(VARIABLE, "").strip())
