"""The publishers' own files of shares, scores, governance, GDP, controls and stock give the known figures."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import polars as pl
import pytest

from ingest.transforms import run_all

EDITIONS = {"eu_crm": "2023", "iea": "2025", "wgi": "2024", "worldbank": "2024", "policy": "2025", "stockpile": "2026"}
TABLES = (
    "material", "stage", "country", "supply_share", "criticality_score", "end_use", "governance", "economy",
    "restriction", "stock",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(shared_data: Path) -> dict[str, pl.DataFrame]:
    raw: dict[str, pl.DataFrame] = {}
    for module, vintage in EDITIONS.items():
        source = import_module(f"ingest.sources.{module}").SOURCE
        raw |= source.read_vintage(shared_data / module, vintage)
    return run_all(raw, {table: import_module(f"ingest.transforms.{table}").TRANSFORM for table in TABLES})


@pytest.mark.parametrize(
    ("material", "published"),
    [
        ("lithium", 96.1),
        ("magnet_rare_earths", 97.0),
        ("copper", 57.2),
        ("cobalt", 88.7),
        ("graphite", 98.2),
        ("nickel", 77.8),
    ],
)
def test_three_countries_refine_the_published_share_of_the_world_in_2024(
    made: dict[str, pl.DataFrame], material: str, published: float
) -> None:
    refined = made["supply_share"].filter(
        pl.col("source") == "iea", pl.col("material") == material, pl.col("stage") != "mine", pl.col("iso3") != "OTH"
    )
    assert round(refined["share"].top_k(3).sum() * 100, 1) == published


def test_the_world_refined_80_8_thousand_tonnes_of_magnet_rare_earths_china_73_8(made: dict[str, pl.DataFrame]) -> None:
    refined = made["supply_share"].filter(source="iea", material="magnet_rare_earths", stage="compound")
    assert round(refined["quantity_t"].sum() / 1000, 1) == 80.8
    assert round(refined.filter(iso3="CHN")["quantity_t"].item() / 1000, 1) == 73.8


def test_every_group_of_shares_is_the_whole_within_the_printed_rounding(made: dict[str, pl.DataFrame]) -> None:
    sums = made["supply_share"].group_by("source", "scope", "material", "stage").agg(pl.col("share").sum())
    assert sums.filter(~pl.col("share").is_between(1 - 1e-9, 1.02)).is_empty()
    exact = sums.filter(source="iea")
    assert exact.height == 12
    assert exact.filter((pl.col("share") - 1).abs() > 1e-6).is_empty()


def test_the_eu_scores_of_2023_are_as_published(made: dict[str, pl.DataFrame]) -> None:
    scores = made["criticality_score"].filter(assessment_year=2023, indicator="supply_risk")
    found = dict(scores.select("material", "value").rows())
    assert (found["light_rare_earths"], found["platinum_group_metals"], found["titanium_metal"]) == (3.7, 2.7, 1.6)


def test_governance_covers_1996_to_2023_for_over_200_countries_and_six_indicators(
    made: dict[str, pl.DataFrame],
) -> None:
    governance = made["governance"]
    assert (governance["year"].min(), governance["year"].max(), governance["indicator"].n_unique()) == (1996, 2023, 6)
    assert governance.filter(year=2023)["iso3"].n_unique() > 200
    assert governance["estimate"].is_between(-4, 4).all()


def test_gdp_of_countries_is_the_worlds_but_for_the_few_without_a_figure(made: dict[str, pl.DataFrame]) -> None:
    gdp = made["economy"].filter(year=2022)
    world = gdp.filter(iso3="WLD")["gdp_usd"].item()
    countries = gdp.filter(~pl.col("iso3").is_in(["WLD", "EUU"]))["gdp_usd"].sum()
    assert 0.98 * world < countries <= world


def test_chinas_controls_and_the_us_materials_plan_are_there(made: dict[str, pl.DataFrame]) -> None:
    controls = made["restriction"]
    assert controls["authority_no"].n_unique() == 9
    assert "samarium" in controls.filter(stage="component", status="in_force")["material"]
    plan = made["stock"].filter(measure="potential_acquisitions", material="magnet_rare_earths", form="compound")
    assert plan["quantity_t"].to_list() == [300.0]


def test_customs_codes_of_the_map_are_evidenced_in_the_announcement(shared_data: Path) -> None:
    from ingest.mapping import reference
    from ingest.sources.policy import SOURCE

    controls = SOURCE.read_vintage(shared_data / "policy", "2025")["raw_policy__export_controls"]
    evidenced = dict(controls.select("authority_no", "codes").rows())
    mapped = reference("export_control_map.csv").drop_nulls("hs_codes").select("authority_no", "hs_codes").rows()
    for authority, codes in mapped:
        for code in codes.split(";"):
            assert any(full.startswith(code) for full in (evidenced[authority] or "").split(";")), (authority, code)


def test_these_source_tables_are_small(shared_data: Path, tmp_path: Path) -> None:
    total = 0
    for module, vintage in EDITIONS.items():
        for table, frame in (
            import_module(f"ingest.sources.{module}").SOURCE.read_vintage(shared_data / module, vintage).items()
        ):
            frame.write_parquet(tmp_path / table, compression="zstd", compression_level=19)
            total += (tmp_path / table).stat().st_size
    assert total < 700_000
