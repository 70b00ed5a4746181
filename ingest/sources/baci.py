"""CEPII BACI: reconciled bilateral trade by HS code, as a release of CEPII's or as an extract of files.

What belongs here: the source tables, and how the extract's files become them. What does not: the
release itself (``baci_release.py``), which of two overlapping rows wins
(``transforms/trade_flow.py``), what a code holds (``reference/hs_stage.csv``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ingest.errors import SourceChanged, UnmappedValue
from ingest.home import REFERENCE
from ingest.sources.baci_release import holds_release, release_parts
from ingest.sources.base import Source, files

S, INT, F = pl.String(), pl.Int32(), pl.Float64()
FLOWS: dict[str, pl.DataType] = {
    "year": INT,
    "exporter": S,
    "importer": S,
    "hs_code": S,
    "hs_edition": S,
    "value_usd": F,
    "quantity_gross_t": F,
    "scope": S,
    "source": S,
    "vintage": S,
}
NETWORK: dict[str, pl.DataType] = {
    "year": INT,
    "layer": INT,
    "exporter": S,
    "importer": S,
    "rank": INT,
    "value_usd": F,
    "source": S,
    "vintage": S,
}
TOTALS: dict[str, pl.DataType] = {
    "year": INT,
    "hs_code": S,
    "hs_edition": S,
    "role": S,
    "iso3": S,
    "value_usd": F,
    "quantity_gross_t": F,
    "source": S,
    "vintage": S,
}
# What a main flow holds; weights are given for the newest year only.
_LINK = ("from", "to", "value", "qty")
_EDITION = re.compile(r"BACI HS(\d\d) ")


def _columns(frame: pl.DataFrame, wanted: list[str], path: Path) -> pl.DataFrame:
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise SourceChanged(f"{path}: lacks columns {missing}, has {frame.columns}.")
    return frame


def _edition(text: str, path: Path) -> str:
    match = _EDITION.search(text + " ")
    if not match:
        raise SourceChanged(f"{path}: no HS edition in {text!r}.")
    return f"HS20{match[1]}"


def all_pairs(path: Path) -> pl.DataFrame:
    """Read every pair of one year with value and weight (thousand USD, tonnes) from the Parquet extract."""
    wanted = ["year", "exporter", "importer", "hs6", "value_kusd", "qty_t"]
    frame = _columns(pl.read_parquet(path), wanted, path)
    return frame.select(
        "year",
        "exporter",
        "importer",
        hs_code="hs6",
        hs_edition=pl.lit("HS2017"),
        value_usd=pl.col("value_kusd") * 1000,
        quantity_gross_t="qty_t",
        scope=pl.lit("all_pairs"),
    )


def all_pairs_value(path: Path) -> pl.DataFrame:
    """Read every pair of one year, value only (USD); the year is in the file's name."""
    frame = _columns(pl.read_csv(path, schema_overrides={"cmd": pl.String}), ["i", "j", "cmd", "value"], path)
    year = re.search(r"(\d{4})$", path.stem)
    if not year:
        raise SourceChanged(f"{path}: no year in the file's name.")
    return frame.select(
        year=pl.lit(int(year[1])),
        exporter="i",
        importer="j",
        hs_code=pl.col("cmd").str.zfill(6),
        hs_edition=pl.lit("HS2017"),
        value_usd=pl.col("value").cast(F),
        quantity_gross_t=pl.lit(None, F),
        scope=pl.lit("all_pairs"),
    )


def _iso3_of_iso2(folder: Path) -> dict[str, str]:
    path = files(folder, "country_codes_V202601.csv")[0]
    table = _columns(pl.read_csv(path, null_values=[""]), ["country_iso2", "country_iso3"], path)
    known = dict(table.drop_nulls("country_iso2").select("country_iso2", "country_iso3").iter_rows())
    # Namibia's alpha-2 code is the text "NA"; that is why only an empty field is missing here.
    patch = pl.read_csv(REFERENCE / "baci_iso2.csv", null_values=[""])
    return known | dict(patch.select("iso2", "iso3").iter_rows())


def main_flows(path: Path, iso3: dict[str, str]) -> pl.DataFrame:
    """Read the main flows of one year by material (USD, tonnes in the newest year only).

    Lists that repeat one basket code under several materials are read once.

    Raises:
        SourceChanged: lists of one code differ.
        UnmappedValue: a material or country code without a row in its reference file.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    codes = dict(
        pl.read_csv(REFERENCE / "baci_materials.csv", schema_overrides={"hs_code": S})
        .select("label", "hs_code")
        .iter_rows()
    )
    if lost := sorted(set(content["materials"]) - set(codes)):
        raise UnmappedValue("material label", lost, "baci_materials.csv")
    by_code: dict[str, list[dict[str, object]]] = {}
    for label, rows in content["materials"].items():
        if by_code.setdefault(codes[label], rows) != rows:
            raise SourceChanged(f"{path}: lists of code {codes[label]} differ, {label} among them.")
    frame = pl.DataFrame(
        [(code, *(row.get(key) for key in _LINK)) for code, rows in by_code.items() for row in rows],
        schema={"hs_code": S, "from": S, "to": S, "value_usd": F, "quantity_gross_t": F},
        orient="row",
    )
    if lost := sorted({code for name in ("from", "to") for code in frame[name] if code not in iso3}):
        raise UnmappedValue("alpha-2 country code", lost, "baci_iso2.csv")
    return frame.select(
        "hs_code",
        "value_usd",
        "quantity_gross_t",
        year=pl.lit(int(content["year"])),
        exporter=pl.col("from").replace_strict(iso3),
        importer=pl.col("to").replace_strict(iso3),
        hs_edition=pl.lit(_edition(content["source"], path)),
        scope=pl.lit("main_flows"),
    )


def network(path: Path) -> pl.DataFrame:
    """Read the largest links of the rare-earth layers: 1 ores, 2 compounds and metals, 3 magnets (USD).

    A layer holds several codes without naming them: ``rank`` numbers the links of one pair, the
    largest first, and ``reference/baci_network_codes.csv`` names the code where it can be told.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    links = pl.DataFrame([{k: row[k] for k in ("layer", "source", "target", "value")} for row in content["links"]])
    return links.select(
        "layer",
        year=pl.lit(int(content["year"])),
        exporter="source",
        importer="target",
        value_usd="value",
        rank=pl.col("value").rank("ordinal", descending=True).over("layer", "source", "target"),
    )


def totals(folder: Path, iso3: dict[str, str]) -> pl.DataFrame:
    """Read world totals by year and the totals of the eight largest exporters and importers (USD, tonnes)."""
    path = files(folder, "baci_*_world_*.csv")[0]
    wanted = ["hs6", "year", "world_usd", "world_tonnes", "baci_nomenclature"]
    world = _columns(pl.read_csv(path, schema_overrides={"hs6": S}), wanted, path).select(
        "year",
        hs_code="hs6",
        hs_edition=pl.col("baci_nomenclature").str.replace("^HS", "HS20"),
        role=pl.lit("world"),
        iso3=pl.lit("WLD"),
        value_usd=pl.col("world_usd").cast(F),
        quantity_gross_t="world_tonnes",
    )
    path = files(folder, "baci_*_top8_*.csv")[0]
    wanted = ["hs6", "year", "role", "iso2", "value_usd"]
    top = _columns(pl.read_csv(path, schema_overrides={"hs6": S}, null_values=[""]), wanted, path)
    if lost := sorted(set(top["iso2"]) - set(iso3)):
        raise UnmappedValue("alpha-2 country code", lost, "baci_iso2.csv")
    largest = top.select(
        "year",
        "role",
        hs_code="hs6",
        hs_edition=pl.lit("HS2017"),
        iso3=pl.col("iso2").replace_strict(iso3),
        value_usd=pl.col("value_usd").cast(F),
        quantity_gross_t=pl.lit(None, F),
    )
    return pl.concat([world, largest], how="diagonal_relaxed")


def read_extract(folder: Path) -> dict[str, pl.DataFrame]:
    """Read one extract of a BACI release."""
    iso3 = _iso3_of_iso2(folder)
    parts = [all_pairs(path) for path in files(folder, "trade.parquet")]
    parts += [all_pairs_value(path) for path in files(folder, "baci_[0-9][0-9][0-9][0-9].csv")]
    parts += [main_flows(path, iso3) for path in files(folder, "flows_[0-9]*.json")]
    flows = pl.concat(parts, how="diagonal_relaxed").sort("scope", "hs_code", "year", "exporter", "importer")
    return {
        "raw_baci__flows": flows,
        "raw_baci__network": pl.concat([network(path) for path in files(folder, "*Network*.json")]),
        "raw_baci__totals": totals(folder, iso3),
    }


def read_parts(folder: Path, vintage: str) -> Iterator[dict[str, pl.DataFrame]]:
    """Read the release year by year where the folder holds one, else the extract as one part."""
    if holds_release(folder):
        yield from release_parts(folder, vintage)
    else:
        yield read_extract(folder)


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read all parts as one."""
    parts = list(read_parts(folder, vintage))
    return {table: pl.concat([part[table] for part in parts]) for table in parts[0]}


SOURCE = Source(
    name="baci",
    publisher="CEPII",
    title="BACI: reconciled international trade by product",
    licence="etalab-2.0",
    licence_url="https://www.etalab.gouv.fr/licence-ouverte-open-licence",
    homepage="https://www.cepii.fr/CEPII/en/bdd_modele/bdd_modele_item.asp?id=37",
    citation="Gaulier, G. and Zignago, S. (2010), BACI, CEPII Working Paper 2010-23, release {vintage}",
    tables={"raw_baci__flows": FLOWS, "raw_baci__network": NETWORK, "raw_baci__totals": TOTALS},
    read=read,
    read_parts=read_parts,
    keeps="newest_by_year",
    # A release holds every pair; only the extract has links whose code must be told first.
    may_be_empty=frozenset({"raw_baci__network"}),
)
