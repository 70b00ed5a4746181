"""What the embedded snapshot says of magnets and other chains when its figures are traced."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ingest.chain_inputs import network_sources, stage_feed
from ingest.live import embedded_tables
from ingest.transforms import run_all
from ingest.transforms.hs_stage import stage_map, stage_overrides
from ingest.transforms.stage_flow import stage_flows
from tracing.chains import KEYS, Traced, trace_all

MAGNETS = {"material": "rare_earths", "stage": "component"}
TRACED_MATERIALS = {
    *("aluminium", "antimony", "cobalt", "copper", "graphite", "lithium", "magnesium", "magnet_rare_earths"),
    *("manganese", "nickel", "niobium", "palladium", "platinum", "rare_earths", "silicon", "tantalum"),
    *("titanium", "tungsten", "vanadium"),
}


@pytest.fixture(scope="module")
def tables() -> dict[str, pl.DataFrame]:
    return run_all(embedded_tables())


@pytest.fixture(scope="module")
def traced(tables: dict[str, pl.DataFrame]) -> Traced:
    return trace_all(
        tables["stage_production"],
        tables["stage_flow"],
        feed=stage_feed(),
        secondary=tables["secondary_supply"],
        networks=network_sources(),
        draws=20,
    )


def magnets(traced: Traced, importer: str, year: int, country: str = "CHN") -> dict[str, Any]:
    rows = traced.exposure.filter(importer=importer, year=year, country=country, **MAGNETS)
    assert rows.height == 1
    return rows.row(0, named=True)


@pytest.mark.parametrize("year", [2023, 2024])
def test_chinese_magnets_of_the_usa_at_face_value_and_seen_through(traced: Traced, year: int) -> None:
    row = magnets(traced, "USA", year)
    assert 0.74 <= row["face_value_share"] <= 0.80
    assert row["processed_in_share"] > 0.93
    assert row["hidden_share"] > 0.15


@pytest.mark.parametrize("year", [2023, 2024])
def test_japan_buys_few_chinese_magnets_and_depends_on_chinese_plants(traced: Traced, year: int) -> None:
    row = magnets(traced, "JPN", year)
    assert row["face_value_share"] < 0.25
    assert row["processed_in_share"] > 0.6


@pytest.mark.parametrize(("importer", "country"), [("FRA", "DEU"), ("USA", "DEU"), ("USA", "HKG")])
def test_entrepots_are_phantom_exposure(traced: Traced, importer: str, country: str) -> None:
    row = magnets(traced, importer, 2024, country)
    assert row["hidden_share"] < 0
    assert row["made_in_share"] < row["face_value_share"]


def test_every_row_keeps_its_invariants(traced: Traced) -> None:
    rows = traced.exposure
    assert rows.height < 150_000
    assert not rows.select(pl.struct(KEYS).is_duplicated().any()).item()
    assert not set(rows["importer"]) & {"OTH", "WLD"}
    named = rows.filter(~pl.col("country").is_in(["SECONDARY", "UNEXPLAINED"]))
    for name in ("face_value_share", "made_in_share", "processed_in_share"):
        inside = pl.col(name).is_between(f"{name}_low", f"{name}_high") & pl.col(name).is_between(0, 1 + 1e-9)
        assert named.filter(~inside).is_empty()
    gap = pl.col("processed_in_share") - pl.col("face_value_share") - pl.col("hidden_share")
    assert named.select(gap.abs().max()).item() < 1e-12
    assert named.filter(pl.col("processed_in_share") < pl.col("made_in_share") - 1e-9).is_empty()
    sums = rows.group_by("material", "year", "stage", "importer").agg(pl.col("mine_origin_share").sum())
    assert sums.select((pl.col("mine_origin_share") - 1).abs().max()).item() < 1e-9


def test_first_hops_add_to_the_exposure_they_take_apart(traced: Traced) -> None:
    sums = traced.via.group_by(KEYS).agg(pl.col("share").sum()).join(traced.exposure, on=KEYS, validate="1:1")
    assert sums.height == traced.via.select(KEYS).unique().height
    assert sums.select((pl.col("share") - pl.col("processed_in_share")).abs().max()).item() < 1e-4


def test_chains_are_traced_as_far_as_the_figures_go_and_the_rest_is_called_blind(traced: Traced) -> None:
    closed = traced.coverage.filter(status="closed")
    assert set(closed["material"]) == TRACED_MATERIALS
    for material in ("rare_earths", "magnet_rare_earths"):
        stages = set(closed.filter(material=material, year=2024)["stage"])
        assert stages == {"mine", "intermediate", "compound", "metal", "component"}
    blind = traced.coverage.filter(status="blind")
    assert blind.filter(pl.col("reason").is_null() | (pl.col("reason") == "")).is_empty()
    assert {"gallium", "germanium", "tin"} <= set(blind["material"])
    traced_stages = traced.exposure.select("material", "year", "stage").unique()
    assert traced_stages.join(blind, on=["material", "year", "stage"], how="semi").is_empty()


def test_a_stage_with_figures_of_the_year_beside_says_so(traced: Traced) -> None:
    metal = traced.coverage.filter(material="rare_earths", stage="metal", year=2024)
    assert metal["ingredient_years"].item() == "output 2024; trade 2023"


def test_origins_are_unexplained_where_ore_trade_is_not_known(traced: Traced) -> None:
    copper = traced.exposure.filter(material="copper", stage="metal", importer="USA", country="UNEXPLAINED")
    assert copper["mine_origin_share"].item() == pytest.approx(1)


def test_output_by_stage_holds_no_world_rows_and_never_a_negative_figure(tables: dict[str, pl.DataFrame]) -> None:
    made = tables["stage_production"]
    assert "WLD" not in set(made["iso3"])
    assert made.filter(pl.col("quantity_t_low") < 0).is_empty()
    assert made.filter(~pl.col("quantity_t").is_between("quantity_t_low", "quantity_t_high")).is_empty()
    methods = {"reported", "share_x_total", "published_share", "derived_balance"}
    assert set(made["method"]) == methods
    assert set(made.filter(method="derived_balance")["evidence"]) <= {"derived", "assumed"}


def test_the_parts_of_a_world_table_still_make_up_its_total(tables: dict[str, pl.DataFrame]) -> None:
    made = tables["stage_production"].filter(material="copper", stage="metal", year=2024)
    world = tables["production"].filter(
        material="copper", stage="metal", iso3="WLD", year=2024, vintage="2026", measure="production"
    )
    assert made["quantity_t"].sum() == pytest.approx(world["quantity_t"].item(), rel=0.01)


def test_us_compounds_are_net_imports_only_where_concentrate_is_told_apart(tables: dict[str, pl.DataFrame]) -> None:
    trade = tables["trade_flow"].filter(pl.col("hs_code").str.starts_with("2846") & pl.col("year").is_in([2021, 2022]))

    def net_imports(overrides: pl.DataFrame) -> float:
        flows = stage_flows(trade, stage_map(), overrides)[0].filter(material="rare_earths", stage="compound")
        tonnes = flows.filter(source="usitc")
        return float(
            tonnes.filter(importer="USA")["quantity_t"].sum() - tonnes.filter(exporter="USA")["quantity_t"].sum()
        )

    assert net_imports(stage_overrides()) > 0
    assert net_imports(stage_overrides().clear()) < 0
