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
        case when country <> 'WLD' then tonnes / 1000 end as share,
        case when country <> 'WLD' then tonnes / 1000 end as printed_share, country = 'WLD' as is_total,
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
# 2,100 traced markets of 14 chains: half the supply is bought in China, three quarters passed through it, half was
# mined there and nobody knows where the other half was.
SUPPLIER_EXPOSURE = """
    create table mart_supplier_exposure as
    select importer, material, 'component' as stage, 2024 as year, coalesce(seller, importer) as country,
        bought as import_share, bought as import_share_low, bought as import_share_high,
        face as face_value_share, face - 0.05 as face_value_share_low, face + 0.05 as face_value_share_high,
        case when face is not null then 'traced' end as face_value_basis,
        made as made_in_share, made - 0.05 as made_in_share_low, made + 0.05 as made_in_share_high,
        bought as import_made_in_share, bought - 0.05 as import_made_in_share_low,
        bought + 0.05 as import_made_in_share_high,
        passed as processed_in_share, passed - 0.1 as processed_in_share_low, passed + 0.1 as processed_in_share_high,
        passed - 0.05 as processed_in_share_p05, passed as processed_in_share_p50,
        passed + 0.05 as processed_in_share_p95,
        mined as mine_origin_share, passed - face as hidden_share, 200 as draws, 7::bigint as seed,
        'assumed' as traced_evidence, 100 * bought as imports_t, 9000 * bought as imports_usd,
        case when bought is not null then 'tonnes contained' end as share_basis,
        case when bought is not null then '2024' end as share_period,
        case when bought is not null then 'baci' end as source, case when bought is not null then 'V1' end as vintage,
        'derived' as evidence
    from (select case when m = 0 then 'rare_earths' else 'material_' || m end as material from range(14) as numbers(m)),
        (select case i when 0 then 'USA' when 1 then 'JPN' when 2 then 'DEU'
            else 'X' || chr(65 + i // 26) || chr(65 + i % 26) end as importer
        from (select cast(range as integer) as i from range(150))),
        (values ('CHN', 0.8::double, 0.5::double, 0.6::double, 0.75::double, 0.5::double),
            ('VNM', 0.2, 0.125, 0.125, 0.125, 0), (null, null, 0.375, 0.275, 0.375, 0),
            ('UNEXPLAINED', null, null, null, null, 0.5)) as parts(seller, bought, face, made, passed, mined)
"""
EXPOSURE_VIA = """
    create table mart_exposure_via as
    select importer, material, stage, year, country, coalesce(hop, importer) as via, part as share, processed_in_share,
        'assumed' as evidence
    from mart_supplier_exposure inner join (values ('CHN', 'CHN', 0.45::double), ('CHN', null, 0.3),
        ('VNM', 'VNM', 0.125), (null, null, 0.375)) as hops(passed_through, hop, part)
        on coalesce(passed_through, importer) = country
"""
STAGE_BLINDNESS = """
    create table mart_stage_blindness as
    select importer, material, year, 'mine;component' as chain_stages, 'mine' as first_stages, 'mine' as seen_stage,
        'AUS' as seen_country, 0.25::double as seen_share, 'component' as last_stage, country as lead_country,
        processed_in_share as lead_processed_in_share, processed_in_share_low as lead_processed_in_share_low,
        processed_in_share_high as lead_processed_in_share_high, face_value_share as lead_face_value_share,
        0.125::double as lead_seen_share, 100 * (processed_in_share - 0.25) as blind_pp,
        100 * (processed_in_share_low - 0.25) as blind_low_pp, 100 * (processed_in_share_high - 0.25) as blind_high_pp,
        0.5::double as unexplained_share, 'assumed' as evidence
    from mart_supplier_exposure where country = 'CHN'
"""
OTHERS = """
    create table mart_dependence_by_stage as
    select distinct importer, material, stage, year, 100.0::double as imports_t from mart_supplier_exposure;
    create table dim_country as select 'C' || i as iso3 from range(250) as numbers(i)
"""
BANDS = {"row_count_in_band", "most_rows_have_an_import_share", "traced_rows_in_band"}
MARKET = "importer = 'JPN' and material = 'rare_earths'"
MAGNETS = f"{MARKET} and country = 'CHN'"
CHINA = "material = 'material_7' and country = 'CHN' and year = 2025"
CHINA_IMPORTS = "commodity = 'commodity_7' and country = 'CHN'"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good warehouse, as published before."""
    path = tmp_path_factory.mktemp("released") / "released.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(STAGE_OUTPUT)
        for table in (IMPORT_SOURCE, SUPPLIER_EXPOSURE, EXPOSURE_VIA, STAGE_BLINDNESS, OTHERS):
            connection.execute(table)
    return path


def stopped_by(candidate: Path, mart: str, previous: Path | None) -> dict[str, Outcome]:
    """Critical checks of a mart that do not hold, bands of row counts aside."""
    report = run_suites(candidate, [SUITES[mart]], previous)
    return {o.check: o for o in report.failures if o.severity == "critical" and o.check not in BANDS}


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


@pytest.mark.parametrize(
    "mart",
    ["mart_stage_output", "mart_import_source", "mart_supplier_exposure", "mart_exposure_via", "mart_stage_blindness"],
)
def test_a_good_warehouse_passes_alone_and_beside_the_last_release(released: Path, mart: str) -> None:
    assert stopped_by(released, mart, None) == {}
    assert stopped_by(released, mart, released) == {}


@pytest.mark.parametrize(
    ("error", "check"),
    [
        (f"update mart_stage_output set share = 1.7 where {CHINA}", "share_within_0_and_1"),
        (f"update mart_stage_output set printed_share = 1.7 where {CHINA}", "printed_share_within_0_and_1"),
        (f"update mart_stage_output set printed_share = 0.95 where {CHINA}", "printed_shares_at_most_all"),
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


@pytest.mark.parametrize(
    ("error", "check"),
    [
        (f"set hidden_share = 0.3 where {MAGNETS}", "hidden_is_processed_less_face_value"),
        (f"set face_value_share = 0.51 where {MAGNETS}", "hidden_is_processed_less_face_value"),
        (f"set processed_in_share = 1.7 where {MAGNETS}", "share_within_0_and_1"),
        (f"set import_share = -0.1 where {MAGNETS}", "share_not_negative"),
        (f"set processed_in_share_low = 0.76 where {MAGNETS}", "interval_contains_the_centre"),
        (f"set made_in_share = 0.8 where {MAGNETS}", "what_was_made_or_mined_there_passed_through_there"),
        (f"set processed_in_share_p95 = null where {MAGNETS}", "traced_row_is_whole"),
        (f"set mine_origin_share = 0.4 where {MAGNETS}", "mine_origin_sums_to_1"),
        (f"set processed_in_share = 0.5, hidden_share = 0 where {MAGNETS}", "chinese_magnets_are_seen_through"),
        (f"set face_value_basis = 'imports' where {MAGNETS}", "one_face_value_basis_per_market"),
        (f"set processed_in_share = 'nan' where {MAGNETS}", "figures_are_finite"),
        (f"set country = 'China' where {MAGNETS}", "country_is_a_code"),
        (f"set country = 'JPN' where {MARKET} and country = 'VNM'", "country_is_a_supplier"),
        (f"set traced_evidence = 'guessed' where {MAGNETS}", "evidence_is_a_grade"),
        (f"set seed = 8 where {MAGNETS}", "one_seed_for_all"),
        (f"set import_made_in_share = 0.9 where {MAGNETS}", "interval_contains_the_centre"),
        (f"set import_made_in_share = 0.85 where {MAGNETS}", "makers_of_imports_sum_to_at_most_1"),
        (f"set import_made_in_share_high = 1.1 where {MAGNETS}", "share_within_0_and_1"),
    ],
)
def test_an_error_in_traced_exposure_is_stopped(released: Path, tmp_path: Path, error: str, check: str) -> None:
    candidate = planted(released, tmp_path, f"update mart_supplier_exposure {error}")
    assert check in stopped_by(candidate, "mart_supplier_exposure", None)


@pytest.mark.parametrize(
    ("error", "check"),
    [
        (f"insert into mart_supplier_exposure from mart_supplier_exposure where {MAGNETS}", "key_not_repeated"),
        (f"delete from mart_supplier_exposure where {MARKET} and country = 'UNEXPLAINED'", "mine_origin_sums_to_1"),
        (f"delete from mart_supplier_exposure where {MARKET}", "no_traced_market_lost"),
        (f"update mart_supplier_exposure set import_share = 0.65 where {MAGNETS}", "share_of_same_edition_unmoved"),
        (f"update mart_supplier_exposure set vintage = 'V0' where {MARKET}", "vintage_not_older"),
        (f"update mart_supplier_exposure set imports_t = 160 where {MAGNETS}", "tonnes_of_same_edition_unmoved"),
    ],
)
def test_a_row_of_the_exposure_lost_doubled_or_changed_is_stopped(
    released: Path, tmp_path: Path, error: str, check: str
) -> None:
    assert check in stopped_by(planted(released, tmp_path, error), "mart_supplier_exposure", released)


def test_an_offending_row_of_the_large_mart_is_named(released: Path, tmp_path: Path) -> None:
    candidate = planted(
        released, tmp_path, f"update mart_supplier_exposure set processed_in_share = 1.7 where {MAGNETS}"
    )
    message = stopped_by(candidate, "mart_supplier_exposure", None)["share_within_0_and_1"].message
    for part in ("mart_supplier_exposure", "rare_earths", "JPN", "CHN", "1.7"):
        assert part in message


@pytest.mark.parametrize(
    ("error", "check"),
    [
        (f"delete from mart_exposure_via where {MAGNETS} and via = 'JPN'", "hops_sum_to_processed_in"),
        (f"update mart_exposure_via set share = 2 * share where {MAGNETS} and via = 'CHN'", "hops_sum_to_processed_in"),
        (f"update mart_exposure_via set via = 'VNM' where {MAGNETS} and via = 'JPN'", "hop_not_above_its_face_value"),
        (f"update mart_exposure_via set via = 'WLD' where {MAGNETS} and via = 'JPN'", "country_and_hop_are_codes"),
        (f"update mart_exposure_via set share = 0 where {MAGNETS} and via = 'JPN'", "share_is_a_part_of_its_exposure"),
        (f"delete from mart_exposure_via where {MAGNETS}", "every_large_exposure_taken_apart"),
        (f"insert into mart_exposure_via from mart_exposure_via where {MAGNETS}", "key_not_repeated"),
        (f"delete from mart_exposure_via where {MARKET}", "no_exposure_lost"),
    ],
)
def test_an_error_in_the_hops_is_stopped(released: Path, tmp_path: Path, error: str, check: str) -> None:
    assert check in stopped_by(planted(released, tmp_path, error), "mart_exposure_via", released)


@pytest.mark.parametrize(
    ("error", "check"),
    [
        (f"update mart_stage_blindness set blind_pp = 60 where {MARKET}", "blindness_is_the_difference"),
        (f"update mart_stage_blindness set lead_country = 'JPN' where {MARKET}", "lead_is_a_foreign_country"),
        (
            f"update mart_stage_blindness set first_stages = null where {MARKET}",
            "compared_only_where_there_are_first_stages",
        ),
        (
            f"update mart_stage_blindness set lead_processed_in_share = 0.7, blind_pp = 45 where {MARKET}",
            "lead_agrees_with_exposure",
        ),
        (f"delete from mart_stage_blindness where {MARKET}", "no_cell_lost"),
    ],
)
def test_an_error_in_stage_blindness_is_stopped(released: Path, tmp_path: Path, error: str, check: str) -> None:
    assert check in stopped_by(planted(released, tmp_path, error), "mart_stage_blindness", released)


def test_a_planted_share_is_named_with_its_country_and_value(released: Path, tmp_path: Path) -> None:
    candidate = planted(released, tmp_path, f"update mart_import_source set share = 1.7 where {CHINA_IMPORTS}")
    message = stopped_by(candidate, "mart_import_source", None)["share_within_0_and_1.share"].message
    for part in ("mart_import_source", "ExpectColumnValuesToBeBetween", "commodity_7", "CHN", "1.7", "part of a whole"):
        assert part in message
