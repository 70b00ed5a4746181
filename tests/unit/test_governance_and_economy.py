"""Governance and GDP by ISO country; groups of countries are left out and counted."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ingest.errors import UnmappedValue
from ingest.sources import worldbank
from ingest.transforms import country, economy, governance, material, stage


def _estimates(code: str, estimate: float | None) -> dict[str, pl.DataFrame]:
    row = {"source": "wgi", "vintage": "2024", "code": code, "year": 2023, "indicator": "cc", "estimate": estimate}
    return {"raw_wgi__estimates": pl.DataFrame([{**row, "std_error": 0.2}], schema_overrides={"estimate": pl.Float64})}


def test_former_codes_of_countries_become_todays() -> None:
    rows, _ = governance.build(_estimates("TMP", -0.5))
    assert rows.select("iso3", "estimate").rows() == [("TLS", -0.5)]


def test_a_country_without_an_estimate_has_no_row_and_is_counted() -> None:
    rows, dropped = governance.build(_estimates("AFG", None))
    assert rows.is_empty()
    assert dropped.rows() == [("governance", "wgi", "2024", "no estimate printed", 1)]


def test_gdp_keeps_countries_and_the_world_and_counts_the_other_groups(tmp_path: Path) -> None:
    text = "Country Name,Country Code,Year,Value\nChina,CHN,2023,2e13\nWorld,WLD,2023,1e14\nArab World,ARB,2023,4e12\n"
    (tmp_path / "gdp.csv").write_text(text)
    tables = worldbank.SOURCE.read_vintage(tmp_path, "2024")
    rows, dropped = economy.build(tables)
    assert rows.select("iso3", "gdp_usd").rows() == [("CHN", 2e13), ("WLD", 1e14)]
    assert dropped.select("reason", "rows").rows() == [("group of countries", 1)]


def test_a_new_group_code_stops_with_the_file_that_needs_it(tmp_path: Path) -> None:
    (tmp_path / "gdp.csv").write_text("Country Name,Country Code,Year,Value\nNew group,ZZQ,2023,1\n")
    with pytest.raises(UnmappedValue, match=r"'ZZQ'.*worldbank_groups\.csv"):
        economy.build(worldbank.SOURCE.read_vintage(tmp_path, "2024"))


def test_dimension_tables_hold_the_keys_that_facts_use() -> None:
    assert {"WLD", "OTH", "EUU", "CHN"} <= set(country.build({})[0]["iso3"])
    assert stage.build({})[0].sort("position")["stage"].to_list()[:4] == ["mine", "intermediate", "compound", "metal"]
    rare_earths = material.build({})[0].filter(material="rare_earths").row(0, named=True)
    assert (rare_earths["basis"], rare_earths["critical_us_2025"]) == ("REO", True)
