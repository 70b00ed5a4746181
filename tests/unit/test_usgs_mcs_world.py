"""How the three shapes of MCS world tables are read, on small files of the same shape."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ingest.errors import SourceChanged
from ingest.sources.usgs_mcs_imports import read_imports
from ingest.sources.usgs_mcs_notes import with_notes
from ingest.sources.usgs_mcs_world import read_world

WIDE_HEADER = (
    "\ufeffSOURCE,COMMODITY,COUNTRY,TYPE,UNIT_MEAS,PROD_2030,PROD_EST_ 2031,PROD_NOTES,"
    "CAP_2030,CAP_EST_ 2031,CAP_NOTES,RESERVES_2031,RESERVE_NOTES\n"
)


OTHER_COMMODITY = "Source,Country,Type,Prod_t_2030\nMCS2032,China,Mine production,1\n"


@pytest.fixture
def commodity_folder(tmp_path: Path) -> Path:
    """The files of an edition 2032, all but that of rare earths."""
    for number in range(75):
        (tmp_path / f"mcs2032-other{number}_world.csv").write_text(OTHER_COMMODITY, encoding="utf-8-sig")
    return tmp_path


def _write(folder: Path, text: str) -> None:
    (folder / "mcs2032-raree_world.csv").write_text(text, encoding="utf-8-sig")


def _cells(folder: Path) -> pl.DataFrame:
    cells = read_world(folder, "2032")["raw_usgs_mcs__world"]
    return cells.filter(~pl.col("commodity").str.starts_with("other"))


def test_units_years_and_estimates_stand_in_the_header(commodity_folder: Path) -> None:
    _write(
        commodity_folder,
        "Source,Country,Type,Prod_t_2030,Prod_t_est_2031,Prod_notes,Reserves_kt,Reserves_notes,,\n"
        'MCS2032,United\u00a0States,Mine production,"42,000",43000,,NA,,,\n'
        "MCS2032,China,Mine production,e168000,210000,,44000,,,\n,,,,,,,,,\n",
    )
    cells = _cells(commodity_folder)
    assert cells["commodity"].unique().to_list() == ["raree"]
    assert cells["country"].unique(maintain_order=True).to_list() == ["United States", "China"]
    keys = cells.select("measure", "year", "unit_printed").unique(maintain_order=True).rows()
    assert keys == [("production", 2030, "t"), ("production", 2031, "t"), ("reserves", 2031, "kt")]
    older = cells.filter(pl.col("year") == 2030).select("printed", "estimated").rows()
    assert older == [("42,000", False), ("e168000", True)]
    assert cells.filter(pl.col("year") == 2031)["estimated"].all()


def test_a_part_named_in_the_header_belongs_to_the_label(commodity_folder: Path) -> None:
    _write(commodity_folder, "Source,Country,Type,Cap_Sponge_t_2031,Cap_Pigment_t_2031\nMCS2032,China,Capacity,7,9\n")
    assert _cells(commodity_folder)["label"].to_list() == ["Capacity | Sponge", "Capacity | Pigment"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("Source,Country,Type,Prod_t_2030,Output_2031", "unknown column 'Output_2031'"),
        ("Source,Country,Type,Prod_t_2030,Prod_t_2029", "not of the two years before 2032"),
        ("Source,Land,Type,Prod_t_2030,Prod_t_2031", "expected Source, Country, Type"),
        ("Source,Country,Type,Prod_t_2030,", "unknown column ''"),
    ],
)
def test_an_unknown_column_stops_the_reading(commodity_folder: Path, header: str, message: str) -> None:
    _write(commodity_folder, f"{header}\nMCS2032,China,Mine production,1,2\n")
    with pytest.raises(SourceChanged, match=message):
        _cells(commodity_folder)


def test_figures_without_a_country_stop_the_reading(commodity_folder: Path) -> None:
    _write(commodity_folder, "Source,Country,Type,Prod_t_2030\nMCS2032,,Mine production,12\n")
    with pytest.raises(SourceChanged, match="names no country"):
        _cells(commodity_folder)


def test_fewer_commodities_than_an_edition_has_stop_the_reading(tmp_path: Path) -> None:
    _write(tmp_path, "Source,Country,Type,Prod_t_2030\nMCS2032,China,Mine production,12\n")
    with pytest.raises(SourceChanged, match="at least 76"):
        _cells(tmp_path)


def test_the_wide_file_keeps_a_table_without_any_figure_as_blank_cells(tmp_path: Path) -> None:
    lines = "MCS2032,Germanium,China,Refinery production,kilograms,,,,,,,,\n"
    lines += "MCS2032,Potash,China,Reserves,thousand metric tons,,,,,,,170,\n"
    (tmp_path / "MCS2032_World_Data.csv").write_text(WIDE_HEADER + lines, encoding="utf-8")
    cells = _cells(tmp_path).select("commodity", "measure", "year", "printed").sort("commodity", "year").rows()
    assert cells == [
        ("Germanium", "production", 2030, None),
        ("Germanium", "production", 2031, None),
        ("Potash", "reserves", 2031, "170"),
    ]


def test_the_long_file_must_have_every_chapter(tmp_path: Path) -> None:
    header = "MCS chapter,Section,Commodity,Country,Statistics,Statistics_detail,Unit,Year,Value,Notes"
    line = "TIN,World Mine Production and Reserves,Tin,China,Production,Mine production,metric tons,2031,71,,Yes,"
    text = f"{header},Is critical mineral 2025,Other notes\n{line}\n"
    (tmp_path / "usgs_mcs2032_commodities_data.csv").write_text(text, encoding="cp1252")
    with pytest.raises(SourceChanged, match="expected 89 chapters, found 1"):
        _cells(tmp_path)


def _noted(note: str, measure: str = "production", printed: str | None = None, newest: bool = False) -> pl.DataFrame:
    columns = {"note": [note], "measure": [measure], "newest": [newest], "printed": [printed], "estimated": [False]}
    schema = {"note": pl.String, "measure": pl.String, "newest": pl.Boolean, "printed": pl.String}
    return pl.DataFrame(columns, schema_overrides=schema)


@pytest.mark.parametrize(
    ("vintage", "measure", "note", "token"),
    [
        ("2025", "production", "W for 23-24", "W"),
        ("2025", "reserves", "Large", "Large"),
        ("2025", "reserves", "NA (Reserve data is thousand metric tons).", "NA"),
        ("2023", "reserves", 'World reserves are categorized as "Large"', "Large"),
        ("2024", "reserves", ">2,000,000. In addition to the countries listed, others produced", ">2,000,000"),
        ("2025", "reserves", "For Australia, other reserves were 20,000 tons.", None),
    ],
)
def test_a_token_printed_in_the_note_fills_a_blank_cell(vintage: str, measure: str, note: str, token: str) -> None:
    assert with_notes(_noted(note, measure), vintage)["printed"].to_list() == [token]


def test_a_note_never_replaces_a_printed_figure() -> None:
    assert with_notes(_noted("Large", "reserves", printed="120"), "2025")["printed"].to_list() == ["120"]


@pytest.mark.parametrize(
    ("vintage", "note", "estimated"),
    [
        ("2023", "Production in 2021 is also estimated.", True),
        ("2024", "Also estimated in 2022", True),
        ("2025", "estimated 2023", True),
        ("2026", "Estimated. -- Excludes U.S. production.", True),
        ("2026", "Excludes U.S. production.", False),
        ("2025", "Excludes U.S. production.", False),
    ],
)
def test_a_note_says_that_a_figure_is_estimated(vintage: str, note: str, estimated: bool) -> None:
    assert with_notes(_noted(note), vintage)["estimated"].to_list() == [estimated]


def test_reported_speaks_of_the_older_year_only() -> None:
    both = pl.concat([_noted("reported", newest=False), _noted("reported", newest=True)])
    said = with_notes(both.with_columns(estimated=pl.lit(True)), "2025")
    assert said["estimated"].to_list() == [False, True]


def test_early_editions_name_import_sources_in_order_without_shares(tmp_path: Path) -> None:
    text = 'Source,Import_Share_Order,Commodity,Net,Major_Import_Sources_2018_2021\nMCS2032,1,TIN,77,"Peru, Bolivia"\n'
    (tmp_path / "MCS2032_Fig2_Net_Import_Reliance.csv").write_text(text, encoding="utf-8-sig")
    rows = read_imports(tmp_path, "2032")["raw_usgs_mcs__import_sources"]
    assert rows.select("commodity", "country", "first_year", "last_year", "rank", "printed").rows() == [
        ("TIN", "Peru", 2018, 2021, 1, None),
        ("TIN", "Bolivia", 2018, 2021, 2, None),
    ]
