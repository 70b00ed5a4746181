"""EU study: shares keep tokens and residuals; dashes are not zeros; sums are guarded."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ingest.errors import SourceChanged, UnmappedValue
from ingest.sources.eu_crm import SOURCE
from ingest.transforms import criticality_score, end_use, supply_share

GLOBAL = """Material,Stage,Country,Share,t
Gallium,P,China,93.8%,1.0
Gallium,P,Türkiye,6.1%,1.0
Gallium,P,Japan,<0.1%,1.0
Titanium metal,E,China,100%,1.0
"""
EU = """Material,Stage,Country,Share,t
Chromium,E,South Africa,7%,1
Chromium,E,Türkiye,2%,1
"""
USES = """Material,Application,Share,NACE sector,VA in million €
Magnesium,Casting,87%,"C24 - Manufacture of
basic metals",64561
Magnesium,Construction,13%,C25 - Metal products,163568
Magnesium,Construction,13%,C25 - Metal products,163568
Cobalt,Batteries,100%,,
"""
SCORES = "Material,Year,SR,EI\nGallium,2023,3.9,3.7\nBismuth,2011,-,-\n"


def _tables(folder: Path, world: str = GLOBAL, uses: str = USES) -> dict[str, pl.DataFrame]:
    for name, text in {
        "fact_GlobalSupplyShares&t.csv": world,
        "fact_EUSupplyShares&t.csv": EU,
        "fact_MaterialUseShares.csv": uses,
        "dimension_CRMsOverTime.csv": SCORES,
    }.items():
        (folder / name).write_bytes(text.encode("cp1252"))
    return SOURCE.read_vintage(folder, "2023")


def _eu_shares(folder: Path, world: str = GLOBAL) -> pl.DataFrame:
    return supply_share._eu(_tables(folder, world))[0]


def test_a_share_below_a_tenth_of_a_percent_counts_as_its_middle_with_bounds(tmp_path: Path) -> None:
    row = _eu_shares(tmp_path).row(by_predicate=pl.col("iso3") == "JPN", named=True)
    assert (row["share"], row["share_low"], row["share_high"], row["token"]) == (0.0005, 0.0, 0.001, "<0.1%")


def test_what_a_group_does_not_list_stays_in_it_as_other(tmp_path: Path) -> None:
    chromium = _eu_shares(tmp_path).filter(material="chromium")
    other = chromium.row(by_predicate=pl.col("iso3") == "OTH", named=True)
    assert chromium["share"].sum() == pytest.approx(1)
    assert (other["share"], other["evidence"]) == (pytest.approx(0.91), "derived")


def test_the_ores_printed_twice_for_titanium_are_counted_once(tmp_path: Path) -> None:
    shares, dropped = supply_share._eu(_tables(tmp_path))
    assert "titanium" not in shares["material"]
    assert dropped.rows() == [("supply_share", "eu_crm", "2023", "repeats the line of Titanium", 1)]


def test_a_group_whose_shares_do_not_add_up_stops_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SourceChanged, match=r"global Gallium P: 0\.7005, expected 1"):
        _eu_shares(tmp_path, GLOBAL.replace("93.8%", "63.9%"))


def test_a_listed_gap_that_the_publisher_closes_stops_until_it_is_unlisted(tmp_path: Path) -> None:
    closed = GLOBAL + "Nickel,E,Indonesia,100%,1.3\n"
    with pytest.raises(SourceChanged, match=r"global Nickel E: 1\.0, expected 0\.911 as listed"):
        _eu_shares(tmp_path, closed)


def test_an_unknown_country_or_material_stops_with_the_file_that_needs_a_row(tmp_path: Path) -> None:
    with pytest.raises(UnmappedValue, match=r"Atlantis.*country_aliases\.csv"):
        _eu_shares(tmp_path, GLOBAL.replace("Japan", "Atlantis"))
    with pytest.raises(UnmappedValue, match=r"Mithril \| P.*eu_crm_stage_map\.csv"):
        _eu_shares(tmp_path, GLOBAL.replace("Gallium", "Mithril"))


def test_a_dash_in_the_scores_is_not_assessed_and_never_zero(tmp_path: Path) -> None:
    scores, dropped = criticality_score.build(_tables(tmp_path))
    assert sorted(scores.select("material", "indicator", "value").rows()) == [
        ("gallium", "economic_importance", 3.7),
        ("gallium", "supply_risk", 3.9),
    ]
    assert dropped["reason"].to_list() == ["not assessed that year"]


def test_a_repeated_use_is_dropped_and_one_without_a_sector_is_unallocated(tmp_path: Path) -> None:
    uses, dropped = end_use.build(_tables(tmp_path))
    assert uses.filter(material="magnesium")["share"].sum() == pytest.approx(1)
    assert uses.filter(material="cobalt")["sector"].to_list() == ["unallocated"]
    assert uses.filter(sector="C24")["value_added_eur"].to_list() == [64_561e6]
    assert dropped.rows() == [("end_use", "eu_crm", "2023", "repeats another row", 1)]


def test_uses_that_exceed_the_whole_stop(tmp_path: Path) -> None:
    with pytest.raises(SourceChanged, match=r"use Cobalt"):
        end_use.build(_tables(tmp_path, uses=USES + "Cobalt,Magnets,50%,C27 - Electrical equipment,89422\n"))
