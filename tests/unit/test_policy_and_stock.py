"""Export controls carry their dates and status; government stock is in tonnes contained with its sign."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ingest.errors import SourceChanged, UnmappedValue
from ingest.mapping import reference
from ingest.sources import policy, stockpile
from ingest.transforms import restriction, stock

CONTROLS = """authority_no,goods,announced,effective,status,hs_codes_evidenced,code_source
MOFCOM/GAC 2023 No. 23,gallium and germanium,2023-07-03,2023-08-01,in force,"(EU CN8 81129289; US 8112921000)",x
MOFCOM/GAC 2025 No. 56,equipment,2025-10-09,2025-11-08,suspended by No. 70 until 2026-11-10,,x
MOFCOM/GAC 2025 No. 57,"Ho, Er",2025-10-09,2025-11-08,suspended by No. 70 from 2025-11-07 until 2026-11-10,,x
"""
SHIPMENTS = """MCS chapter,Commodity,Statistics,Statistics_detail,Unit,Year,Value,Notes
TANTALUM,Tantalum,Shipment,Shipments from Government stockpile,metric tons,2021,?10,a note
TANTALUM,Tantalum,Shipment,Shipments from Government stockpile,metric tons,2022,—,a note
TANTALUM,Tantalum,Shipment,Shipments from Government stockpile,metric tons,2023,,a note
MANGANESE,Manganese,Shipment,Shipments from Government stockpile: Manganese ore,thousand metric tons,2021,?2,a note
"""
PLAN = """chapter,material,fiscal_year,potential_acquisitions,potential_disposals,unit,source_text
rare earths,Lanthanum,2025,1100,NA,t (REO unless stated),a text
heavy rare earths,all,2025,none,,,a text
"""


def _controls(folder: Path, text: str = CONTROLS) -> dict[str, pl.DataFrame]:
    (folder / "china_export_controls_compiled.csv").write_text(text)
    return policy.SOURCE.read_vintage(folder, "2025")


def _stock(folder: Path) -> dict[str, pl.DataFrame]:
    (folder / "mcs2026_government_stockpile_rows.csv").write_text(SHIPMENTS)
    (folder / "nds_amp_from_mcs2026_chapters.csv").write_text(PLAN)
    return stockpile.SOURCE.read_vintage(folder, "2026")


def test_a_suspension_without_its_own_day_takes_the_day_of_its_decree(tmp_path: Path) -> None:
    table = _controls(tmp_path)["raw_policy__export_controls"]
    assert table["suspended"].to_list() == [None, date(2025, 11, 7), date(2025, 11, 7)]
    assert table["codes"].to_list() == ["81129289;8112921000", None, None]


def test_an_announcement_becomes_a_row_per_material_imposed_by_china(tmp_path: Path) -> None:
    rows, dropped = restriction.build(_controls(tmp_path))
    gallium = rows.filter(material="gallium").row(0, named=True)
    assert (gallium["imposer"], gallium["stage"], gallium["effective"]) == ("CHN", None, date(2023, 8, 1))
    assert set(rows.filter(status="suspended")["material"]) >= {"holmium", "erbium", "heavy_rare_earths"}
    assert dropped["reason"].to_list() == ["equipment, not a material"]


def test_an_unknown_announcement_or_status_stops(tmp_path: Path) -> None:
    with pytest.raises(UnmappedValue, match=r"No\. 99.*export_control_map\.csv"):
        restriction.build(_controls(tmp_path, CONTROLS.replace("No. 56", "No. 99")))
    with pytest.raises(SourceChanged, match="'lifted' is neither"):
        _controls(tmp_path, CONTROLS.replace("in force", "lifted"))


def test_a_minus_sign_lost_in_encoding_is_a_rise_of_the_inventory(tmp_path: Path) -> None:
    rows, dropped = stock.build(_stock(tmp_path))
    tantalum = rows.filter(material="tantalum").sort("year")
    assert tantalum.select("year", "quantity_t", "token").rows() == [(2021, -10.0, "-10"), (2022, 0.0, "—")]
    assert dropped["rows"].to_list() == [2]


def test_a_content_range_gives_ordered_bounds_also_below_zero(tmp_path: Path) -> None:
    ore = stock.build(_stock(tmp_path))[0].filter(material="manganese").row(0, named=True)
    bounds = (ore["quantity_t_low"], ore["quantity_t"], ore["quantity_t_high"])
    assert bounds == pytest.approx((-1080, -890, -700))
    assert ore["evidence"] == "estimated"


def test_none_in_words_is_zero_and_not_available_is_unknown(tmp_path: Path) -> None:
    rows = stock.build(_stock(tmp_path))[0]
    planned = {(row["material"], row["measure"]): (row["quantity_t"], row["token"]) for row in rows.to_dicts()}
    assert planned["heavy_rare_earths", "potential_acquisitions"] == (0.0, "none")
    assert planned["lanthanum", "potential_disposals"] == (None, "NA")


@pytest.mark.parametrize(
    "file", ["eu_crm_stage_map.csv", "eu_crm_material_map.csv", "iea_map.csv", "export_control_map.csv"]
)
def test_maps_name_only_known_materials_and_stages_or_a_reason_to_drop(file: str) -> None:
    rows = reference(file)
    materials, stages = set(reference("materials.csv")["material"]), set(reference("stages.csv")["stage"])
    assert set(rows["material"].drop_nulls()) <= materials
    assert "stage" not in rows.columns or set(rows["stage"].drop_nulls()) <= stages
    if "drop_reason" in rows.columns:
        assert rows.filter(pl.col("material").is_null() == pl.col("drop_reason").is_null()).is_empty()
