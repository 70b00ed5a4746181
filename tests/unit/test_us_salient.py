"""Salient statistics: reading the printed tables, and one vocabulary across editions."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ingest.errors import SourceChanged, UnmappedValue
from ingest.mapping import reference
from ingest.sources.usgs_mcs_salient import SALIENT_TABLES, TABLE, read_salient
from ingest.transforms.us_salient import build, read_token

Cell = tuple[str, str, str, int, str, bool]


def salient(*cells: Cell) -> pl.DataFrame:
    """Cells of (vintage, commodity, label, year, printed, estimated)."""
    rows = [
        ("usgs_mcs", vintage, name, label, year, text, None, mark) for vintage, name, label, year, text, mark in cells
    ]
    return pl.DataFrame(rows, schema=SALIENT_TABLES[TABLE], orient="row")


def canonical(*cells: Cell) -> pl.DataFrame:
    return build({TABLE: salient(*cells)})[0]


def write_wide(folder: Path, name: str, text: str) -> None:
    for number in range(79):
        (folder / f"mcs2099-x{number}_salient.csv").write_text("Source,Commodity,Year,USprod_t\nMCS2099,X,2098,1\n")
    (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("printed", "unit", "factor", "value", "low", "high"),
    [
        (">95", "percent", 1.0, None, 95.0, 100.0),
        ("E", "percent", 1.0, None, None, 0.0),
        ("Less than 1/2 unit.", "percent", 1.0, None, 0.0, 0.5),
        ("Less than ½ unit", "t", 1000.0, None, 0.0, 500.0),
        ("Less than 50,000 tons", "t", 1e6, None, 0.0, 50_000.0),
        ("Less than 500 carats.", "t", 0.2, None, 0.0, 0.0001),
        ("−16", "t", 1.0, -16.0, -16.0, -16.0),
        ("<100,000", "t", 1.0, None, 0.0, 100_000.0),
        ("W", "t", 1000.0, None, None, None),
        ("—", "t", 1000.0, 0.0, 0.0, 0.0),
        ("1,230", "t", 1000.0, 1_230_000.0, 1_230_000.0, 1_230_000.0),
    ],
)
def test_a_printed_token_becomes_value_and_bounds_in_tonnes_or_percent(
    printed: str, unit: str, factor: float, value: float | None, low: float | None, high: float | None
) -> None:
    figure = read_token(printed, unit, factor, "here")
    assert (figure.value, figure.low, figure.token) == (value, low, printed)
    assert figure.high == (None if high is None else pytest.approx(high))


def test_a_token_of_no_known_form_names_the_cell() -> None:
    with pytest.raises(SourceChanged, match=r"MCS 2025, Rare Earths, NIR_Compounds-Metals_t, 2024.*about 80"):
        canonical(("2025", "Rare Earths", "NIR_Compounds-Metals_t", 2024, "about 80", False))


def test_a_label_without_a_meaning_stops_the_run_and_names_the_file() -> None:
    with pytest.raises(UnmappedValue, match=r"Imports_Magnets_t.*mcs_salient_map\.csv"):
        canonical(("2025", "Rare Earths", "Imports_Magnets_t", 2024, "1", False))


def test_one_figure_has_one_name_in_every_edition() -> None:
    table = canonical(
        ("2023", "Lead", "USprod_Refinery_Secondary_kt", 2022, "950", False),
        ("2025", "Lead", "USprod_Concentrates_kt", 2022, "1010", False),
        ("2026", "Lead", "Production | Production: Secondary refinery, old scrap", 2022, "1,010", False),
    )
    assert table.select("commodity", "statistic", "detail", "unit").unique().rows() == [
        ("lead", "production", "refinery_secondary", "t")
    ]
    assert table.sort("vintage")["value"].to_list() == [950_000.0, 1_010_000.0, 1_010_000.0]


def test_the_shifted_columns_of_the_2024_fluorspar_table_are_read_by_what_they_hold() -> None:
    table = canonical(
        ("2024", "Fluorspar", "column 18", 2022, "100", False),
        ("2024", "Fluorspar", "Imports_AlF3_kt", 2022, "99", False),
    )
    assert table.select("statistic", "detail", "value").sort("statistic").rows() == [
        ("imports", "hf", 99_000.0),
        ("net_import_reliance", "all", 100.0),
    ]


def test_the_newest_year_and_marked_figures_are_estimates() -> None:
    table = canonical(
        ("2024", "Copper", "USprod_Post-consumer_kt", 2021, "157", False),
        ("2024", "Copper", "USprod_Post-consumer_kt", 2022, "e150", False),
        ("2024", "Copper", "USprod_Post-consumer_kt", 2023, "150", False),
        ("2026", "Rare Earths", "Production | Production: Compounds and metals", 2022, "95", True),
        ("2026", "Rare Earths", "Import | Imports: Compounds", 2022, "10,800", False),
        ("2026", "Rare Earths", "Import | Imports: Compounds", 2025, "21,000", False),
    ).sort("vintage", "statistic", "year")
    assert table["evidence"].to_list() == [
        "reported", "estimated", "estimated", "reported", "estimated", "estimated",
    ]  # fmt: skip


def test_what_is_out_of_scope_is_counted_with_its_reason() -> None:
    table, dropped = build({TABLE: salient(
        ("2025", "Gypsum", "Price_Mine_dt", 2024, "13", False), ("2025", "Gypsum", "NIR_pct", 2024, "17", False)
    )})  # fmt: skip
    assert table["statistic"].to_list() == ["net_import_reliance"]
    assert dropped.select("vintage", "rows").rows() == [("2025", 1)]
    assert "not traced" in dropped["reason"][0]


def test_every_meaning_uses_known_materials_stages_units_and_gives_a_reason_where_it_drops() -> None:
    meanings = reference("mcs_salient_map.csv")
    assert not meanings.select("vintage", "commodity", "label").is_duplicated().any()
    assert set(meanings["material"].drop_nulls()) <= set(reference("materials.csv")["material"])
    assert set(meanings["stage"].drop_nulls()) <= set(reference("stages.csv")["stage"])
    assert meanings.filter(pl.col("in_scope") == "false")["reason"].null_count() == 0
    wanted = meanings.filter(
        pl.col("statistic").is_in(["net_import_reliance", "imports", "exports", "apparent_consumption"])
    )
    assert set(wanted["in_scope"]) == {"true"}
    assert set(wanted.filter(pl.col("statistic") == "net_import_reliance")["unit"]) == {"percent"}


def test_a_repeated_header_and_a_nameless_column_keep_their_own_label(tmp_path: Path) -> None:
    write_wide(
        tmp_path,
        "mcs2099-iodin_salient.csv",
        "Source,Commodity,Year,Consump_t,Consump_t,\nMCS2099,Iodine,2098,W,3000,>50\n",
    )
    table = read_salient(tmp_path, "2099")[TABLE].filter(pl.col("commodity") == "Iodine")
    assert table.select("label", "printed").rows() == [
        ("Consump_t", "W"), ("Consump_t [2]", "3000"), ("column 6", ">50"),
    ]  # fmt: skip


def test_another_table_under_the_name_of_a_salient_one_is_named(tmp_path: Path) -> None:
    write_wide(tmp_path, "mcs2099-cobal_salient.csv", "Source,Country,Type\nMCS2099,Cuba,Mine production\n")
    with pytest.raises(SourceChanged, match=r"mcs2099-cobal_salient\.csv starts with"):
        read_salient(tmp_path, "2099")


def test_a_missing_chapter_file_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "mcs2099-rareee_salient.csv").write_text("Source,Commodity,Year,NIR_pct\nMCS2099,Rare Earths,2098,80\n")
    with pytest.raises(SourceChanged, match="expected at least 80"):
        read_salient(tmp_path, "2099")


def test_the_long_csv_tells_two_forms_under_the_same_words_apart(tmp_path: Path) -> None:
    header = "Section,Commodity,Statistics,Statistics_detail,Unit,Year,Value,Notes\n"
    start = "Salient Statistics—United States,Mica,Import,Imports,metric tons,2098,"
    text = f'{header}{start}"24,400",\n{start}"3,990",Rounded. -- Estimated.\nImport Sources,Mica,,,,,1,\n'
    (tmp_path / "usgs_commodities_data.csv").write_bytes(text.encode("cp1252"))
    table = read_salient(tmp_path, "2099")[TABLE]
    assert table.select("label", "printed", "estimated").rows() == [
        ("Import | Imports", "24,400", False),
        ("Import | Imports [2]", "3,990", True),
    ]
