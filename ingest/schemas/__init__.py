"""Column contracts of the canonical tables: names, types, units, keys.

What belongs here: one contract per canonical table and the function that holds a frame to it. Units
are in the column names: ``_t`` tonnes contained, ``_gross_t`` tonnes gross, ``_usd`` US dollars of
the year, ``_share`` 0..1, ``_pct`` printed percent. What does not: how rows are made.
"""

from __future__ import annotations

import polars as pl

from ingest.errors import OretraceError
from ingest.schemas.assessment import ASSESSMENT
from ingest.schemas.base import EVIDENCE, Table
from ingest.schemas.output import OUTPUT
from ingest.schemas.record import RECORD
from ingest.schemas.trade import TRADE

__all__ = ["CANONICAL", "EVIDENCE", "Table", "conform"]

CANONICAL: dict[str, Table] = OUTPUT | TRADE | ASSESSMENT | RECORD


def conform(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """Hold a frame to its canonical contract: column order, types, keys, required values.

    Args:
        frame: has exactly the table's columns, in any order.
        table: name of a canonical table.

    Returns:
        The frame, columns ordered and cast, rows sorted by key.

    Raises:
        OretraceError: a column is missing or unknown, a required value is null, a key repeats,
            or ``evidence`` is not one of the four grades; the message shows the first bad row.
    """
    contract = CANONICAL[table]
    missing = [name for name in contract.columns if name not in frame.columns]
    unknown = [name for name in frame.columns if name not in contract.columns]
    if missing or unknown:
        raise OretraceError(f"canonical table {table}: missing columns {missing}, unknown columns {unknown}.")
    frame = frame.select(pl.col(name).cast(kind) for name, kind in contract.columns.items())
    for name in dict.fromkeys((*contract.key, *contract.required)):
        if name not in contract.nullable_key and (bad := frame.filter(pl.col(name).is_null())).height:
            raise OretraceError(
                f"canonical table {table}: {name} is null in {bad.height} rows, first {bad.row(0, named=True)}."
            )
    # Sorted, a repeated key stands next to itself; a stable sort is quick on what is nearly in order.
    frame = frame.sort(contract.key, maintain_order=True)
    again = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift()) for name in contract.key)
    repeated = frame.filter(again & (pl.int_range(pl.len()) > 0))
    if repeated.height:
        raise OretraceError(
            f"canonical table {table}: key {contract.key} repeats in {repeated.height} rows, "
            f"first {repeated.row(0, named=True)}."
        )
    if "evidence" in contract.columns:
        odd = frame.filter(~pl.col("evidence").is_in(EVIDENCE))
        if odd.height:
            raise OretraceError(f"canonical table {table}: evidence {odd['evidence'][0]!r} is not one of {EVIDENCE}.")
    return frame
