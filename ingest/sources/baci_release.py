"""CEPII BACI as CEPII releases it: one zip of yearly files with every flow of the world, or those files unpacked.

What belongs here: what a complete release is, and its source tables, made one year at a time. What
does not: the pass over a yearly file (``baci_year.py``), the small extracts of a release
(``baci.py``), unpacking (``net/archive.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from ingest.ahead import ahead
from ingest.errors import SourceChanged
from ingest.net.archive import members, unpacked
from ingest.sources.baci_year import HEADER, lookup_of, scan_year
from ingest.sources.base import files

ARCHIVE = "BACI_HS*.zip"
UNPACKED = "BACI_HS*_Y*.csv"
CHECKS = (
    "every year from the edition's first to two before the release, without a gap",
    "country and product codes there",
    f"header {HEADER}",
    "year of the file = t",
    "every i and j in the country codes",
    "every k in the product codes",
    "v > 0",
    "no (t, i, j, k) twice",
    "release in every name = vintage",
)
_NAME = re.compile(r"BACI_HS(?P<hs>\d\d)_(?P<version>V\d{6}[a-z]?)\.zip")
_YEAR = re.compile(r"BACI_HS(?P<hs>\d\d)_Y(?P<year>\d{4})_(?P<version>V\d{6}[a-z]?)\.csv")
# Releases reach two years back: V202601 ends in 2024, V202501 in 2023.
_LAG = 2
Made = TypeVar("Made")
_KEY = ["year", "exporter", "importer", "hs_code"]


@dataclass(frozen=True)
class Release:
    """The parts of one release.

    Attributes:
        archive: the zip file, or the folder of its members.
        edition: HS edition as ``HS2017``.
        years: year to the name of its member, in order.
        iso3: country number to the alpha-3 code that the release gives it.
        products: HS6 codes as numbers.
    """

    archive: Path
    edition: str
    years: dict[int, str]
    iso3: dict[int, str]
    products: frozenset[int]


def holds_release(folder: Path) -> bool:
    """Tell whether a raw vintage is a release (a zip of CEPII's, or what was in it) and not an extract."""
    return any(folder.rglob(ARCHIVE)) or any(folder.rglob(UNPACKED))


def open_release(folder: Path, vintage: str) -> Release:
    """Find the release in a raw vintage, hold its members' names to it, and read its code lists.

    Raises:
        SourceChanged: not exactly one zip or one folder of its files, a name of another release or edition, an
            unknown member, a year missing, or a code list that is missing or of another shape.
    """
    place, name = _found(folder, vintage)
    version = name["version"]
    # A vintage of the same release that CEPII replaced may bear a mark after the release's name.
    if not re.fullmatch(rf"{version}(\W.*)?", vintage):
        raise SourceChanged(f"{place}: release {version}, but the vintage is {vintage}.")
    held = _loose(place) if place.is_dir() else {item.name for item in members(place)}
    countries, products = f"country_codes_{version}.csv", f"product_codes_HS{name['hs']}_{version}.csv"
    years = _years(place, held, name["hs"], version, {countries, products})
    return Release(
        archive=place,
        edition=f"HS{_edition_year(name['hs'])}",
        years=years,
        iso3=_countries(place, countries),
        products=_products(place, products),
    )


def _found(folder: Path, vintage: str) -> tuple[Path, re.Match[str]]:
    """Return the zip, or the folder of unpacked files, and the match of its name or of a yearly file's."""
    zips, loose = sorted(folder.rglob(ARCHIVE)), sorted(folder.rglob(UNPACKED))
    place, pattern = (loose[0].parent, _YEAR) if loose else (files(folder, ARCHIVE)[0], _NAME)
    name = pattern.fullmatch(loose[0].name if loose else place.name)
    apart = {path.parent for path in loose}
    if len(zips) + len(apart) > 1 or not name:
        odd = ", ".join(path.name for path in [*zips, *loose][:5])
        raise SourceChanged(
            f"{folder}: expected one BACI_HSxx_{vintage}.zip, found {odd}; unpacked files lie in one folder, alone."
        )
    return place, name


def _loose(place: Path) -> set[str]:
    """Return the files of an unpacked release; the sidecar of a raw vintage is none of them."""
    return {path.name for path in place.iterdir() if not path.name.startswith(".") and path.name != "vintage.json"}


def _member(archive: Path, name: str) -> AbstractContextManager[Path]:
    """Give a member as a file: the one of the folder, or a temporary one out of the zip."""
    return nullcontext(archive / name) if archive.is_dir() else unpacked(archive, name)


def _edition_year(hs: str) -> int:
    return int(hs) + (1900 if int(hs) > 80 else 2000)


def _years(archive: Path, names: set[str], hs: str, version: str, codes: set[str]) -> dict[int, str]:
    """Return the yearly members after proving that none is missing and that nothing else is there."""
    years = {int(match["year"]): name for name in sorted(names) if (match := _YEAR.fullmatch(name))}
    expected = {f"BACI_HS{hs}_Y{year}_{version}.csv" for year in years} | codes
    if absent := codes - names:
        raise SourceChanged(f"{archive}: lacks {', '.join(sorted(absent))}.")
    odd = sorted(name for name in names - expected if name.casefold() != "readme.txt")
    if odd:
        raise SourceChanged(f"{archive}: members that are no part of release {version} of HS{hs}: {', '.join(odd)}.")
    # The files of the first edition, HS92, begin in 1995.
    first, last = max(_edition_year(hs), 1995), max([*years, int(version[1:5]) - _LAG])
    if gaps := sorted(set(range(first, last + 1)) - set(years)):
        raise SourceChanged(f"{archive}: lacks years {', '.join(map(str, gaps))} of {first}-{last}.")
    if early := [year for year in years if year < first]:
        raise SourceChanged(f"{archive}: years {early} before HS{hs} began in {first}.")
    return years


def _table(archive: Path, name: str, columns: list[str]) -> pl.DataFrame:
    """Read a code list as text; no cell of it is taken for missing (Namibia's alpha-2 code is NA)."""
    with _member(archive, name) as path:
        try:
            frame = pl.read_csv(path, infer_schema=False, encoding="utf8-lossy", empty_string_is_null=False)
        except pl.exceptions.PolarsError as error:
            raise SourceChanged(f"{archive}: {name}: {str(error).splitlines()[0]}.") from None
    if frame.columns != columns:
        raise SourceChanged(f"{archive}: {name} has columns {frame.columns}, expected {columns}.")
    code = frame[columns[0]]
    if (twice := code.filter(code.is_duplicated())).len():
        raise SourceChanged(f"{archive}: {name} lists code {twice[0]} twice.")
    return frame


def _countries(archive: Path, name: str) -> dict[int, str]:
    columns = ["country_code", "country_name", "country_iso2", "country_iso3"]
    frame = _table(archive, name, columns)
    well = pl.col("country_code").str.contains(r"^\d{1,3}$") & pl.col("country_iso3").str.contains(r"^[A-Z0-9]{3}$")
    if (odd := frame.filter(~well)).height:
        raise SourceChanged(f"{archive}: {name} has no number and alpha-3 code in the row {odd.row(0)}.")
    return {int(code): iso3 for code, iso3 in frame.select("country_code", "country_iso3").iter_rows()}


def _products(archive: Path, name: str) -> frozenset[int]:
    frame = _table(archive, name, ["code", "description"])
    # Older editions list "not specified" by a code with letters, which no flow bears.
    if (odd := frame.filter(~pl.col("code").str.contains(r"^[0-9]{1,4}[0-9A-Z]{2}$"))).height:
        raise SourceChanged(f"{archive}: {name} has a code that is none of the HS: {odd['code'][0]!r}.")
    return frozenset(int(code) for code in frame["code"] if code.isdigit())


def _passed(release: Release, make: Callable[[int, pl.DataFrame, int], Made]) -> Iterator[Made]:
    """Pass over every year; give what is made of the year, its rows of mapped codes and the number of all its rows."""

    def work(year: int) -> Made:
        with _member(release.archive, release.years[year]) as path:
            return make(year, *scan_year(path, year, lookup))

    try:
        lookup = lookup_of(release.iso3, release.products)
        yield from ahead(work, release.years)
    except SourceChanged as error:
        where = "" if str(release.archive) in str(error) else f"{release.archive}: "
        raise SourceChanged(f"{where}{error}") from None


def prove_release(folder: Path, vintage: str) -> dict[str, Any]:
    """Prove that a raw vintage is a complete release (``CHECKS``, on every row).

    Args:
        folder: holds ``BACI_HSxx_<vintage>.zip``.
        vintage: e.g. ``V202601``.

    Returns:
        ``hs_edition, years, rows, rows_by_year, countries, products`` (codes listed) and ``checks``.

    Raises:
        SourceChanged: a check fails; names the member and the line or value.
    """
    release = open_release(folder, vintage)
    rows_by_year = dict(_passed(release, lambda year, _, rows: (year, rows)))
    return {
        "hs_edition": release.edition,
        "years": list(release.years),
        "rows": sum(rows_by_year.values()),
        "rows_by_year": rows_by_year,
        "countries": len(release.iso3),
        "products": len(release.products),
        "checks": list(CHECKS),
    }


def flows_of(kept: pl.DataFrame, release: Release) -> pl.DataFrame:
    """Turn rows of a yearly file into flows: ``year, exporter, importer, hs_code, value_usd, quantity_gross_t``.

    Thousand USD become USD, a missing weight (blank or ``NA``) null. Countries bear the release's
    own alpha-3 code; numbers that share one (a country before and after a change of territory) are
    added up, without a weight where a part has none.

    Raises:
        SourceChanged: a weight is neither missing nor a number of tonnes.
    """
    weight = pl.col("q").str.strip_chars().replace(["", "NA"], [None, None])
    tonnes = weight.cast(pl.Float64, strict=False)
    odd = kept.filter(weight.is_not_null() & ~((tonnes >= 0) & tonnes.is_finite()).fill_null(False))
    if odd.height:
        raise SourceChanged(f"{release.archive}: q is no weight in the row {','.join(map(str, odd.row(0)))}.")
    codes = sorted(release.products)
    flows = kept.select(
        year=pl.col("t").cast(pl.Int32),
        exporter=pl.col("i").replace_strict(release.iso3, return_dtype=pl.String),
        importer=pl.col("j").replace_strict(release.iso3, return_dtype=pl.String),
        hs_code=pl.col("k").replace_strict(codes, [f"{code:06}" for code in codes], return_dtype=pl.String),
        value_usd=pl.col("v") * 1000,
        quantity_gross_t=tonnes,
    )
    numbers = set(kept["i"].unique()) | set(kept["j"].unique())
    if len({release.iso3[number] for number in numbers}) == len(numbers):
        return flows
    whole = pl.col("quantity_gross_t").is_not_null().all()
    return flows.group_by(_KEY, maintain_order=True).agg(
        pl.col("value_usd").sum(), quantity_gross_t=pl.when(whole).then(pl.col("quantity_gross_t").sum())
    )


def totals_of(flows: pl.DataFrame) -> pl.DataFrame:
    """Add flows up by year and code: for the world, and for every exporter and every importer.

    Trade of a country with itself counts in none, as it is no flow. Tonnes are those of the flows
    that have a weight, as in the world totals CEPII's figures are published with; null if none has.
    """
    weight = pl.col("quantity_gross_t")
    sums = [
        pl.col("value_usd").sum(),
        pl.when(weight.is_not_null().any()).then(weight.sum()).alias(weight.meta.output_name()),
    ]
    abroad = flows.filter(pl.col("exporter") != pl.col("importer"))
    parts = [abroad.group_by("year", "hs_code").agg(sums).with_columns(role=pl.lit("world"), iso3=pl.lit("WLD"))]
    for role in ("exporter", "importer"):
        parts.append(abroad.group_by("year", "hs_code", iso3=role).agg(sums).with_columns(role=pl.lit(role)))
    return pl.concat(parts, how="diagonal").sort("hs_code", "role", "iso3")


def tables_of(release: Release, years: Iterable[pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Make the source tables from what ``scan_year`` kept of each year.

    Returns:
        ``raw_baci__flows`` (scope ``all_pairs``, USD, tonnes) and ``raw_baci__totals``.
    """
    flows, totals = [], []
    for kept in years:
        flows.append(flows_of(kept, release))
        totals.append(totals_of(flows[-1]))
    edition = pl.lit(release.edition)
    return {
        "raw_baci__flows": pl.concat(flows).with_columns(hs_edition=edition, scope=pl.lit("all_pairs")),
        "raw_baci__totals": pl.concat(totals).with_columns(hs_edition=edition),
    }


def release_parts(folder: Path, vintage: str) -> Iterator[dict[str, pl.DataFrame]]:
    """Read the mapped codes of a release year by year, proving it in the same pass.

    Args:
        folder: holds ``BACI_HSxx_<vintage>.zip``, or the files that were in it.
        vintage: e.g. ``V202601``.

    Yields:
        As ``tables_of``, a year at a time.

    Raises:
        SourceChanged: as ``prove_release``, or a weight is no number.
    """
    release = open_release(folder, vintage)
    yield from _passed(release, lambda _, kept, __: tables_of(release, [kept]))


def read_release(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read all years as one, which a small release allows.

    Args:
        folder: as ``release_parts``, like ``vintage``.
        vintage: see ``folder``.

    Returns:
        As ``tables_of``.

    Raises:
        SourceChanged: as ``release_parts``.
    """
    release = open_release(folder, vintage)
    return tables_of(release, _passed(release, lambda _, kept, __: kept))
