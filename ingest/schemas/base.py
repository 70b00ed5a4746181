"""What a contract of a canonical table is, and the column types that all share.

What belongs here: the ``Table`` record. What does not: any table.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

S, N, F, B, D = pl.String(), pl.Int32(), pl.Float64(), pl.Boolean(), pl.Date()

EVIDENCE = ("reported", "estimated", "derived", "assumed")

PROVENANCE: dict[str, pl.DataType] = {"source": S, "vintage": S, "evidence": S}


@dataclass(frozen=True)
class Table:
    """Contract of one canonical table.

    Attributes:
        columns: name to polars type, in order.
        key: columns that identify a row.
        required: columns that may not be null (key columns always).
        nullable_key: key columns that may be null.
    """

    columns: dict[str, pl.DataType]
    key: tuple[str, ...]
    required: tuple[str, ...] = ()
    nullable_key: tuple[str, ...] = ()
