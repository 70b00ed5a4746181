"""Trade as the publishers' own files give it, against figures they print elsewhere."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ingest.sources import baci, census, comtrade, usgs_myb, usitc
from ingest.transforms import import_line, stage_flow, trade_flow
from ingest.transforms.hs_stage import stage_map, stage_overrides

VINTAGES = (
    (baci, "baci", "V202601"),
    (usitc, "usitc", "2026"),
    (census, "census", "2024"),
    (usgs_myb, "usgs_myb", "2022"),
)


@pytest.fixture(scope="module")
def raw(shared_data: Path) -> dict[str, pl.DataFrame]:
    found = {table: pl.DataFrame(schema=dict(schema)) for table, schema in comtrade.SOURCE.tables.items()}
    for module, folder, vintage in VINTAGES:
        found |= module.SOURCE.read_vintage(shared_data / folder, vintage)
    return found


@pytest.fixture(scope="module")
def trade(raw: dict[str, pl.DataFrame]) -> pl.DataFrame:
    return trade_flow.build(raw)[0]


@pytest.fixture(scope="module")
def flows(trade: pl.DataFrame) -> pl.DataFrame:
    return stage_flow.build({"trade_flow": trade})[0]


def test_source_tables_stay_small(raw: dict[str, pl.DataFrame], tmp_path: Path) -> None:
    for name, frame in raw.items():
        frame.write_parquet(tmp_path / f"{name}.parquet", compression="zstd")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 5_000_000


@pytest.mark.parametrize(("year", "usd"), [(2022, 6_863_962_510), (2024, 4_962_889_102)])
def test_all_pairs_of_magnets_sum_to_the_printed_world_total(trade: pl.DataFrame, year: int, usd: int) -> None:
    magnets = trade.filter(hs_code="850511", year=year)
    assert magnets.filter(scope="all_pairs")["value_usd"].sum() == pytest.approx(usd, abs=1500)
    assert magnets.filter(scope="world_total")["value_usd"].item() == usd


def test_us_figures_of_china_2024(trade: pl.DataFrame) -> None:
    chinese = trade.filter(exporter="CHN", importer="USA", year=2024, flow="M")
    assert chinese.filter(hs_code="8505110070")["value_usd"].item() == 203_871_334
    assert chinese.filter(hs_code="2846")["value_usd"].item() == 112_644_992
    lines = chinese.filter((pl.col("hs_level") == 10) & pl.col("hs_code").str.starts_with("2846"))
    assert lines["value_usd"].sum() == 112_736_288


def test_network_links_fit_the_printed_totals_of_their_code(trade: pl.DataFrame) -> None:
    links = trade.filter((pl.col("scope") == "top_links") & (pl.col("exporter") != "OTH"))
    totals = trade.filter(scope="country_total", year=2023)
    for end, other in (("exporter", "importer"), ("importer", "exporter")):
        linked = links.group_by("hs_code", end).agg(linked=pl.col("value_usd").sum())
        held = totals.filter(pl.col(other) == "WLD").join(linked, on=["hs_code", end])
        assert held.height > 10
        # The links come from a neighbouring edition; a code given to the wrong link exceeds this by far.
        assert held.filter(pl.col("linked") > 1.06 * pl.col("value_usd")).is_empty()


def test_chinas_share_of_us_rare_earth_imports_2021(raw: dict[str, pl.DataFrame]) -> None:
    lines = import_line.build(raw)[0].filter(year=2021)
    china, total = lines.filter(iso3="CHN"), lines.filter(iso3="WLD")
    for column, share in (("quantity_gross_t", 0.673), ("quantity_t", 0.657)):
        assert china[column].sum() / total[column].sum() == pytest.approx(share, abs=0.0005)


def test_yearbook_mine_output_sums_to_its_rounded_total(raw: dict[str, pl.DataFrame]) -> None:
    mine = (
        raw["raw_usgs_myb__world_mine"].filter(pl.col("reo_t") != "--").with_columns(pl.col("reo_t").cast(pl.Float64))
    )
    for year in range(2018, 2023):
        rows = mine.filter(year=year)
        total = rows.filter(country="Total")["reo_t"].item()
        assert rows.filter(pl.col("country") != "Total")["reo_t"].sum() == pytest.approx(total, rel=0.01)


def test_us_rare_earths_are_net_imported_as_compounds_once_concentrate_is_told_apart(trade: pl.DataFrame) -> None:
    def net(overrides: pl.DataFrame, year: int) -> float:
        table = stage_flow.stage_flows(trade, stage_map(), overrides)[0]
        compounds = table.filter(material="rare_earths", stage="compound", year=year)
        arrives = compounds.filter(importer="USA")["quantity_t"].sum()
        return float(arrives - compounds.filter(exporter="USA")["quantity_t"].sum())

    for year in (2021, 2023, 2024):
        assert net(stage_overrides(), year) > 0
        assert net(stage_overrides().clear(), year) < 0


def test_us_concentrate_of_2021_matches_the_yearbook(flows: pl.DataFrame) -> None:
    shipped = flows.filter(material="rare_earths", stage="mine", exporter="USA", importer="CHN", year=2021)
    assert shipped["quantity_t"].item() == pytest.approx(42_400, rel=0.02)


def test_magnets_split_by_unit_value_match_chinas_own_count(flows: pl.DataFrame) -> None:
    # China's customs count 58,152 t of rare-earth magnets in 2024; the two unit values of the map are averages of
    # that count, so splitting flow by flow must give the sum back (at 35 % oxide equivalent).
    magnets = flows.filter(material="rare_earths", stage="component", exporter="CHN", year=2024)
    assert magnets["quantity_t"].sum() == pytest.approx(58_152 * 0.35, rel=0.03)


def test_face_value_of_chinese_magnets_2024(flows: pl.DataFrame) -> None:
    magnets = flows.filter(material="rare_earths", stage="component", year=2024)

    def share(importer: str) -> float:
        bought = magnets.filter(importer=importer)
        return float(bought.filter(exporter="CHN")["quantity_t"].sum() / bought["quantity_t"].sum())

    assert 0.74 < share("USA") < 0.80
    assert share("JPN") < 0.4 < 0.8 < share("DEU")


def test_every_central_figure_lies_within_its_bounds(flows: pl.DataFrame) -> None:
    weighed = flows.filter(pl.col("quantity_t").is_not_null())
    inside = pl.col("quantity_t").is_between(pl.col("quantity_t_low") * 0.999999, pl.col("quantity_t_high") * 1.000001)
    assert weighed.height > 60_000
    assert weighed.filter(~inside).is_empty()


def test_the_rare_earth_chain_of_2023_has_flows_at_every_stage(flows: pl.DataFrame) -> None:
    chain = flows.filter((pl.col("year") == 2023) & pl.col("quantity_t").is_not_null())
    for material in ("rare_earths", "magnet_rare_earths"):
        stages = set(chain.filter(material=material)["stage"])
        assert {"mine", "intermediate", "compound", "metal", "component"} <= stages
