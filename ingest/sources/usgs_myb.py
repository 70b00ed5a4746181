"""USGS Minerals Yearbook, rare earths: US trade by line and country, world mine output, ore mixes, long series.

What belongs here: the layout of the Yearbook workbook and of Data Series 140. What does not: what
a line means (``transforms/import_line.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from ingest.errors import SourceChanged
from ingest.sources.base import Source, files

S, INT = pl.String(), pl.Int32()
TRADE: dict[str, pl.DataType] = {
    "flow": S,
    "line": S,
    "label": S,
    "country": S,
    "year": INT,
    "gross_kg": S,
    "reo_kg": S,
    "value_usd": S,
    "source": S,
    "vintage": S,
}
MINE: dict[str, pl.DataType] = {"country": S, "year": INT, "reo_t": S, "mark": S, "source": S, "vintage": S}
MIX: dict[str, pl.DataType] = {
    "mineral": S,
    "country": S,
    "deposit": S,
    "element": S,
    "percent": S,
    "source": S,
    "vintage": S,
}
HISTORY: dict[str, pl.DataType] = {"statistic": S, "year": INT, "value": S, "unit": S, "source": S, "vintage": S}

# Sheets of trade by line: sheet name and flow.
_TRADE_SHEETS = (("T4", "X"), ("T5", "X"), ("T6", "M"), ("T7", "M"))
_CODE = re.compile(r"\d{4}\.\d{2}\.\d{4}")
_YEAR = re.compile(r"^(?:19|20)\d{2}$")
_REO = re.compile(r"^Total estimated .*equivalent content$", re.IGNORECASE)

Row = list[str]


def _cell(value: object) -> str:
    text = "" if value is None else str(value).replace("\xa0", " ").strip()
    return text.removesuffix(".0") if re.fullmatch(r"-?\d+\.0", text) else text


def _rows(path: Path, sheet: str) -> list[Row]:
    try:
        frame = pl.read_excel(
            path,
            sheet_name=sheet,
            engine="calamine",
            has_header=False,
            drop_empty_rows=False,
            drop_empty_cols=False,
            infer_schema_length=0,
        )
    except (ValueError, pl.exceptions.PolarsError) as error:
        raise SourceChanged(f"{path}: sheet {sheet} cannot be read ({error}).") from None
    return [[_cell(value) for value in row] for row in frame.iter_rows()]


def _year_columns(rows: list[Row], where: str) -> dict[int, int]:
    for row in rows:
        found = {int(text): column for column, text in enumerate(row) if _YEAR.match(text)}
        if len(found) >= 2:
            return found
    raise SourceChanged(f"{where}: no row with the years.")


@dataclass
class _Line:
    """One tariff line while its block is being read."""

    codes: list[str] = field(default_factory=list)
    label: str = ""

    @property
    def name(self) -> str:
        """Common stem of the block's codes; the code itself where there is one."""
        if len(self.codes) == 1:
            return self.codes[0]
        first, last = min(self.codes), max(self.codes)
        return next(first[:size] for size in range(len(first), 0, -1) if last.startswith(first[:size]))


def trade_lines(rows: list[Row], flow: str, where: str) -> Iterator[dict[str, object]]:
    """Read the blocks of a trade sheet: one per tariff line, countries, total, REO content of the total.

    Yields:
        One row per line, country (or ``Total``) and year; tokens as printed; kilograms and USD.
        ``reo_kg`` is given for totals only.
    """
    years = _year_columns(rows, where)
    line = _Line()
    totals: dict[int, dict[str, object]] = {}
    for row in rows:
        label = row[0].strip()
        codes = [code for cell in row[1:4] for code in _CODE.findall(cell)]
        if codes:
            line = _Line([*line.codes, *codes], line.label) if not label else _Line(codes, label.rstrip(":"))
        figures = {year: (row[column], row[column + 2]) for year, column in years.items()}
        if not line.codes or not any(token for pair in figures.values() for token in pair):
            continue
        if label.startswith(("Total,", "Grand total")):
            line = _Line()
        elif _REO.match(label):
            for year, (reo, _) in figures.items():
                yield {**totals[year], "reo_kg": reo}
            line, totals = _Line(), {}
        else:
            country = "Total" if codes else label
            for year, (gross, value) in figures.items():
                found = {
                    "flow": flow,
                    "line": line.name,
                    "label": line.label,
                    "country": country,
                    "year": year,
                    "gross_kg": gross,
                    "reo_kg": None,
                    "value_usd": value,
                }
                if country == "Total":
                    totals[year] = found
                else:
                    yield found


def world_mine(rows: list[Row], where: str) -> Iterator[dict[str, object]]:
    """Read world mine output by country (t REO, token and its mark as printed)."""
    years = _year_columns(rows, where)
    for row in rows:
        tokens = {year: row[column] for year, column in years.items()}
        if not all(tokens.values()) or all(token == str(year) for year, token in tokens.items()):
            continue
        # A footnote mark is glued to the country's name ("Australiae", "Indiae, 4").
        name = re.sub(r"(?:e|e, ?\d|\d)$", "", row[0]) if row[0] not in ("Total",) else "Total"
        marks = {year: row[column + 1] if column + 1 < len(row) else "" for year, column in years.items()}
        whole = "e" if re.search(r"(?<=[a-z])e(?:, ?\d)?$", row[0]) and name != row[0] else ""
        for year, token in tokens.items():
            mark = "".join(sorted({*marks[year], *whole} & {"e", "r"}))
            yield {"country": name, "year": year, "reo_t": token, "mark": mark}


def ore_mixes(rows: list[Row], where: str) -> Iterator[dict[str, object]]:
    """Read the element shares of source minerals (percent of total rare-earth oxide)."""
    head = next((row for row in rows if "La" in row and "Nd" in row), None)
    if head is None:
        raise SourceChanged(f"{where}: no row with the element symbols.")
    elements = {column: text for column, text in enumerate(head) if re.fullmatch(r"[A-Z][a-z]?", text)}
    mineral = country = ""
    for row in rows[rows.index(head) + 1 :]:
        if not any(row[column] for column in elements):
            continue
        mineral = mineral if row[0].startswith("Do.") else row[0]
        country = country if row[2].startswith("do.") else row[2]
        place = {
            "mineral": mineral,
            "country": country,
            "deposit": re.sub(r"(?<=[A-Za-z])\d+$", "", row[4]).rstrip(", "),
        }
        for column, element in elements.items():
            yield {**place, "element": element, "percent": row[column]}


def history(rows: list[Row], where: str) -> Iterator[dict[str, object]]:
    """Read the long US and world series (t REO and USD per tonne, as printed)."""
    head = next((row for row in rows if row[0] == "Year"), None)
    if head is None:
        raise SourceChanged(f"{where}: no row that starts with 'Year'.")
    wanted = ("Production", "Imports", "Exports", "Apparent consumption", "Unit value ($/t)", "World production")
    if missing := [name for name in wanted if name not in head]:
        raise SourceChanged(f"{where}: lacks columns {missing}.")
    for row in rows:
        if _YEAR.match(row[0]):
            for name in wanted:
                unit = "USD per t" if "$" in name else "t REO"
                statistic = re.sub(r"\W+", "_", name.split(" (")[0].lower())
                yield {"statistic": statistic, "year": int(row[0]), "value": row[head.index(name)], "unit": unit}


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read the Yearbook workbook of the vintage and Data Series 140."""
    book = files(folder, f"*myb{vintage}*rare_earths*.xlsx")[0]
    series = files(folder, "*ds140*rare_earths*.xlsx")[0]
    trade = [row for sheet, flow in _TRADE_SHEETS for row in trade_lines(_rows(book, sheet), flow, f"{book}, {sheet}")]
    tables: dict[str, tuple[list[dict[str, object]], dict[str, pl.DataType]]] = {
        "raw_usgs_myb__re_trade": (trade, TRADE),
        "raw_usgs_myb__world_mine": (list(world_mine(_rows(book, "T8"), f"{book}, T8")), MINE),
        "raw_usgs_myb__ore_mix": (list(ore_mixes(_rows(book, "T2"), f"{book}, T2")), MIX),
        "raw_usgs_myb__history": (list(history(_rows(series, "Rare earths"), str(series))), HISTORY),
    }
    return {
        name: pl.DataFrame(rows, schema={k: v for k, v in schema.items() if k not in ("source", "vintage")})
        for name, (rows, schema) in tables.items()
    }


SOURCE = Source(
    name="usgs_myb",
    publisher="United States Geological Survey",
    title="Minerals Yearbook, rare earths, and Data Series 140",
    licence="US-PD",
    licence_url="https://www.usgs.gov/information-policies-and-instructions/copyrights-and-credits",
    homepage="https://www.usgs.gov/centers/national-minerals-information-center/rare-earths-statistics-and-information",
    citation="USGS, Minerals Yearbook {vintage}, rare earths (advance tables)",
    tables={
        "raw_usgs_myb__re_trade": TRADE,
        "raw_usgs_myb__world_mine": MINE,
        "raw_usgs_myb__ore_mix": MIX,
        "raw_usgs_myb__history": HISTORY,
    },
    read=read,
)
