"""IEA supply: footnotes never become countries, and the lines must explain the printed total."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.errors import SourceChanged
from ingest.sources.iea import SOURCE
from ingest.transforms import supply_share

NOTES = {"Notes: projections": {"2024": None}, "“Base case” is": {"2024": None}}


def _part(lines: dict[str, Any], total: float, top3: float) -> dict[str, Any]:
    return {"countries": lines, "total": {"2024": total, "2030": 9.0}, "top3Share": {"2024": top3, "2030": 0.5}}


def _supply() -> dict[str, Any]:
    rare_earths = {"China": {"2024": 8.0, "2030": 5.0}, "Rest of world": {"2024": 2.0, "2030": 4.0}}
    nickel = {"Indonesia": {"2024": 60.0}, "Australia": {"2024": 10.0}, "Rest of world": {"2024": 40.0}}
    return {
        "Rare Earth Elements": {
            "mining": _part({**rare_earths, **NOTES}, 10.0, 0.8),
            "refining": _part(rare_earths, 10.0, 0.8),
        },
        "Nickel": {"mining": _part(nickel, 100.0, 0.7), "refining": _part({"China": {"2024": 5.0}}, 5.0, 1.0)},
    }


def _read(folder: Path, supply: dict[str, Any]) -> pl.DataFrame:
    (folder / "iea.json").write_text(json.dumps({"supply": supply}), encoding="utf-8")
    return SOURCE.read_vintage(folder, "2025")["raw_iea__supply"]


def _shares(folder: Path, supply: dict[str, Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    return supply_share._iea({"raw_iea__supply": _read(folder, supply)})


def test_footnotes_among_the_countries_are_labelled_and_counted_out(tmp_path: Path) -> None:
    assert _read(tmp_path, _supply()).filter(line_kind="footnote")["line"].to_list() == ["footnote 1", "footnote 2"]
    shares, dropped = _shares(tmp_path, _supply())
    assert set(shares["iso3"]) == {"CHN", "IDN", "AUS", "OTH"}
    assert dict(dropped.select("reason", "rows").rows())["footnote parsed as a country"] == 2


def test_only_the_recorded_year_becomes_a_share_in_tonnes(tmp_path: Path) -> None:
    shares, _ = _shares(tmp_path, _supply())
    china = shares.filter(material="magnet_rare_earths", stage="compound", iso3="CHN").row(0, named=True)
    assert (china["last_year"], china["share"], china["quantity_t"]) == (2024, 0.8, 8000.0)
    assert set(shares["last_year"]) == {2024}


def test_where_lines_exceed_the_total_by_a_country_both_readings_bound_the_share(tmp_path: Path) -> None:
    nickel = _shares(tmp_path, _supply())[0].filter(material="nickel", stage="mine")
    other = nickel.row(by_predicate=pl.col("iso3") == "OTH", named=True)
    assert nickel["share"].sum() == pytest.approx(1)
    assert (other["share"], other["share_high"]) == (pytest.approx(0.30), pytest.approx(40 / 110))
    assert (other["quantity_t"], other["evidence"]) == (30_000, "derived")


def test_lines_that_do_not_explain_the_total_stop(tmp_path: Path) -> None:
    supply = _supply()
    supply["Rare Earth Elements"]["refining"]["countries"]["Malaysia"] = {"2024": 1.0, "2030": 0.0}
    supply["Rare Earth Elements"]["refining"]["top3Share"]["2024"] = 0.9
    with pytest.raises(SourceChanged, match=r"refining 2024: lines exceed the total 10\.0 by 1\.0"):
        _shares(tmp_path, supply)


def test_a_line_without_figures_that_is_no_known_footnote_stops(tmp_path: Path) -> None:
    supply = _supply()
    supply["Nickel"]["refining"]["countries"]["Source: us"] = {"2024": None}
    with pytest.raises(SourceChanged, match=r"'Source: us' has no figures.*iea_footnotes\.csv"):
        _read(tmp_path, supply)


def test_a_known_footnote_that_is_gone_stops_so_that_the_guard_is_removed(tmp_path: Path) -> None:
    supply = _supply()
    del supply["Rare Earth Elements"]["mining"]["countries"]["Notes: projections"]
    with pytest.raises(SourceChanged, match="1 of 2 footnotes"):
        _read(tmp_path, supply)


def test_a_printed_top_three_that_does_not_follow_from_the_lines_stops(tmp_path: Path) -> None:
    supply = _supply()
    supply["Nickel"]["mining"]["top3Share"]["2024"] = 0.9
    with pytest.raises(SourceChanged, match=r"top three are 0\.7000 of the total, printed 0\.9000"):
        _read(tmp_path, supply)
