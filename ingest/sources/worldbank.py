"""World Bank, World Development Indicators: gross domestic product.

What belongs here: reading GDP in current US dollars, and the pages in which the World Bank's
interface answers (the governance indicators come in the same ones). What does not: which codes are
countries, and asking for the pages (``ingest.clients.paged``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from ingest.errors import SourceChanged
from ingest.mapping import read_csv_text
from ingest.sources.base import Source, files

S = pl.String()
TABLE = "raw_worldbank__gdp"
INDICATOR = "NY.GDP.MKTP.CD"

_FIELDS = {"indicator", "country", "countryiso3code", "date", "value", "unit", "obs_status", "decimal"}
# Some databases of the same interface add a scale. A figure that is not plain is refused, never misread.
_BLANK = ("unit", "obs_status", "scale")
# No series has as many rows, and no figure (USD, or points) is as large.
_MOST_ROWS, _LARGEST = 10_000_000, 1e18


class Page(NamedTuple):
    """One page of an answer: ``rows`` as the publisher wrote them, the rest as its head says."""

    number: int
    pages: int
    total: int
    updated: str
    rows: list[dict[str, Any]]


def page(content: Any, where: str) -> Page:
    """Read one page of the World Bank's interface, version 2.

    Args:
        content: parsed JSON, ``[head, rows]``.
        where: the request or file, for errors.

    Raises:
        SourceChanged: it is a message, or of another shape; a row has unknown fields, or a unit or
            status that its reader does not know.
    """
    match content:
        case [{"message": list(messages)}, *_]:
            said = "; ".join(
                f"{item.get('id')} {item.get('key')}: {item.get('value')}" if isinstance(item, dict) else repr(item)
                for item in messages
            )
            raise SourceChanged(f"{where}: the World Bank answers with a message, not with figures ({said}).")
        case [dict(head), list() | None as rows] if {"page", "pages", "total"} <= head.keys():
            pass
        case _:
            raise SourceChanged(f"{where}: expected [head, rows] of the World Bank's interface, found {content!r:.80}.")
    for row in rows or []:
        _hold_row(row, where)
    try:
        number, pages, total = (int(head[name]) for name in ("page", "pages", "total"))
    except (TypeError, ValueError, OverflowError):
        raise SourceChanged(f"{where}: the head of a page counts in something else than numbers: {head}.") from None
    if not all(0 <= count <= _MOST_ROWS for count in (number, pages, total)):
        raise SourceChanged(f"{where}: the head of a page counts what cannot be: {head!r:.200}.")
    updated = str(head.get("lastupdated") or "")
    if not re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2})?", updated):
        raise SourceChanged(f"{where}: lastupdated is {updated!r:.40}, expected a day such as 2025-07-01.")
    return Page(number, pages, total, updated, rows or [])


def _hold_row(row: Any, where: str) -> None:
    """Hold one row to the known fields, marks and types.

    Raises:
        SourceChanged: it differs.
    """
    if not isinstance(row, dict):
        raise SourceChanged(f"{where}: a row is {row!r:.80}, expected an object.")
    if new := sorted(set(row) - _FIELDS - {"scale"}) or sorted(_FIELDS - set(row)):
        raise SourceChanged(f"{where}: fields {new} are new or missing in a row; its reader must learn them first.")
    if odd := {name: row[name] for name in _BLANK if row.get(name) not in (None, "")}:
        raise SourceChanged(f"{where}: a figure is marked {odd}, which its reader does not know: {row!r:.200}.")
    match row:
        case {"indicator": {"id": str()}, "country": {"id": str()}, "countryiso3code": str() | None, "date": str()}:
            pass
        case _:
            raise SourceChanged(f"{where}: a row without indicator, country and date as text: {row!r:.200}.")
    value = row["value"]
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise SourceChanged(f"{where}: the figure {value!r:.80} is no number.")
    if value is not None and not abs(value) <= _LARGEST:
        raise SourceChanged(f"{where}: the figure {value!r:.40} is not finite, or cannot be meant.")


def row_key(row: dict[str, Any]) -> tuple[str, str, str]:
    """Return what identifies a row: indicator, country (ISO alpha-3, else the publisher's code), period."""
    return row["indicator"]["id"], row["countryiso3code"] or row["country"]["id"], row["date"]


def read_pages(paths: Iterable[Path], indicator: str) -> pl.DataFrame:
    """Read the kept pages of one indicator.

    Returns:
        ``code, year, value``, one row per country (or group) and year, value null where none is given.

    Raises:
        SourceChanged: a page is of another shape, or a period is no year.
    """
    found: list[tuple[str, int, float | None]] = []
    for path in paths:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise SourceChanged(f"{path.name}: not JSON ({error}).") from None
        for row in page(content, f"{path.parent.name}/{path.name}").rows:
            name, code, period = row_key(row)
            if name != indicator or not re.fullmatch(r"[0-9]{4}", period):
                raise SourceChanged(f"{path}: a row of {name} for {period!r}, expected {indicator} for a year.")
            found.append((code, int(period), row["value"]))
    try:
        return pl.DataFrame(found, schema={"code": S, "year": pl.Int32(), "value": pl.Float64()}, orient="row")
    except UnicodeError as error:
        raise SourceChanged(f"{indicator}: a country's code is no text ({error}).") from None


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read GDP by the publisher's country or group code.

    Args:
        folder: raw vintage with ``gdp.csv``, or with the pages of the interface.
        vintage: edition.

    Returns:
        ``raw_worldbank__gdp``: code, year, GDP in current US dollars; years without a figure have no
        row (the interface gives them a null, the csv leaves them out).

    Raises:
        SourceChanged: the file is missing or has other columns.
    """
    if paths := files(folder, f"{INDICATOR}/page-*.json", at_least=0):
        frame = read_pages(paths, INDICATOR).drop_nulls("value")
        return {TABLE: frame.rename({"value": "gdp_usd"})}
    frame = read_csv_text(files(folder, "gdp.csv")[0], ("Country Name", "Country Code", "Year", "Value"))
    return {
        TABLE: frame.select(
            code="Country Code", year=pl.col("Year").cast(pl.Int32), gdp_usd=pl.col("Value").cast(pl.Float64)
        )
    }


SOURCE = Source(
    name="worldbank",
    publisher="World Bank",
    title="World Development Indicators, GDP (current US$), NY.GDP.MKTP.CD",
    licence="CC-BY-4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    homepage="https://data.worldbank.org/indicator/NY.GDP.MKTP.CD",
    citation="World Bank ({vintage}), World Development Indicators, NY.GDP.MKTP.CD",
    tables={TABLE: {"source": S, "vintage": S, "code": S, "year": pl.Int32(), "gdp_usd": pl.Float64()}},
    read=read,
    keeps="newest",
)
