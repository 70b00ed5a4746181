"""Country names and codes of every publisher to ISO 3166 alpha-3.

``WLD`` is a printed world total, ``OTH`` other or unspecified, ``EUU`` the European Union; a blank
never occurs. The mapping is data: ``reference/countries.csv`` and ``reference/country_aliases.csv``.
"""

from __future__ import annotations

from functools import cache

import polars as pl

from ingest.errors import UnmappedValue
from ingest.home import REFERENCE


@cache
def countries() -> pl.DataFrame:
    """Return ``iso3, iso2, m49, name, kind, eu_member``, one row per country or aggregate."""
    # Namibia's alpha-2 code is the text "NA", so only an empty field is missing.
    return pl.read_csv(
        REFERENCE / "countries.csv",
        schema_overrides={"m49": pl.Int32, "eu_member": pl.Boolean},
        null_values=[""],
    )


@cache
def _by_name() -> dict[str, str]:
    table = countries()
    names = {name.casefold(): iso3 for name, iso3 in table.select("name", "iso3").iter_rows()}
    aliases = pl.read_csv(REFERENCE / "country_aliases.csv", null_values=[""])
    names |= {alias.casefold(): iso3 for alias, iso3 in aliases.select("alias", "iso3").iter_rows()}
    return names


def _replace(frame: pl.DataFrame, column: str, known: dict[str, str], what: str, file: str) -> pl.DataFrame:
    unique = frame[column].unique().to_list()
    found = {value: known.get(str(value).strip().casefold()) for value in unique}
    lost = sorted(str(value) for value, iso3 in found.items() if iso3 is None)
    if lost:
        raise UnmappedValue(what, lost, file)
    return frame.with_columns(
        pl.col(column).replace_strict(list(found), list(found.values()), return_dtype=pl.String).alias("iso3")
    )


def with_iso3(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Add ``iso3`` from country names in ``column`` (case and outer blanks do not matter).

    Raises:
        UnmappedValue: a name (or a null) that ``country_aliases.csv`` does not cover.
    """
    return _replace(frame, column, _by_name(), "country name", "country_aliases.csv")


def with_iso3_from_iso2(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Add ``iso3`` from ISO alpha-2 codes in ``column``.

    Raises:
        UnmappedValue: a code that ``countries.csv`` does not hold.
    """
    table = countries().filter(pl.col("iso2").is_not_null())
    known = {iso2.casefold(): iso3 for iso2, iso3 in table.select("iso2", "iso3").iter_rows()}
    return _replace(frame, column, known, "country code", "countries.csv")
