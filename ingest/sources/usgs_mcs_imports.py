"""US import sources of the USGS Mineral Commodity Summaries (MCS), as printed.

What belongs here: shares of imports by country and form, which editions from 2026 on print in the
long csv. Earlier editions print them in the chapter's text only; machine-readable are, in their
net-import-reliance figure, the main countries in order of share, without the shares: those give
rows with a ``rank`` and no token. What does not: the meaning of a form (``reference/mcs_import_form_map.csv``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ingest.errors import SourceChanged
from ingest.sources.base import files
from ingest.sources.usgs_mcs_world import long_rows, table_rows

S, N = pl.String(), pl.Int32()
TABLE = "raw_usgs_mcs__import_sources"

# `rank` is the country's place in the printed order; `form` is null where the print names none.
IMPORT_TABLES: dict[str, dict[str, pl.DataType]] = {
    TABLE: {
        "source": S, "vintage": S, "commodity": S, "form": S, "country": S, "first_year": N, "last_year": N,
        "rank": N, "printed": S, "unit": S,
    }
}  # fmt: skip
Row = tuple[str, str | None, str, int, int, int, str | None, str]

_LONG, _FIGURE = "*_[Cc]ommodities_[Dd]ata.csv", "*_Fig2_Net_Import_Reliance.csv"
_YEARS = re.compile(r"^(20\d\d)–(\d\d)$")
_FIGURE_YEARS = re.compile(r"^Major_Import_Sources_(20\d\d)_(20\d\d)$")


def read_imports(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read the import sources of one edition.

    Args:
        folder: raw vintage with the publisher's own files, in any sub-folders.
        vintage: edition, e.g. ``2026``.

    Returns:
        ``raw_usgs_mcs__import_sources``, one row per commodity, form and country.

    Raises:
        SourceChanged: a file or column is missing or of another shape.
    """
    if long_files := files(folder, _LONG, at_least=0):
        rows = [row for path in long_files for row in _long_shares(path)]
    else:
        rows = [row for path in files(folder, _FIGURE) for row in _figure_names(path)]
    schema = {name: kind for name, kind in IMPORT_TABLES[TABLE].items() if name not in ("source", "vintage")}
    return {TABLE: pl.DataFrame(rows, schema=schema, orient="row")}


def _long_shares(path: Path) -> Iterator[Row]:
    seen: dict[tuple[str, str], int] = {}
    for row in long_rows(path):
        if row["Section"] != "Import Sources":
            continue
        years = _YEARS.match(row["Year"])
        if years is None or row["Unit"] != "percent":
            raise SourceChanged(f"{path.name}: import sources of {row['Commodity']} in {row['Unit']}, {row['Year']}.")
        key = row["Commodity"], row["Statistics_detail"]
        seen[key] = seen.get(key, 0) + 1
        first, last = int(years[1]), int(years[1][:2] + years[2])
        yield *key, row["Country"], first, last, seen[key], row["Value"], "percent"


def _figure_names(path: Path) -> Iterator[Row]:
    header, rows = table_rows(path)
    years = next((match for name in header if (match := _FIGURE_YEARS.match(name))), None)
    if years is None or "Commodity" not in header:
        raise SourceChanged(f"{path.name}: no column Commodity or Major_Import_Sources_<year>_<year> in {header}.")
    names, commodity = header.index(years.string), header.index("Commodity")
    for row in rows:
        for rank, country in enumerate(row[names].split(", "), start=1):
            if row[commodity] and country:
                yield row[commodity], None, country, int(years[1]), int(years[2]), rank, None, "percent"
