"""Canonical table ``ally``: whom each importer counts as an ally when it buys elsewhere.

What belongs here: reading ``allies.csv``, the project's or the user's own (``ORETRACE_HOME/user/allies.csv``,
which takes its place). What does not: who is an ally (data), and shares (``tracing.diversification``).
"""

from __future__ import annotations

import polars as pl

from ingest.countries import countries
from ingest.home import REFERENCE, Home
from ingest.schemas import CANONICAL
from ingest.transforms.base import Frames, Transform, nothing_dropped
from ingest.user_files import Line, csv_lines

TABLE = "ally"
FILE = "allies.csv"
_COLUMNS = ("importer", "ally", "source", "since")
_READ = ("importer", "ally", "since", "reference")
_FIRST_YEAR, _LAST_YEAR = 1900, 2100


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row per importer and ally; ``EUU`` on either side stands for every member of the Union.

    Raises:
        BadInput: a cell that is no country code, no year or empty, or a pair that repeats, with line and column.
    """
    own = Home.from_environment().root / "user" / FILE
    origin, path = ("user", own) if own.is_file() else ("reference", REFERENCE / FILE)
    seen: set[tuple[str, str]] = set()
    rows = [_row(line, seen) for line in csv_lines(path, _COLUMNS)]
    frame = pl.DataFrame(rows, schema={name: CANONICAL[TABLE].columns[name] for name in _READ}, orient="row")
    evidence = "assumed" if origin == "user" else "reported"
    return frame.with_columns(origin=pl.lit(origin), evidence=pl.lit(evidence)), nothing_dropped()


def _row(line: Line, seen: set[tuple[str, str]]) -> tuple[str, str, int, str]:
    """One line, held to its contract; ``seen`` are the pairs of the lines before."""
    known = set(countries().filter((pl.col("kind") == "country") | (pl.col("iso3") == "EUU"))["iso3"])
    for column in ("importer", "ally"):
        if line.cells[column] not in known:
            raise line.refuse(column, "an ISO 3166 alpha-3 code such as JPN, or EUU for the European Union")
    importer, ally, since = (line.cells[name] for name in ("importer", "ally", "since"))
    if importer == ally:
        raise line.refuse("ally", "another country than the importer")
    if (importer, ally) in seen:
        raise line.refuse("ally", f"each ally of {importer} once")
    seen.add((importer, ally))
    if not (since.isdecimal() and _FIRST_YEAR <= int(since) <= _LAST_YEAR):
        raise line.refuse("since", "the first year it counts, such as 2022")
    if not line.cells["source"]:
        raise line.refuse("source", "where it stands, or who says so")
    return importer, ally, int(since), line.cells["source"]


TRANSFORM = Transform(
    table=TABLE,
    inputs=(),
    build=build,
    description="Allies by importer, first year and source, for the allied share of supply (methods section 6); "
    "ORETRACE_HOME/user/allies.csv takes the place of the project's table.",
)
