"""Writes a zip with the layout of a CEPII BACI release from rows of a test, and takes BACI alone to ``trade_flow``."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from ingest.sources import sources, table_owner
from ingest.transforms import trade_flow

HEADER = "t,i,j,k,v,q"
COUNTRIES = (
    "country_code,country_name,country_iso2,country_iso3\n"
    "56,Belgium,BE,BEL\n58,Belgium-Luxembourg (...1998),BE,BEL\n156,China,CN,CHN\n392,Japan,JP,JPN\n"
    '490,"Other Asia, nes",,S19\n516,Namibia,NA,NAM\n842,USA,US,USA\n849,US Misc. Pacific Isds,PU,PUS\n'
)
# Printed as the release prints them: quoted, without the leading zero; the last is none of our codes.
PRODUCTS = (
    '"code","description"\n"10121","Horses: live"\n"284690","Rare earths, other"\n'
    '"850511","Magnets"\n"999999","Other"\n'
)


def row(year: int, i: int, j: int, k: str = "850511", v: str = "12.5", q: str = "0.25") -> str:
    return f"{year},{i},{j},{k},{v},{q}"


def write_release(
    folder: Path,
    years: Mapping[int, Iterable[str]],
    *,
    hs: str = "HS22",
    version: str = "V202601",
    replaced: Mapping[str, str | None] | None = None,
) -> Path:
    """Write ``BACI_<hs>_<version>.zip`` into ``folder``.

    Args:
        folder: made if it is not there.
        years: lines of each yearly file, without the header.
        hs: HS edition as CEPII writes it.
        version: release as CEPII writes it.
        replaced: content of members by name in place of the usual; None leaves a member out.
    """
    content: dict[str, str | None] = {
        f"BACI_{hs}_Y{year}_{version}.csv": "\n".join([HEADER, *lines]) + "\n" for year, lines in years.items()
    }
    content |= {
        f"country_codes_{version}.csv": COUNTRIES,
        f"product_codes_{hs}_{version}.csv": PRODUCTS,
        "Readme.txt": "Name of the dataset : BACI\n",
        **(replaced or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"BACI_{hs}_{version}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, text in content.items():
            if text is not None:
                pack.writestr(name, text)
    return path


def trade_flows(baci: Mapping[str, pl.DataFrame]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Canonical ``trade_flow`` and dropped rows when every source but BACI is empty."""
    owners, known = table_owner(), sources()
    empty = {
        name: pl.DataFrame(schema=dict(known[owners[name]].tables[name]))
        for name in trade_flow.INPUTS
        if name in owners
    }
    return trade_flow.build({**empty, **baci})
