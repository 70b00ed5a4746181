"""UN Comtrade, annual trade in goods by HS code: how kept replies of its interface are read.

What belongs here: the envelope and the columns of a reply, and the source table made of them. What
does not: which requests make a year (``clients/comtrade.py``), two reports of one flow becoming one
(``transforms/mirror.py``). The terms limit redistribution: no figure of it is embedded or published.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from ingest.errors import FetchFailed, IncompletePull, SourceChanged, UnmappedValue
from ingest.mapping import reference
from ingest.net.keys import redact
from ingest.sources.base import Source, files

TABLE = "raw_comtrade__trade"
REPORTERS = "Reporters.json"
ENVELOPE = ("elapsedTime", "count", "data", "error")
S, N, F, B = pl.String(), pl.Int32(), pl.Float64(), pl.Boolean()
MEASURED = (1e-9, 1e18)
"""USD or kg that can be meant: what lies outside is a broken number, and no ratio of two of these overflows."""
# A weight or quantity of 0 is how the publisher writes a missing one; null here.
TRADE: dict[str, pl.DataType] = {
    "year": N,
    "flow": S,
    "reporter_m49": N,
    "partner_m49": N,
    "hs6": S,
    "hs_edition": S,
    "value_usd": F,
    "cif_usd": F,
    "fob_usd": F,
    "net_weight_kg": F,
    "net_weight_estimated": B,
    "qty": F,
    "qty_unit": S,
    "qty_estimated": B,
    "is_reported": B,
    "is_aggregate": B,
    "source": S,
    "vintage": S,
}
_TYPES: dict[pl.DataType, set[type]] = {
    S: {str, type(None)},
    N: {int},
    F: {int, float, type(None)},
    B: {bool, type(None)},
}
_NESTED = {dict, list}
_LARGEST_CODE = 2**31 - 1
KEY = ("year", "flow", "hs6", "reporter_m49", "partner_m49")


@cache
def columns() -> dict[str, str | None]:
    """Return every column of a reply with the name it gets in the source table, None where it is not used."""
    return dict(reference("comtrade_columns.csv").select("column", "becomes").iter_rows())


def reply_rows(text: str, where: str) -> list[dict[str, Any]]:
    """Return the rows of one reply as the publisher gives them.

    Args:
        text: the reply; empty where it was status 204, which means no rows.
        where: file or address, for messages.

    Raises:
        FetchFailed: the publisher reports an error of its own.
        IncompletePull: ``count`` is not the number of rows.
        SourceChanged: no JSON (NaN is none), another envelope, a new or missing column, by name, or a
            value that is no single one.
    """
    if not text:
        return []
    try:
        reply = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise SourceChanged(f"{where}: not JSON ({error}).") from None
    if not isinstance(reply, dict) or sorted(reply) != sorted(ENVELOPE) or not isinstance(reply["data"], list):
        found = sorted(reply) if isinstance(reply, dict) else type(reply).__name__
        raise SourceChanged(f"{where}: expected the envelope {list(ENVELOPE)} with a list as data, found {found}.")
    if reply["error"]:
        raise FetchFailed(f"{where}: the publisher answers with an error: {redact(repr(reply['error']))[:300]}")
    rows: list[dict[str, Any]] = reply["data"]
    if reply["count"] != len(rows):
        raise IncompletePull(f"{where}: the publisher counts {reply['count']} rows, {len(rows)} came.")
    for row in rows:
        if not isinstance(row, dict) or row.keys() != columns().keys():
            _refuse_columns(row, where)
        if not _NESTED.isdisjoint(map(type, row.values())):
            odd = sorted(name for name, value in row.items() if type(value) in _NESTED)
            raise SourceChanged(f"{where}: columns {odd} hold more than one value, {row[odd[0]]!r:.60}.")
    return rows


def _no_number(constant: str) -> float:
    raise ValueError(f"it holds {constant}, which is no number")


def _refuse_columns(row: Any, where: str) -> None:
    found = set(row) if isinstance(row, dict) else set()
    new, gone = sorted(found - set(columns())), sorted(set(columns()) - found)
    raise SourceChanged(
        f"{where}: new columns {new}, missing columns {gone}. What they mean decides how a row is read: once known, "
        "list them in ingest/reference/comtrade_columns.csv."
    )


def table(rows: list[dict[str, Any]], where: str) -> pl.DataFrame:
    """Bring rows of a reply to the columns of the source table, without ``source`` and ``vintage``.

    Raises:
        SourceChanged: a value is of another type than its column, or no number that can be meant.
        UnmappedValue: an HS edition that no row of the reference file names.
    """
    wanted = {becomes: column for column, becomes in columns().items() if becomes}
    schema = {name: kind for name, kind in TRADE.items() if name in wanted}
    values = {name: [row[wanted[name]] for row in rows] for name in schema}
    for name, column in values.items():
        # Polars would read the text "12" as a number.
        if odd := set(map(type, column)) - _TYPES[schema[name]]:
            kinds = sorted(kind.__name__ for kind in odd)
            raise SourceChanged(f"{where}: column {wanted[name]} holds {kinds}, expected {schema[name]}.")
        _hold_numbers(column, schema[name], f"{where}: column {wanted[name]}")
    try:
        frame = pl.DataFrame(values, schema=schema)
    except UnicodeError as error:
        raise SourceChanged(f"{where}: a text that is no text ({error}).") from None
    return with_edition(frame).with_columns(
        pl.when(pl.col(name) > 0).then(name).alias(name) for name in ("net_weight_kg", "qty")
    )


def _hold_numbers(values: list[Any], kind: pl.DataType, where: str) -> None:
    """Refuse numbers that cannot be meant, such as 1e400, which is read as infinity."""
    least, most = MEASURED
    if kind == N and (odd := [value for value in values if not 0 <= value <= _LARGEST_CODE]):
        raise SourceChanged(f"{where} holds {str(odd[0])[:40]}, which is no code.")
    if kind == F and (odd := [value for value in values if value and not least <= value <= most]):
        raise SourceChanged(
            f"{where} holds {str(odd[0])[:40]}, expected a finite number, zero or from {least:g} to {most:g}."
        )


def with_edition(frame: pl.DataFrame) -> pl.DataFrame:
    """Turn ``hs_edition`` from the publisher's number (H6) into the year's name (HS2022)."""
    known = dict(reference("comtrade_classifications.csv").select("classification", "hs_edition").iter_rows())
    found = frame["hs_edition"].unique().sort().to_list()
    if lost := [str(value) for value in found if value not in known]:
        raise UnmappedValue("HS edition", lost, "comtrade_classifications.csv")
    return frame.with_columns(pl.col("hs_edition").replace(known))


def replies(folder: Path) -> list[Path]:
    """List the kept replies of a vintage: every JSON file below the folders of the flows."""
    return [path for path in files(folder, "*/*.json") if path.name != REPORTERS]


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read every kept reply of one year.

    Raises:
        SourceChanged: a reply is not as expected, or one flow is in two replies.
    """
    parts = []
    for path in replies(folder):
        where = f"comtrade {vintage}, {path.relative_to(folder)}"
        parts.append(table(reply_rows(path.read_text(encoding="utf-8"), where), where))
    rows = pl.concat(parts)
    twice = rows.filter(pl.struct(KEY).is_duplicated())
    if twice.height:
        raise SourceChanged(f"comtrade {vintage}: a flow comes twice, first {twice.sort(KEY).row(0, named=True)}.")
    return {TABLE: rows.sort(KEY)}


SOURCE = Source(
    name="comtrade",
    publisher="United Nations Statistics Division",
    title="UN Comtrade: annual trade in goods by HS code",
    licence="UN Comtrade terms of use",
    licence_url="https://uncomtrade.org/docs/policy-on-use-and-re-dissemination/",
    homepage="https://comtradeplus.un.org/",
    citation="United Nations, UN Comtrade Database, trade of {vintage}",
    tables={TABLE: TRADE},
    read=read,
    keeps="editions",
    in_snapshot=False,
)
