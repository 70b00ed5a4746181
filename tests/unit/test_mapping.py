"""Mappings are complete or fail, and name the file that needs a row."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ingest.errors import SourceChanged, UnmappedValue
from ingest.mapping import read_csv_text, split_dropped, with_figures, with_iso3_from_code, with_mapping


def test_a_mapped_row_gains_material_and_stage() -> None:
    frame = pl.DataFrame({"product": ["Lithium"], "step": ["refining"], "quantity": [1.0]})
    row = with_mapping(frame, "iea_map.csv", ["product", "step"], "IEA step").row(0, named=True)
    assert (row["material"], row["stage"], row["quantity"]) == ("lithium", "compound", 1.0)


def test_an_unmapped_value_stops_and_names_value_and_file() -> None:
    frame = pl.DataFrame({"product": ["Unobtainium"], "step": ["mining"]})
    with pytest.raises(UnmappedValue, match=r"Unobtainium \| mining.*iea_map\.csv"):
        with_mapping(frame, "iea_map.csv", ["product", "step"], "IEA step")


def test_publisher_codes_become_iso_codes_and_an_unknown_one_stops() -> None:
    codes = pl.DataFrame({"code": ["ROM", "ZAR", "CHN"]})
    assert with_iso3_from_code(codes, "wgi_country_codes.csv", "code")["iso3"].to_list() == ["ROU", "COD", "CHN"]
    with pytest.raises(UnmappedValue, match=r"'QQQ'.*wgi_country_codes\.csv"):
        with_iso3_from_code(pl.DataFrame({"code": ["QQQ"]}), "wgi_country_codes.csv", "code")


def test_printed_shares_keep_their_token_beside_their_bounds() -> None:
    frame = with_figures(pl.DataFrame({"share": ["5%", "<0.1%", ">0%"]}), "share", ceiling=100, unit="%")
    assert frame.rows() == [
        ("5%", 5.0, 5.0, 5.0, "5%"),
        ("<0.1%", None, 0.0, 0.1, "<0.1%"),
        (">0%", None, 0.0, 100.0, ">0%"),
    ]


def test_rows_dropped_on_purpose_are_counted_by_reason() -> None:
    frame = pl.DataFrame(
        {"source": ["s"] * 3, "vintage": ["1"] * 3, "drop_reason": [None, "gone", "gone"], "x": [1, 2, 3]}
    )
    kept, dropped = split_dropped(frame, "stock")
    assert kept["x"].to_list() == [1]
    assert dropped.rows() == [("stock", "s", "1", "gone", 2)]


def test_a_new_column_or_another_encoding_stops_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("a,b\nTürkiye,1\n".encode("cp1252"))
    assert read_csv_text(path, ("a", "b"), encoding="cp1252")["a"][0] == "Türkiye"
    with pytest.raises(SourceChanged, match="not utf-8"):
        read_csv_text(path, ("a", "b"))
    with pytest.raises(SourceChanged, match="expected the columns"):
        read_csv_text(path, ("a",), encoding="cp1252")
