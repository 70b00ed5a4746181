"""International Energy Agency, Critical Minerals dataset: mining and refining by country.

What belongs here: reading the supply part of the dataset and keeping its parsed footnotes from
passing as countries. What does not: the agency's policy tracker, whose terms are not open, and its
demand scenarios.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from ingest.errors import SourceChanged
from ingest.mapping import reference
from ingest.sources.base import Source, files

S = pl.String()
TABLE = "raw_iea__supply"
STEPS = ("mining", "refining")
RESIDUAL = "Rest of world"
TOTAL = "Total"
_TOP3_TOLERANCE = 0.0005
_SUPPLY: dict[str, pl.DataType] = {
    "source": S,
    "vintage": S,
    "product": S,
    "step": S,
    "line": S,
    "line_kind": S,
    "year": pl.Int32(),
    "quantity_kt": pl.Float64(),
}
Row = tuple[str, str, str, str, int, float | None]


def _footnote(product: str, step: str, line: str) -> str | None:
    """Return the label of a line that is a known footnote."""
    known = reference("iea_footnotes.csv").filter(product=product, step=step)
    return next(
        (label for opening, label in known.select("opens_with", "label").iter_rows() if line.startswith(opening)), None
    )


def _line_rows(product: str, step: str, line: str, figures: dict[str, float | None]) -> list[Row]:
    empty = all(value is None for value in figures.values())
    label = _footnote(product, step, line)
    if empty and label is None:
        raise SourceChanged(
            f"IEA {product} {step}: the line {line[:60]!r} has no figures. If it is a footnote, add its opening "
            "words to ingest/reference/iea_footnotes.csv."
        )
    if label is not None and not empty:
        raise SourceChanged(f"IEA {product} {step}: {line[:60]!r} is listed as a footnote but has figures.")
    if label is not None:
        return [(product, step, label, "footnote", int(next(iter(figures))), None)]
    kind = "residual" if line == RESIDUAL else "country"
    return [(product, step, line, kind, int(year), value) for year, value in figures.items()]


def _check_top3(product: str, step: str, rows: list[Row], part: dict[str, Any]) -> None:
    """Hold the printed share of the three largest countries against the lines, in the base year.

    Later years keep the base year's three countries, so they are not the largest of those years.
    """
    year = min(part["total"])
    listed = sorted((row[5] or 0.0 for row in rows if row[3] == "country" and row[4] == int(year)), reverse=True)
    found, share = sum(listed[:3]) / part["total"][year], part["top3Share"][year]
    if abs(found - share) > _TOP3_TOLERANCE:
        raise SourceChanged(
            f"IEA {product} {step} {year}: top three are {found:.4f} of the total, printed {share:.4f}."
        )


def _step_rows(product: str, step: str, part: dict[str, Any]) -> list[Row]:
    if set(part) != {"countries", "total", "top3Share"}:
        raise SourceChanged(f"IEA {product} {step}: expected countries, total and top3Share, found {sorted(part)}.")
    rows = [row for line, figures in part["countries"].items() for row in _line_rows(product, step, line, figures)]
    _check_top3(product, step, rows, part)
    return [*rows, *((product, step, TOTAL, "total", int(year), value) for year, value in part["total"].items())]


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read mining and refining by country.

    Args:
        folder: raw vintage with ``iea.json``; the policy tracker beside it is never read.
        vintage: edition of the dataset.

    Returns:
        ``raw_iea__supply``: thousand tonnes contained by product, step, line and year (years after the
        base year are the agency's base case). ``line_kind`` is country, residual, total or footnote; a
        footnote is one row with a label of ours and no figure.

    Raises:
        SourceChanged: the shape differs, a line without figures is no known footnote, a known footnote
            is gone, or the printed top-three share does not follow from the lines.
    """
    supply = json.loads(files(folder, "iea.json")[0].read_text(encoding="utf-8")).get("supply", {})
    rows: list[Row] = []
    for product, parts in supply.items():
        if tuple(parts) != STEPS:
            raise SourceChanged(f"IEA {product}: expected {STEPS}, found {tuple(parts)}.")
        rows += [row for step, part in parts.items() for row in _step_rows(product, step, part)]
    schema = {name: kind for name, kind in _SUPPLY.items() if name not in ("source", "vintage")}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    found, listed = frame.filter(line_kind="footnote").height, reference("iea_footnotes.csv").height
    if found != listed:
        raise SourceChanged(
            f"IEA {vintage}: {found} of {listed} footnotes in ingest/reference/iea_footnotes.csv occur; drop the rest."
        )
    return {TABLE: frame}


SOURCE = Source(
    name="iea",
    publisher="International Energy Agency",
    title="Critical Minerals dataset",
    licence="CC-BY-4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    homepage="https://www.iea.org/data-and-statistics/data-product/critical-minerals-dataset",
    citation="IEA ({vintage}), Critical Minerals dataset",
    tables={TABLE: _SUPPLY},
    read=read,
)
