"""Replies of the US Census trade interface: arrays of arrays, and what makes a set of them whole.

What belongs here: reading a reply and the checks that the monthly and the yearly product share. What
does not: which variables one product asks for (``census.py``, ``census_monthly.py``), the requests
(``ingest/clients``).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ingest.errors import IncompletePull, SourceChanged
from ingest.sources.base import files

S, COUNT = pl.String(), pl.Int64()
LEVEL = "HS10"
TOTAL = "-"
# Schedule C: a country is four digits from 1000; a leading zero or 1XXX..7XXX is a group of them.
COUNTRY = r"^[1-9][0-9]{3}$"
GROUP = r"^(0[0-9]{3}|[0-9]XXX)$"
ECHOED = ("COMM_LVL", "time")
_DOLLAR = 1  # each printed figure is rounded to a whole dollar


@dataclass(frozen=True)
class Reply:
    """What one direction of trade is asked for and how its columns are called here.

    Attributes:
        flow: M imports, X exports.
        pattern: names of the files that hold the replies.
        columns: the interface's variable to our column, in the order asked for.
        sums: our columns whose countries add up to the printed total.
    """

    flow: str
    pattern: str
    columns: dict[str, str]
    sums: tuple[str, ...]


def table_of(text: str | bytes, columns: Sequence[str], where: str) -> pl.DataFrame:
    """Turn one reply, an array of arrays with the header first, into a frame of text.

    A variable that is both asked for and filtered by comes back twice; equal copies are one column.

    Args:
        text: the reply as received.
        columns: variables asked for; level and time are echoed besides.
        where: file or request, for errors.

    Raises:
        SourceChanged: no such array, another header, copies that differ, or a value that is no text.
    """
    try:
        header, *rows = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise SourceChanged(f"{where}: expected a JSON array of arrays with a header row ({error}).") from None
    if not isinstance(header, list) or any(not isinstance(row, list) or len(row) != len(header) for row in rows):
        raise SourceChanged(f"{where}: expected every row to be an array as long as the header {header!r:.300}.")
    wanted = (*columns, *ECHOED)
    missing, unknown = [c for c in wanted if c not in header], [c for c in header if c not in wanted]
    if missing or unknown:
        raise SourceChanged(f"{where}: lacks columns {missing} and has unknown columns {unknown}.")
    cells = list(zip(*rows, strict=True)) or [()] * len(header)
    found: dict[str, tuple[str | None, ...]] = {}
    for name, values in zip(header, cells, strict=True):
        if found.setdefault(name, values) != values:
            raise SourceChanged(f"{where}: the column {name} comes twice with other values.")
    try:
        return pl.DataFrame(found, schema=dict.fromkeys(found, S))
    except (TypeError, ValueError, OverflowError) as error:
        told = " ".join(str(error).split())
        raise SourceChanged(f"{where}: expected every value to be text ({told}).") from None


def whole(frame: pl.DataFrame, names: Sequence[str], where: str, *, blank: Collection[str] = ()) -> pl.DataFrame:
    """Read whole numbers; only columns in ``blank`` may have none.

    Raises:
        SourceChanged: another text, or a blank that may not be.
    """
    for name in names:
        text = pl.col(name).fill_null("").str.strip_chars()
        # More digits are no dollars, and their sums would not hold them.
        allowed = r"^(-?[0-9]{1,15})?$" if name in blank else r"^-?[0-9]{1,15}$"
        if (odd := frame.filter(~text.str.contains(allowed))).height:
            raise SourceChanged(f"{where}: {name} {odd[name][0]!r} is no whole number, in {odd.row(0, named=True)}.")
    return frame.with_columns(pl.col(name).str.strip_chars().replace("", None).cast(COUNT) for name in names)


def echoed(frame: pl.DataFrame, level: str, months: Collection[str], where: str) -> pl.DataFrame:
    """Hold every row to the commodity level and the months that were asked for.

    Raises:
        SourceChanged: a row of another level or month.
    """
    if odd := set(frame["COMM_LVL"]) - {level}:
        raise SourceChanged(f"{where}: COMM_LVL {sorted(map(str, odd))}, expected {level}.")
    if odd := set(frame["time"]) - set(months):
        raise SourceChanged(f"{where}: rows of {sorted(map(str, odd))}, expected {sorted(months)}.")
    return frame


def keyed(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Hold ``hs10``, ``country_code`` and ``time`` to their forms and, together, to one row each.

    Raises:
        SourceChanged: a code of another form, or a key twice.
    """
    for name, form in (
        ("time", r"^[0-9]{4}-(0[1-9]|1[0-2])$"),
        ("hs10", r"^[0-9]{10}$"),
        ("country_code", f"{COUNTRY}|{GROUP}|^{TOTAL}$"),
    ):
        if (bad := frame.filter(~pl.col(name).str.contains(form).fill_null(False))).height:
            raise SourceChanged(f"{where}: {name} {bad[name][0]!r} is of no known form, in {bad.row(0, named=True)}.")
    if (twice := frame.filter(pl.struct("country_code", "hs10", "time").is_duplicated())).height:
        raise SourceChanged(f"{where}: a country and line twice, first {twice.row(0, named=True)}.")
    return frame


def added_up(frame: pl.DataFrame, sums: Sequence[str], where: str) -> None:
    """Hold the sum of single countries to the printed total of every line.

    Raises:
        IncompletePull: a line without a total, or with another sum.
    """
    single = pl.col("country_code").str.contains(COUNTRY)
    total = pl.col("country_code") == TOTAL
    for name in sums:
        lines = frame.group_by("hs10").agg(
            total=pl.col(name).filter(total).first(),
            countries=single.sum().cast(COUNT),
            summed=pl.col(name).filter(single).sum(),
        )
        off = (pl.col("total") - pl.col("summed")).abs() > _DOLLAR * pl.col("countries")
        if (bad := lines.filter(pl.col("total").is_null() | off).sort("hs10")).height:
            worst = bad.row(0, named=True)
            raise IncompletePull(
                f"{where}: {name} of {bad.height} line(s) does not add up, first {worst['hs10']}: "
                f"{worst['countries']} countries sum to {worst['summed']} USD, the publisher's total is "
                f"{worst['total'] if worst['total'] is not None else 'missing'}. Fetch it again."
            )


def whole_set(folder: Path, month: str, asked: Reply, *, blank: Collection[str] = ()) -> pl.DataFrame:
    """Read every reply of one direction and month, proven: level, month, codes, key, numbers, totals.

    Args:
        folder: holds the replies.
        month: ``2025-01``.
        asked: what was asked for.
        blank: number columns besides ``asked.sums``, which may have no value.

    Returns:
        Our columns of every row, totals and groups included.

    Raises:
        SourceChanged: no files, or a reply of another shape.
        IncompletePull: no rows, or countries that do not sum to the total of their line.
    """
    where = f"{folder}/{asked.pattern}"
    found = files(folder, asked.pattern)
    parts = [table_of(path.read_bytes(), tuple(asked.columns), str(path)) for path in found]
    frame = pl.concat([part.select(parts[0].columns) for part in parts]).rename(asked.columns)
    if frame.is_empty():
        raise IncompletePull(f"{where}: no rows for {month}. Fetch it again.")
    frame = keyed(echoed(frame, LEVEL, {month}, where), where)
    frame = whole(frame, (*asked.sums, *blank), where, blank=blank).with_columns(flow=pl.lit(asked.flow))
    added_up(frame, asked.sums, where)
    return frame
