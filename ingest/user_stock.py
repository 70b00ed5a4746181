"""The user's own stock figures, ``ORETRACE_HOME/user/stock.csv``: read whole or refused whole.

What belongs here: the file's columns and every check of it. What does not: what the stock is worth in days
(``tracing.cover``). The file is optional; docs/marts/stockpile_cover.md holds a template.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path

import polars as pl

from ingest.countries import countries
from ingest.errors import BadInput
from ingest.home import Home
from ingest.mapping import reference

SOURCE = "user"
REQUIRED = ("holder", "material", "form", "quantity", "unit", "as_of", "source")
OPTIONAL = ("basis", "note")
TONNES = {"t": 1.0, "kg": 0.001}
NOT_HOLDERS = ("WLD", "OTH")
SHOWN = 10
SCHEMA: dict[str, pl.DataType] = {
    "holder": pl.String(),
    "material": pl.String(),
    "form": pl.String(),
    "quantity_t": pl.Float64(),
    "as_of": pl.Date(),
    "reference": pl.String(),
    "note": pl.String(),
    "source": pl.String(),
    "vintage": pl.String(),
    "evidence": pl.String(),
}

Row = Mapping[str, str]


@dataclass(frozen=True)
class Problem:
    """One thing wrong in the file; ``line`` counts from 1, the header included."""

    line: int
    column: str
    expected: str
    found: str

    def __str__(self) -> str:
        """Say it in one line."""
        place = f"line {self.line}, column {self.column}" if self.column else f"line {self.line}"
        return f"{place}: expected {self.expected}, found {self.found}"


def path_of(home: Home) -> Path:
    """Return where the file is looked for."""
    return home.root / "user" / "stock.csv"


def read_user_stock(home: Home) -> pl.DataFrame:
    """Read the user's stock figures.

    Args:
        home: the program's folder.

    Returns:
        ``holder`` (ISO 3166 alpha-3), ``material, form`` (a stage), ``quantity_t`` (tonnes contained, in the
        material's basis), ``as_of, reference`` (the user's word for the source), ``note``, ``source`` (``user``),
        ``vintage`` (the day of ``as_of``), ``evidence`` (``reported``). No rows where there is no file.

    Raises:
        BadInput: anything wrong; the message names file, line and column, what was expected and found.
    """
    path = path_of(home)
    if not path.exists():
        return pl.DataFrame(schema=SCHEMA)
    rows = list(_cells(path, _text(path)))
    if not rows:
        raise _refusal(path, [Problem(2, "", "at least one row of figures below the header", "none")])
    problems = [problem for line, row in rows for problem in _check(line, row)] + _repeated(rows)
    if problems:
        raise _refusal(path, sorted(problems, key=lambda problem: problem.line))
    return pl.DataFrame([_holding(row) for _, row in rows], schema=SCHEMA, orient="row").sort(
        "holder", "material", "form"
    )


def _refusal(path: Path, problems: list[Problem]) -> BadInput:
    more = f"\n... and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    lines = "\n".join(str(problem) for problem in problems[:SHOWN])
    return BadInput(
        f"{path} is refused and nothing of it is published:\n{lines}{more}\n"
        "Correct the file, or move it away to run without it. Its columns: docs/marts/stockpile_cover.md."
    )


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}). Expected a csv file, or none.") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        found = f"byte 0x{raw[error.start]:02x} at position {column} of the line"
        raise _refusal(path, [Problem(line, "", "text in UTF-8", found)]) from None


def _cells(path: Path, text: str) -> Iterator[tuple[int, Row]]:
    """Lines below the header as (number of the line, cells by column); blank lines are passed over."""
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if problems := _check_header(header):
            raise _refusal(path, problems)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                found = f"{len(cells)} cells (a decimal point is a point, text with a comma stands in quotes)"
                raise _refusal(path, [Problem(reader.line_num, "", f"{len(header)} cells", found)])
            yield reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        raise _refusal(path, [Problem(reader.line_num, "", "comma-separated cells", str(error))]) from None


def _check_header(header: list[str]) -> list[Problem]:
    if not any(header):
        return [Problem(1, "", f"the columns {', '.join(REQUIRED)}", "an empty file")]
    missing = [Problem(1, name, "this column", f"only {', '.join(header)}") for name in REQUIRED if name not in header]
    known = f"one of {', '.join(REQUIRED + OPTIONAL)}"
    unknown = [Problem(1, repr(name), known, repr(name)) for name in header if name not in REQUIRED + OPTIONAL]
    twice = [Problem(1, name, "each column once", "it twice") for name in REQUIRED + OPTIONAL if header.count(name) > 1]
    return missing + unknown + twice


def _holders() -> list[str]:
    return [code for code in countries()["iso3"].to_list() if code not in NOT_HOLDERS]


def _check(line: int, row: Row) -> Iterator[Problem]:
    checks: dict[str, Callable[[str], str | None]] = {
        "holder": lambda text: None if text in _holders() else "an ISO 3166 alpha-3 code in capitals, such as USA",
        "material": lambda text: _listed(text, "materials.csv", "material"),
        "form": lambda text: _listed(text, "stages.csv", "stage"),
        "quantity": _quantity_problem,
        "unit": lambda text: None if text in TONNES else f"one of {', '.join(TONNES)}",
        "as_of": _day_problem,
        "source": lambda text: None if text else "where the figure is from",
    }
    for column, check in checks.items():
        if expected := check(row[column]):
            yield Problem(line, column, expected, repr(row[column]))
    basis = dict(reference("materials.csv").select("material", "basis").iter_rows()).get(row["material"])
    if row.get("basis") and basis and row["basis"] != basis:
        yield Problem(line, "basis", f"{basis!r}, the basis of {row['material']}, or nothing", repr(row["basis"]))


def _listed(text: str, file: str, column: str) -> str | None:
    known = reference(file)[column].to_list()
    if text in known:
        return None
    choice = f": {', '.join(known)}" if len(known) <= SHOWN else f" of ingest/reference/{file}"
    return f"a {column}{choice}"


def _quantity_problem(text: str) -> str | None:
    if re.fullmatch(r"[0-9]+,[0-9]+", text):
        return "a number with a decimal point and without thousands separators"
    if re.fullmatch(r"-[0-9.]+", text):
        return "a quantity of at least 0"
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) and math.isfinite(float(text)):
        return None
    return "a number such as 1200 or 0.5"


def _day_problem(text: str) -> str | None:
    expected = "a day as YYYY-MM-DD"
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else None
    except ValueError:
        day = None
    if day is None:
        return expected
    return None if day <= datetime.now(UTC).date() else f"{expected}, not later than today"


def _repeated(rows: list[tuple[int, Row]]) -> list[Problem]:
    first: dict[tuple[str, ...], int] = {}
    problems = []
    for line, row in rows:
        key = (row["holder"], row["material"], row["form"])
        if key in first:
            expected = "one row per holder, material and form"
            problems.append(Problem(line, "holder, material, form", expected, f"that of line {first[key]} again"))
        first.setdefault(key, line)
    return problems


def _holding(row: Row) -> tuple[object, ...]:
    tonnes = float(row["quantity"]) * TONNES[row["unit"]]
    day = date.fromisoformat(row["as_of"])
    names = (row["holder"], row["material"], row["form"])
    return (*names, tonnes, day, row["source"], row.get("note") or None, SOURCE, row["as_of"], "reported")
