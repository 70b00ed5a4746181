"""World Bank, World Development Indicators: gross domestic product.

What belongs here: reading GDP in current US dollars, and the pages in which the World Bank's
interface answers (the governance indicators come in the same ones). What does not: which codes are
countries, and asking for the pages (``ingest.clients.paged``).
"""

from __future__ import annotations

import json
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
            said = "; ".join(f"{item.get('id')} {item.get('key')}: {item.get('value')}" for item in messages)
            raise SourceChanged(f"{where}: the World Bank answers with a message, not with figures ({said}).")
        case [dict(head), list() | None as rows] if {"page", "pages", "total"} <= head.keys():
            pass
        case _:
            raise SourceChanged(f"{where}: expected [head, rows] of the World Bank's interface, found {content!r:.80}.")
    for row in rows or []:
        if new := sorted(set(row) - _FIELDS - {"scale"}) or sorted(_FIELDS - set(row)):
            raise SourceChanged(f"{where}: fields {new} are new or missing in a row; its reader must learn them first.")
        if odd := {name: row[name] for name in _BLANK if row.get(name) not in (None, "")}:
            raise SourceChanged(f"{where}: a figure is marked {odd}, which its reader does not know: {row!r:.200}.")
        if not isinstance(row["value"], int | float | None):
            raise SourceChanged(f"{where}: the figure {row['value']!r} is no number.")
    try:
        number, pages, total = (int(head[name]) for name in ("page", "pages", "total"))
    except (TypeError, ValueError):
        raise SourceChanged(f"{where}: the head of a page counts in something else than numbers: {head}.") from None
    return Page(number, pages, total, str(head.get("lastupdated") or ""), rows or [])


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
        except ValueError as error:
            raise SourceChanged(f"{path.name}: not JSON ({error}).") from None
        for row in page(content, f"{path.parent.name}/{path.name}").rows:
            name, code, period = row_key(row)
            if name != indicator or not period.isdigit():
                raise SourceChanged(f"{path}: a row of {name} for {period!r}, expected {indicator} for a year.")
            found.append((code, int(period), row["value"]))
    return pl.DataFrame(found, schema={"code": S, "year": pl.Int32(), "value": pl.Float64()}, orient="row")


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
