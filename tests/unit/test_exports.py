"""Files for people: text stays text, missing stays missing, what a sheet cannot hold is refused."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path

import fastexcel
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from exports.files import Sheet, workbook, write_csv, write_workbook
from exports.notes import notes_of
from ingest.errors import BadInput

PACKAGE = {
    "version": "20260101T000000Z-0a0b0c0d",
    "created": "2026-01-01T00:00:00+00:00",
    "licenses": [{"name": "CC-BY-4.0", "path": "https://creativecommons.org/licenses/by/4.0/"}],
    "sources": [
        {"name": "mine", "title": "Mine books", "publisher": "Mine", "licence": "PD", "path": "https://a.test"}
    ],
    "vintages": {"mine": ["2025"]},
    "resources": [
        {
            "path": "mart_x.parquet",
            "description": "One row per thing.",
            "schema": {
                "primaryKey": ["name"],
                "fields": [
                    {"name": "name", "description": "What it is called."},
                    {"name": "output_t", "unit": "tonnes contained", "description": "Output."},
                ],
            },
        },
        {"path": "diff.json"},
    ],
}
FRAME = pl.DataFrame(
    {
        "name": ["=1+1", "+cmd|' /C calc'!A0", "@SUM(A1)", "http://a.test/", ">95", "NaN"],
        "output_t": [1.0, 0.1 + 0.2, None, 1e-12, 123456789.123, 0.0],
        "year": [2024, 2023, None, 2022, 2021, 2020],
        "day": [date(2024, 2, 29), None, None, None, None, None],
        "flag": [True, False, None, None, None, None],
    }
)


def test_a_workbook_gives_back_every_figure_and_text(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    write_workbook(path, [Sheet("mart_x", FRAME)], notes_of(PACKAGE))
    assert [item.name for item in tmp_path.iterdir()] == ["x.xlsx"]
    back = pl.read_excel(path, sheet_name="mart_x", schema_overrides={"year": pl.Int64, "day": pl.Date})
    assert_frame_equal(back, FRAME)


def test_nothing_in_a_workbook_is_a_formula_or_a_link() -> None:
    made = zipfile.ZipFile(io.BytesIO(workbook([Sheet("mart_x", FRAME)], notes_of(PACKAGE))))
    for name in made.namelist():
        if name.startswith("xl/worksheets/"):
            text = made.read(name).decode()
            assert "<f>" not in text, name
            assert "hyperlink" not in text, name


def test_the_first_sheet_says_what_the_figures_are() -> None:
    book = fastexcel.read_excel(workbook([Sheet("mart_x", FRAME)], notes_of(PACKAGE), "Material: x"))
    assert book.sheet_names == ["README", "mart_x"]
    readme = book.load_sheet("README", header_row=None).to_polars()
    cells = {str(cell) for row in readme.rows() for cell in row if cell is not None}
    assert {"20260101T000000Z-0a0b0c0d", "Material: x", "One row per thing.", "tonnes contained", "Output."} <= cells
    assert {"mine", "2025", "PD", "Mine, Mine books, https://a.test"} <= cells
    assert any("CC-BY-4.0" in cell for cell in cells)


def test_a_column_carries_its_unit_and_meaning_as_a_note() -> None:
    made = zipfile.ZipFile(io.BytesIO(workbook([Sheet("mart_x", FRAME)], notes_of(PACKAGE))))
    notes = "".join(made.read(name).decode() for name in made.namelist() if "comments" in name)
    assert "tonnes contained\nOutput." in notes


def test_tables_with_long_names_get_sheets_of_their_own() -> None:
    one = pl.DataFrame({"a": [1]})
    names = ["mart_" + "x" * 40 + "1", "mart_" + "x" * 40 + "2", "readme"]
    book = fastexcel.read_excel(workbook([Sheet(name, one) for name in names], notes_of(PACKAGE)))
    assert len(set(book.sheet_names)) == 4
    assert all(len(name) <= 31 for name in book.sheet_names)


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (pl.DataFrame({"a": pl.repeat(1, 1_048_576, eager=True)}), "1,048,576 rows"),
        (pl.DataFrame({f"c{number}": [1] for number in range(16_385)}), "16,385 columns"),
        (pl.DataFrame({"a": ["x" * 32_768]}), "mart_x.a holds a text of 32,768"),
    ],
)
def test_what_a_sheet_cannot_hold_is_refused_and_nothing_is_left(
    tmp_path: Path, frame: pl.DataFrame, says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        write_workbook(tmp_path / "x.xlsx", [Sheet("mart_x", frame)], notes_of(PACKAGE))
    assert list(tmp_path.iterdir()) == []


def test_csv_gives_back_every_figure_and_keeps_the_old_file_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("old")
    write_csv(FRAME, path)
    assert [item.name for item in tmp_path.iterdir()] == ["x.csv"]
    assert_frame_equal(pl.read_csv(path, schema=FRAME.schema), FRAME)
