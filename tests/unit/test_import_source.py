"""Printed import sources become shares of 0..1 with bounds."""

from __future__ import annotations

import polars as pl
import pytest

from ingest.errors import UnmappedValue
from ingest.mapping import reference
from ingest.sources.usgs_mcs_imports import IMPORT_TABLES
from ingest.transforms.import_source import RAW, TRANSFORM

COPPER_ORE = {
    "source": "usgs_mcs", "vintage": "2026", "commodity": "Copper", "form": "Copper content of ore and concentrate",
    "first_year": 2021, "last_year": 2024, "unit": "percent",
}  # fmt: skip


def _build(*rows: dict[str, object]) -> tuple[pl.DataFrame, pl.DataFrame]:
    raw = pl.DataFrame([COPPER_ORE | row for row in rows], schema=dict(IMPORT_TABLES[RAW]))
    return TRANSFORM.build({RAW: raw})


def test_a_share_printed_as_a_bound_keeps_its_bounds() -> None:
    rows, _ = _build({"country": "Canada", "printed": ">99"}, {"country": "Other countries", "printed": "<1"})
    shares = rows.sort("iso3").select("iso3", "share", "share_low", "share_high", "token").rows()
    assert shares == [("CAN", None, 0.99, 1.0, ">99"), ("OTH", None, 0.0, 0.01, "<1")]
    assert set(rows["importer"]) == {"USA"}
    assert set(rows["stage"]) == {"mine"}


def test_a_country_named_without_a_share_is_dropped_and_counted() -> None:
    rows, dropped = _build(
        {"country": "Canada", "printed": "45"}, {"commodity": "COPPER, refined", "form": None, "country": "Chile"}
    )
    assert rows["iso3"].to_list() == ["CAN"]
    assert dropped.select("reason", "rows").rows() == [("the edition's files name the country without its share", 1)]


def test_an_unknown_form_names_the_file_that_needs_a_row() -> None:
    with pytest.raises(UnmappedValue, match=r"Copper \| Copper wire.*mcs_import_form_map.csv"):
        _build({"country": "Canada", "printed": "1", "form": "Copper wire"})


def test_every_mapped_form_has_a_known_material_and_stage() -> None:
    forms = reference("mcs_import_form_map.csv")
    mapped = forms.filter(pl.col("drop_reason").is_null())
    assert set(mapped["material"]) <= set(reference("materials.csv")["material"])
    assert set(mapped["stage"].drop_nulls()) <= set(reference("stages.csv")["stage"])
    assert not forms.select("commodity", "form_printed").is_duplicated().any()
    assert not mapped.select("material", "form", "commodity").is_duplicated().any()
