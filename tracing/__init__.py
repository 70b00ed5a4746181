"""Supply networks seen through to where a tonne was made, through whom it passed and where it was mined.

What belongs here: pure functions on polars frames (methods section 3). What does not: reading or
writing anything, orchestration, and any knowledge of a publisher; nothing here imports ``ingest``.

Rooms, in the order data moves: ``network`` (validate and index the frames), ``feeds`` (what plants
take in), ``mixing`` (what markets consist of, under one export-mix rule), ``walk`` (the linear
system), ``engine`` (stage by stage), ``exposure`` (answers as frames), ``montecarlo`` (intervals).
"""

from __future__ import annotations

from tracing.exposure import look_through, processed_at, via
from tracing.mixing import RULES
from tracing.montecarlo import monte_carlo
from tracing.network import SECONDARY, STAGES, UNEXPLAINED, InvalidNetwork

__all__ = [
    "RULES",
    "SECONDARY",
    "STAGES",
    "UNEXPLAINED",
    "InvalidNetwork",
    "look_through",
    "monte_carlo",
    "processed_at",
    "via",
]
