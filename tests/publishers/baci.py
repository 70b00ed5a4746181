"""CEPII as BACI's publisher: the two pages that lead to releases, and the zips.

What belongs here: the pages and serving files. What does not: the layout of a release
(``tests/baci_release.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from ingest.clients.baci import PAGES
from tests.baci_release import row, write_release
from tests.replay import Replay, Reply

FOLDER = "/DATA_DOWNLOAD/baci/data"
YEARS = range(2017, 2025)
LINK = '<a class="dl" href="{place}/BACI_HS{hs}_{release}.zip">HS{hs}</a>'


def page(*releases: str, place: str = FOLDER, hs: tuple[str, ...] = ("92", "17", "22")) -> bytes:
    """Print a page with links to releases, the newest first, amid what a page holds besides."""
    links = "\n".join(LINK.format(place=place, hs=edition, release=name) for name in releases for edition in hs)
    head = "<!DOCTYPE html><html lang='en'><head><title>CEPII - BACI</title></head>"
    return f"{head}<body>Donn\xe9es\n{links}\n</body></html>".encode("latin-1")


def serve(
    server: Replay, files: Mapping[str, Path], *, item: bytes | None = None, webpage: bytes | None = None
) -> None:
    """Answer on a replay server.

    Args:
        server: the publisher.
        files: release to its zip; looked up at every request.
        item: the catalogue's entry; by default links to ``files``.
        webpage: the page on BACI; by default without links.
    """
    pages = (page(*sorted(files, reverse=True)) if item is None else item, page() if webpage is None else webpage)
    for path, body in zip(PAGES, pages, strict=True):
        server.on(path.partition("?")[0], lambda _, body=body: Reply(body, kind="text/html; charset=iso-8859-1"))
    for name in files:
        server.on(
            f"{FOLDER}/BACI_HS17_{name}.zip",
            lambda _, name=name: Reply(files[name], kind="application/x-zip-compressed", validator=True),
        )


def release(folder: Path, version: str = "V202601", **more: Mapping[str, str | None]) -> Path:
    """Write a small release: one flow and one of no mapped code in every year."""
    years = {year: [row(year, 156, 842), row(year, 842, 156, "999999")] for year in YEARS}
    return write_release(folder, years, hs="HS17", version=version, **more)


def real_release(folder: Path, extract: Path) -> Path:
    """Write a release whose 2024 holds every real flow of the extract; the years before hold one made flow."""
    trade = pl.read_parquet(extract / "trade.parquet").filter(year=2024)
    codes = (extract / "country_codes_V202601.csv").read_text(encoding="utf-8")
    table = pl.read_csv(extract / "country_codes_V202601.csv", null_values=[""])
    number = dict(table.select("country_iso3", "country_code").iter_rows())
    columns = ("year", "exporter", "importer", "hs6", "value_kusd", "qty_t")
    flows = [
        row(
            year,
            number[exporter],
            number[importer],
            str(int(code)),
            str(value),
            "           NA" if tonnes is None else str(tonnes),
        )
        for year, exporter, importer, code, value, tonnes in trade.select(columns).iter_rows()
    ]
    years = {year: [row(year, 156, 842)] for year in YEARS} | {2024: flows}
    products = "\n".join(["code,description", *(f"{code},a product" for code in sorted({*trade["hs6"], "850511"}))])
    changed = {"country_codes_V202601.csv": codes, "product_codes_HS17_V202601.csv": products}
    return write_release(folder, years, hs="HS17", version="V202601", replaced=changed)
