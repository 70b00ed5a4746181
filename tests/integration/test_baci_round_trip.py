"""CEPII's own figures, put back into the layout of a release, come out of it as they went in."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ingest.sources import baci
from ingest.sources.baci_release import prove_release
from ingest.transforms import stage_flow
from tests.baci_release import row, trade_flows, write_release

Tables = dict[str, pl.DataFrame]
KEY = ["year", "exporter", "importer", "hs_code"]


def printed_rows(folder: Path) -> list[str]:
    """The extract's pairs of 2024 as CEPII prints them: country numbers, no leading zero, padded NA."""
    codes = pl.read_csv(folder / "extract" / "country_codes_V202601.csv", null_values=[""])
    numbers = {
        iso3: code
        for code, name, iso3 in codes.select("country_code", "country_name", "country_iso3").iter_rows()
        if "(..." not in name
    }
    trade = pl.read_parquet(folder / "extract" / "trade.parquet").with_columns(
        i=pl.col("exporter").replace_strict(numbers), j=pl.col("importer").replace_strict(numbers)
    )
    return [
        row(2024, i, j, k.lstrip("0"), f"{v:.3f}", f"{q:.3f}" if q is not None else "           NA")
        for i, j, k, v, q in trade.select("i", "j", "hs6", "value_kusd", "qty_t").sort("i", "j", "hs6").iter_rows()
    ]


@pytest.fixture(scope="module")
def release(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, lists = tmp_path_factory.mktemp("V202601"), shared_data / "baci"
    years = {year: [row(year, 156, 842)] for year in range(2017, 2024)} | {2024: printed_rows(lists)}
    write_release(
        folder,
        years,
        hs="HS17",
        replaced={
            "country_codes_V202601.csv": (lists / "extract" / "country_codes_V202601.csv").read_text(),
            "product_codes_HS17_V202601.csv": (lists / "product_codes_HS17_V202301.csv").read_text(),
        },
    )
    return folder


@pytest.fixture(scope="module")
def raw(release: Path) -> Tables:
    return baci.SOURCE.read_vintage(release, "V202601")


@pytest.fixture(scope="module")
def extract(shared_data: Path) -> Tables:
    return baci.SOURCE.read_vintage(shared_data / "baci", "V202601")


def test_the_real_code_lists_hold_every_pair_of_the_extract(release: Path) -> None:
    proof = prove_release(release, "V202601")
    assert proof["rows_by_year"][2024] == 21_723
    assert (proof["hs_edition"], proof["countries"], proof["products"]) == ("HS2017", 238, 5384)


def test_flows_of_a_release_are_those_of_the_extract(raw: Tables, extract: Tables) -> None:
    def of_2024(tables: Tables) -> pl.DataFrame:
        return tables["raw_baci__flows"].filter(year=2024, scope="all_pairs").sort(KEY)

    assert of_2024(raw).height > 20_000
    assert of_2024(raw)["quantity_gross_t"].null_count() > 900
    assert "S19" in of_2024(raw)["exporter"]
    assert_frame_equal(of_2024(raw), of_2024(extract), check_exact=True)


def test_totals_of_a_release_are_the_published_ones(raw: Tables, extract: Tables) -> None:
    keys = ["year", "hs_code", "hs_edition", "role", "iso3"]
    published = extract["raw_baci__totals"].filter(year=2024, hs_code="850511")
    both = published.join(raw["raw_baci__totals"], on=keys, suffix="_ours")
    assert both.height == published.height > 10
    assert both.filter((pl.col("value_usd") - pl.col("value_usd_ours")).abs() > 1).is_empty()
    world = both.filter(role="world").row(0, named=True)
    assert world["value_usd"] == 4_962_889_102
    assert world["quantity_gross_t_ours"] == pytest.approx(world["quantity_gross_t"], abs=0.05)


def test_a_release_and_the_extract_give_the_same_canonical_flows(raw: Tables, extract: Tables) -> None:
    theirs, ours = (trade_flows(tables)[0].filter(scope="all_pairs", year=2024) for tables in (extract, raw))
    assert_frame_equal(ours, theirs, check_exact=True)


def test_stage_flows_of_a_release_count_each_flow_once(raw: Tables) -> None:
    table = trade_flows(raw)[0]
    magnets = stage_flow.build({"trade_flow": table})[0].filter(
        (pl.col("year") == 2024) & (pl.col("material") == "rare_earths") & (pl.col("hs_codes") == "850511")
    )
    flows = table.filter(scope="all_pairs", year=2024, hs_code="850511")
    assert magnets.height == flows.height > 4_000
    assert magnets["value_usd"].sum() == pytest.approx(4_962_889_102, abs=1500)
