"""The rules as shipped: each is one Great Expectations takes, and planted errors are stopped by name.

The warehouse here is small and made up, so the bands of row counts fail on it and are left aside.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from expectations.adapter import build_expectation, great_expectations, run_suites
from expectations.report import Outcome
from expectations.rules import load_suites

SUITES = {suite.mart: suite for suite in load_suites()}

# 30 materials, two years; China 600, Chile 300, others 100 of a printed world total of 1,000 t.
STAGE_OUTPUT = """
    create table mart_stage_output as
    select 'material_' || m as material, 'mine' as stage, 'all' as form, cast(y as integer) as year, country,
        'usgs_mcs' as source, tonnes as production_t, tonnes as production_t_low, tonnes as production_t_high,
        cast(cast(tonnes as integer) as varchar) as token, 1000.0::double as world_printed_t, 5.0::double as rounding_t,
        case when country <> 'WLD' then tonnes / 1000 end as share, country = 'WLD' as is_total,
        'content' as basis, '2026' as vintage, 'reported' as evidence
    from range(30) as materials(m), range(2024, 2026) as years(y),
        (values ('CHN', 600.0::double), ('CHL', 300), ('OTH', 100), ('WLD', 1000)) as countries(country, tonnes)
"""
# 60 printed lists of one window: China 71, Malaysia 13, others 16 percent.
IMPORT_SOURCE = """
    create table mart_import_source as
    select 'USA' as importer, 'commodity_' || m as commodity, 'all' as form, 2021 as first_year, 2024 as last_year,
        country, '2026' as vintage, 'material_' || m as material, 'compound' as stage,
        share, share as share_low, share as share_high, cast(cast(100 * share as integer) as varchar) as token,
        'content' as basis, 'usgs_mcs' as source, 'reported' as evidence
    from range(60) as materials(m),
        (values ('CHN', 0.71::double), ('MYS', 0.13), ('OTH', 0.16)) as countries(country, share)
"""
CHINA = "material = 'material_7' and country = 'CHN' and year = 2025"
CHINA_IMPORTS = "commodity = 'commodity_7' and country = 'CHN'"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good warehouse, as published before."""
    path = tmp_path_factory.mktemp("released") / "released.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(STAGE_OUTPUT)
        connection.execute(IMPORT_SOURCE)
    return path


def stopped_by(candidate: Path, mart: str, previous: Path | None) -> dict[str, Outcome]:
    """Critical checks of a mart that do not hold, bands of row counts aside."""
    report = run_suites(candidate, [SUITES[mart]], previous)
    return {o.check: o for o in report.failures if o.severity == "critical" and o.check != "row_count_in_band"}


def planted(released: Path, folder: Path, *statements: str) -> Path:
    """A copy of the good warehouse with an error planted."""
    candidate = folder / "candidate.duckdb"
    shutil.copyfile(released, candidate)
    with duckdb.connect(str(candidate)) as connection:
        for statement in statements:
            connection.execute(statement)
    return candidate


@pytest.mark.parametrize("mart", sorted(SUITES))
def test_great_expectations_takes_every_rule(mart: str) -> None:
    for check in SUITES[mart].checks:
        assert build_expectation(great_expectations(), mart, check).meta == {"check": check.name}


@pytest.mark.parametrize("mart", ["mart_stage_output", "mart_import_source"])
def test_a_good_warehouse_passes_alone_and_beside_the_last_release(released: Path, mart: str) -> None:
    assert stopped_by(released, mart, None) == {}
    assert stopped_by(released, mart, released) == {}


@pytest.mark.parametrize(
    ("error", "check"),
    [
        (f"update mart_stage_output set share = 1.7 where {CHINA}", "share_within_0_and_1"),
        (f"update mart_stage_output set share = 'nan' where {CHINA}", "figures_are_finite"),
        (f"insert into mart_stage_output from mart_stage_output where {CHINA}", "key_not_repeated"),
        (f"insert into mart_stage_output from mart_stage_output where {CHINA}", "countries_sum_to_printed_world_total"),
        (
            f"update mart_stage_output set production_t = 1200, production_t_high = 1200 where {CHINA}",
            "countries_sum_to_printed_world_total",
        ),
        (
            f"update mart_stage_output set production_t = 0.6, production_t_low = 0.6 where {CHINA}",
            "countries_sum_to_printed_world_total",
        ),
        (
            "update mart_stage_output set world_printed_t = 1000000 where material = 'material_7' and year = 2025",
            "world_output_steady",
        ),
        (
            "delete from mart_stage_output where material = 'material_7' and year = 2025",
            "newest_edition_gives_both_its_years",
        ),
        (f"update mart_stage_output set production_t_low = 700 where {CHINA}", "value_within_bounds"),
        (f"update mart_stage_output set country = 'China' where {CHINA}", "country_is_a_code"),
        ("update mart_stage_output set evidence = 'guessed'", "evidence_is_a_grade"),
    ],
)
def test_an_error_in_world_output_is_stopped_without_an_earlier_release(
    released: Path, tmp_path: Path, error: str, check: str
) -> None:
    stopped = stopped_by(planted(released, tmp_path, error), "mart_stage_output", None)
    assert check in stopped
    assert stopped[check].reason in stopped[check].message


@pytest.mark.parametrize(
    ("error", "check"),
    [
        ("delete from mart_stage_output where material = 'material_7'", "no_list_lost"),
        ("update mart_stage_output set vintage = '2025' where material = 'material_7'", "vintage_not_older"),
        (
            f"update mart_stage_output set production_t = 2 * production_t where {CHINA}",
            "figure_of_same_edition_unmoved",
        ),
        (f"update mart_stage_output set share = 0.65 where {CHINA}", "share_of_same_edition_unmoved"),
    ],
)
def test_an_error_in_world_output_is_stopped_by_comparison(
    released: Path, tmp_path: Path, error: str, check: str
) -> None:
    assert check in stopped_by(planted(released, tmp_path, error), "mart_stage_output", released)


@pytest.mark.parametrize(
    ("error", "check"),
    [
        (f"update mart_import_source set share = 1.7 where {CHINA_IMPORTS}", "share_within_0_and_1.share"),
        (f"insert into mart_import_source from mart_import_source where {CHINA_IMPORTS}", "shares_sum_to_1"),
        (f"delete from mart_import_source where {CHINA_IMPORTS}", "shares_sum_to_1"),
        (f"update mart_import_source set country = 'USA' where {CHINA_IMPORTS}", "country_is_a_supplier"),
        ("update mart_import_source set last_year = 2023 where commodity = 'commodity_7'", "window_of_the_edition"),
        ("delete from mart_import_source where commodity = 'commodity_7'", "no_list_lost"),
        ("update mart_import_source set share = share + 0.02 where country = 'CHN'", "share_of_same_edition_unmoved"),
    ],
)
def test_an_error_in_printed_import_sources_is_stopped(released: Path, tmp_path: Path, error: str, check: str) -> None:
    assert check in stopped_by(planted(released, tmp_path, error), "mart_import_source", released)


def test_a_planted_share_is_named_with_its_country_and_value(released: Path, tmp_path: Path) -> None:
    candidate = planted(released, tmp_path, f"update mart_import_source set share = 1.7 where {CHINA_IMPORTS}")
    message = stopped_by(candidate, "mart_import_source", None)["share_within_0_and_1.share"].message
    for part in ("mart_import_source", "ExpectColumnValuesToBeBetween", "commodity_7", "CHN", "1.7", "part of a whole"):
        assert part in message
