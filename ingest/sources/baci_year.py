"""One yearly file of a CEPII BACI release: every row proven, the mapped codes kept.

What belongs here: the file's layout and the one pass over it. What does not: which files a release
has, units and countries (``baci_release.py``).

A year has eleven million rows. They pass in batches; all of them are proven in the same pass that
picks the few of mapped codes, so memory holds one batch, what was kept, and a number for each row.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.errors import SourceChanged
from ingest.sources.census import used_codes

HEADER = "t,i,j,k,v,q"
# Weights stay text until the few rows we keep are known: a missing one is blanks and "NA".
_SCHEMA = {"t": pl.UInt16(), "i": pl.UInt16(), "j": pl.UInt16(), "k": pl.UInt32(), "v": pl.Float64(), "q": pl.String()}
# UN country numbers have three digits, HS codes six.
_COUNTRY_NUMBERS, _PRODUCT_NUMBERS = 1_000, 1_000_000
# Stays negative with the cells of the other two added to it, and within 32 bits with theirs missing too.
_NOT_LISTED = -(2**29)
Cells = NDArray[np.int32]


@dataclass(frozen=True)
class Lookup:
    """The code lists as arrays, so that a batch of rows is looked up at once.

    Every flow that can be has a cell: ``exporter[i] + importer[j] + product[k]``, negative when the
    release does not list one of the three. ``wanted[k]`` tells the mapped codes.
    """

    exporter: Cells
    importer: Cells
    product: Cells
    wanted: NDArray[np.bool_]
    cells: int


def lookup_of(countries: Collection[int], products: Collection[int]) -> Lookup:
    """Turn a release's country numbers and HS6 codes, and the stage map's codes, into a lookup.

    Raises:
        SourceChanged: half again as many codes as any HS edition has; the cells would not fit 32 bits.
    """
    if (size := len(countries) ** 2 * len(products)) > -_NOT_LISTED:
        raise SourceChanged(f"{len(countries)} countries and {len(products)} products are too many.")

    def cells(numbers: Collection[int], size: int, step: int) -> Cells:
        # One place more: numbers beyond the range are clipped to it, and so are never found.
        table = np.full(size + 1, _NOT_LISTED, np.int32)
        table[sorted(numbers)] = np.arange(len(numbers)) * step
        return table

    wanted = np.zeros(_PRODUCT_NUMBERS + 1, np.bool_)
    wanted[[int(code) for code in used_codes() if len(code) == 6]] = True
    return Lookup(
        exporter=cells(countries, _COUNTRY_NUMBERS, len(countries) * len(products)),
        importer=cells(countries, _COUNTRY_NUMBERS, len(products)),
        product=cells(products, _PRODUCT_NUMBERS, 1),
        wanted=wanted,
        cells=size,
    )


def scan_year(path: Path, year: int, lookup: Lookup) -> tuple[pl.DataFrame, int]:
    """Read one yearly file in one pass, every row proven.

    Args:
        path: the unpacked member.
        year: the year in its name.
        lookup: from the release's code lists.

    Returns:
        Rows of the mapped codes (``t, i, j, k, v, q`` as printed, ``q`` text), and the number of all rows.

    Raises:
        SourceChanged: names the file and the line or value that is not as a release has it.
    """
    with path.open(encoding="utf-8", errors="replace") as stream:
        if (header := stream.readline().rstrip("\r\n")) != HEADER:
            raise SourceChanged(f"{path.name}: header {header!r}, expected {HEADER!r}.")
    kept, met, rows = [pl.DataFrame(schema=_SCHEMA)], list[Cells](), 0
    try:
        for batch in pl.scan_csv(path, schema=_SCHEMA, glob=False).collect_batches(engine="streaming"):
            if batch.is_empty():
                continue
            if (cells := _cells(batch, year, lookup)) is None:
                raise SourceChanged(f"{path.name} {_first_bad(batch, year, lookup, rows)}.")
            met.append(cells)
            kept.append(batch.filter(pl.Series(lookup.wanted.take(batch["k"].to_numpy()))))
            rows += batch.height
    except pl.exceptions.PolarsError as error:
        raise SourceChanged(f"{path.name}: {str(error).splitlines()[0]}.") from None
    if not rows:
        raise SourceChanged(f"{path.name}: no rows.")
    if _repeats(met, lookup.cells):
        raise SourceChanged(f"{path.name} {_first_repeated(path)}.")
    return pl.concat(kept, rechunk=True), rows


def _cells(batch: pl.DataFrame, year: int, lookup: Lookup) -> Cells | None:
    """Return the cell of every row; None when some row is not as it must be."""
    if any(batch[name].null_count() for name in "tijkv"):
        return None
    t, i, j, k, v = (batch[name].to_numpy() for name in "tijkv")
    cells = lookup.exporter.take(i, mode="clip")
    cells += lookup.importer.take(j, mode="clip")
    cells += lookup.product.take(k, mode="clip")
    well = t.min() == t.max() == year and cells.min() >= 0 and v.min() > 0 and v.max() < np.inf
    return cells if well else None


def _first_bad(batch: pl.DataFrame, year: int, lookup: Lookup, before: int) -> str:
    """Say which row of a batch is not as it must be; ``before`` rows came earlier."""
    countries, products = (np.flatnonzero(table >= 0).tolist() for table in (lookup.exporter, lookup.product))
    v = pl.col("v")
    checks = (
        (pl.any_horizontal(pl.col("t", "i", "j", "k", "v").is_null()), "a field is blank"),
        (pl.col("t") != year, f"t is not {year}"),
        (~pl.col("i").is_in(countries), "i is not in the country codes"),
        (~pl.col("j").is_in(countries), "j is not in the country codes"),
        (~pl.col("k").is_in(products), "k is not in the product codes"),
        (~((v > 0) & v.is_finite()), "v is not a number above 0"),
    )
    # The header is line 1.
    numbered = batch.with_row_index("line", before + 2)
    line, *fields, reason = next(
        (*found.row(0), reason) for wrong, reason in checks if (found := numbered.filter(wrong)).height
    )
    return f"line {line}: {reason}: {','.join('' if field is None else str(field) for field in fields)}"


def _repeats(met: list[Cells], size: int) -> bool:
    """Tell whether a cell occurs twice."""
    # In a file in order of i, j, k neighbours tell; any other order takes a mark for every cell there is.
    rises = all((cells[1:] > cells[:-1]).all() for cells in met)
    if rises and all(before[-1] < after[0] for before, after in pairwise(met)):
        return False
    marks = np.zeros(size, np.bool_)
    for cells in met:
        marks[cells] = True
    return bool(np.count_nonzero(marks) < sum(map(len, met)))


def _first_repeated(path: Path) -> str:
    """Name the first flow that stands twice, in a second pass: one is known to be there."""
    flows = pl.scan_csv(path, schema=_SCHEMA, glob=False, row_index_name="line", row_index_offset=2)
    twice = flows.group_by("t", "i", "j", "k").agg(pl.len(), pl.col("line").min(), again=pl.col("line").max())
    first = twice.filter(pl.col("len") > 1).sort("line").collect(engine="streaming").row(0, named=True)
    return f"lines {first['line']} and {first['again']} are one flow: {','.join(str(first[key]) for key in 'tijk')}"
