"""BGS statistics: printed figures become output in tonnes, or are left out with a counted reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.countries import countries
from ingest.errors import SourceChanged, UnmappedValue
from ingest.mapping import reference
from ingest.sources.bgs import SOURCE
from ingest.transforms.production import RAW as RAW_MCS
from ingest.transforms.production import TRANSFORM
from ingest.transforms.production_bgs import RAW, from_bgs
from tests.publishers.bgs import made_up

COPPER: dict[str, Any] = {
    "source": "bgs", "vintage": "2023", "commodity": "copper, mine", "sub_commodity": None, "country": "Chile",
    "year": 2023, "quantity": 5250.0, "printed": "5250", "unit_printed": "tonnes (metal content)", "status": "A",
    "figure_notes": None, "table_notes": None,
}  # fmt: skip


def _build(*rows: dict[str, object]) -> tuple[pl.DataFrame, pl.DataFrame]:
    return from_bgs(pl.DataFrame([COPPER | row for row in rows], schema=dict(SOURCE.tables[RAW])))


def _one(**row: object) -> dict[str, Any]:
    return _build(row)[0].row(0, named=True)


def _reason(**row: object) -> str:
    kept, dropped = _build(row)
    assert kept.is_empty()
    assert dropped["rows"].to_list() == [1]
    return str(dropped["reason"][0])


def test_a_figure_keeps_token_unit_basis_and_evidence() -> None:
    row = _one()
    assert (row["material"], row["stage"], row["form"], row["measure"]) == ("copper", "mine", "all", "production")
    assert (row["iso3"], row["quantity_t"], row["rounding_t"], row["token"]) == ("CHL", 5250, 5, "5250")
    assert (row["basis"], row["evidence"], row["unit_printed"]) == ("Cu content", "reported", "tonnes (metal content)")


def test_kilograms_become_tonnes() -> None:
    row = _one(
        commodity="platinum group metals, mine", sub_commodity="Rhodium", unit_printed="kilograms (metal content)"
    )
    assert (row["material"], row["quantity_t"], row["rounding_t"]) == ("rhodium", 5.25, 0.005)


def test_gross_blister_counts_with_its_copper_content() -> None:
    row = _one(commodity="copper, smelter", unit_printed="tonnes (metric)")
    assert (row["stage"], row["quantity_t"]) == ("intermediate", pytest.approx(5250 * 0.988))


@pytest.mark.parametrize(
    ("printed", "status", "quantity", "expected"),
    [
        ("-----", "A", 0.0, (0.0, 0.0, 0.0)),
        ("...", "O", None, (None, None, None)),
        ("0", "N", 0.0, (None, 0.0, 0.5)),
    ],
)
def test_nil_is_zero_but_neither_a_missing_nor_a_small_figure_is(
    printed: str, status: str, quantity: float | None, expected: tuple[float | None, ...]
) -> None:
    row = _one(printed=printed, status=status, quantity=quantity)
    assert (row["quantity_t"], row["quantity_t_low"], row["quantity_t_high"]) == expected
    assert (row["token"], row["rounding_t"]) == (printed, 0)


@pytest.mark.parametrize(
    ("notes", "evidence"),
    [(None, "reported"), ("Estimates.", "estimated"), ("Crude.|Exports.", "estimated"), ("Crude.", "reported")],
)
def test_notes_grade_a_figure(notes: str | None, evidence: str) -> None:
    assert _one(figure_notes=notes)["evidence"] == evidence


def test_both_congos_are_told_apart_by_name() -> None:
    assert _one(country="Congo")["iso3"] == "COG"
    assert _one(country="Congo, Democratic Republic")["iso3"] == "COD"


def test_a_country_that_no_longer_exists_is_left_out() -> None:
    assert _reason(country="Soviet Union") == "country that no longer exists"


def test_years_before_the_other_world_tables_are_left_out() -> None:
    assert "before the years of the other world tables" in _reason(year=2020)


@pytest.mark.parametrize("mineral", ["Monazite", "Xenotime", "Bastnaesite", "Loparite", None])
def test_rare_earth_minerals_by_gross_weight_never_mix_with_oxides(mineral: str | None) -> None:
    assert "gross weight" in _reason(commodity="rare earth minerals", sub_commodity=mineral)
    assert _one(commodity="rare earth oxides")["basis"] == "REO"


def test_hydroxide_made_of_counted_carbonate_is_left_out_of_lithium_and_other_notes_are_not() -> None:
    line = {"commodity": "lithium minerals", "sub_commodity": "Lithium minerals (Li content)"}
    assert "counted already" in _reason(**line, figure_notes="Hydroxide.")
    assert _one(**line, figure_notes="Carbonate.")["basis"] == "Li content"
    assert _one(figure_notes="Hydroxide.")["material"] == "copper"


def test_every_line_of_the_map_is_either_kept_whole_or_dropped_with_a_reason() -> None:
    lines = reference("bgs_map.csv")
    kept, gone = lines.filter(pl.col("drop_reason").is_null()), lines.filter(pl.col("drop_reason").is_not_null())
    facts = ["material", "stage", "form", "basis", "content_factor"]
    assert kept.select(facts).null_count().sum_horizontal().item() == 0
    assert gone.select(pl.all_horizontal(pl.col(facts).is_null()).all()).item()
    assert not lines.select("commodity", "sub_commodity").is_duplicated().any()
    assert set(kept["material"]) <= set(reference("materials.csv")["material"])
    assert set(kept["stage"]) <= set(reference("stages.csv")["stage"])
    assert not kept.select("material", "stage", "form").is_duplicated().any()
    # Shares over the forms of a stage need one basis.
    assert (
        kept.group_by("material", "stage").agg(pl.col("basis").n_unique())["basis"].to_list()
        == [1] * kept.select("material", "stage").n_unique()
    )


def test_every_country_of_the_list_is_known_or_left_out_with_a_reason() -> None:
    table = reference("bgs_countries.csv")
    assert table.select((pl.col("iso3").is_null() != pl.col("drop_reason").is_null()).all()).item()
    assert set(table["iso3"].drop_nulls()) <= set(countries()["iso3"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"commodity": "unobtainium"}, r"unobtainium.*bgs_map\.csv"),
        ({"sub_commodity": "Cathode"}, r"copper, mine \| Cathode.*bgs_map\.csv"),
        ({"country": "Atlantis"}, r"Atlantis"),
        ({"unit_printed": "carats"}, r"carats.*bgs_units\.csv"),
    ],
)
def test_a_value_that_no_reference_file_covers_is_named(row: dict[str, object], message: str) -> None:
    with pytest.raises(UnmappedValue, match=message):
        _build(row)


def test_an_empty_table_gives_no_rows_and_drops_none() -> None:
    kept, dropped = from_bgs(pl.DataFrame(schema=dict(SOURCE.tables[RAW])))
    assert kept.is_empty()
    assert dropped.is_empty()


def test_figures_of_the_same_year_and_vintage_do_not_count_to_a_world_total_of_the_mcs() -> None:
    line = {
        "source": "usgs_mcs", "vintage": "2023", "commodity": "copper", "label": "x", "country": "Chile",
        "measure": "production", "year": 2022, "printed": "5300", "unit_printed": "kt", "estimated": True,
        "critical_us_2025": None,
    }  # fmt: skip
    mcs = pl.read_parquet(Path(__file__).parents[2] / "ingest/snapshot" / f"{RAW_MCS}.parquet").filter(
        pl.col("vintage") == "2023"
    )
    assert set(line) == set(mcs.columns)
    bgs = pl.DataFrame([COPPER | {"year": 2022}], schema=dict(SOURCE.tables[RAW]))
    alone, _ = TRANSFORM.build({RAW_MCS: mcs, RAW: bgs.clear()})
    both, _ = TRANSFORM.build({RAW_MCS: mcs, RAW: bgs})
    assert both.filter(source="usgs_mcs").equals(alone)
    assert both.filter(source="bgs").height == 1


def _page(folder: Path, properties: list[dict[str, Any]]) -> Path:
    features = [{"type": "Feature", "id": n, "properties": one} for n, one in enumerate(properties)]
    (folder / "features-0001.json").write_text(json.dumps({"features": features, "numberMatched": len(features)}))
    return folder


def test_a_feature_is_read_with_its_notes_and_tokens(tmp_path: Path) -> None:
    notes = {
        "concat_figure_notes_text": "Estimates.|Crude.",
        "quantity": None,
        "sdmx_code": "O",
        "quantity_in_book_style": "...",
    }
    table = SOURCE.read_vintage(_page(tmp_path, [made_up(1)[0] | notes]), "2023")[RAW]
    row = table.row(0, named=True)
    assert (row["year"], row["quantity"], row["printed"], row["status"]) == (2023, None, "...", "O")
    assert row["figure_notes"] == "Estimates.|Crude."


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda one: one.update(bgs_statistic_type_trans="Imports"), "'Imports' is not one of"),
        (lambda one: one.update(sdmx_code="E"), "'E' is not one of"),
        (lambda one: one.update(quantity="many"), "no number"),
        (lambda one: one.update(quantity=None), "missing without being marked"),
        (lambda one: one.update(grade="x"), r"new properties \['grade'\]"),
    ],
)
def test_an_unknown_token_or_property_is_refused(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], object], message: str
) -> None:
    one = made_up(1)[0]
    spoil(one)
    with pytest.raises(SourceChanged, match=message):
        SOURCE.read_vintage(_page(tmp_path, [one]), "2023")


def test_a_figure_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    one = made_up(1)[0]
    with pytest.raises(SourceChanged, match="occurs twice"):
        SOURCE.read_vintage(_page(tmp_path, [one, one | {"quantity": 5}]), "2023")


def test_figures_of_this_source_are_not_embedded() -> None:
    assert not SOURCE.in_snapshot
    assert SOURCE.keeps == "newest"
