"""Known figures, read from the published marts as a user would."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from orchestration.warehouse import connect

pytestmark = pytest.mark.xdist_group("pipeline")


@pytest.fixture(scope="module")
def warehouse(first_run: tuple[Path, subprocess.CompletedProcess[str]]) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect((first_run[0] / "warehouse" / "oretrace.duckdb").resolve()) as db:
        yield db


def test_us_rare_earth_import_sources_2021_24(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = warehouse.execute(
        "select country, round(100 * share) from mart_import_source where material = 'rare_earths' "
        "and first_year = 2021 and last_year = 2024 and vintage = '2026'"
    ).fetchall()
    assert dict(rows) == {"CHN": 71, "MYS": 13, "JPN": 5, "EST": 5, "OTH": 6}


def test_us_rare_earth_net_import_reliance_keeps_token_and_bounds(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = warehouse.execute(
        "select nir_token, nir_pct, nir_low_pct, nir_high_pct from mart_dependence_by_stage "
        "where importer = 'USA' and material = 'rare_earths' and stage = 'compound' and year between 2021 and 2025 "
        "order by year"
    ).fetchall()
    assert rows == [
        (">95", None, 95, 100),
        (">95", None, 95, 100),
        (">90", None, 90, 100),
        ("53", 53, 53, 53),
        ("67", 67, 67, 67),
    ]


def test_a_figure_stands_beside_what_earlier_editions_printed(warehouse: duckdb.DuckDBPyConnection) -> None:
    reliance = warehouse.execute(
        "select vintage, value from mart_revisions where material = 'rare_earths' and stage = 'compound' "
        "and statistic = 'net_import_reliance' and year = 2024 order by vintage"
    ).fetchall()
    assert reliance == [("2025", 80), ("2026", 53)]
    world = warehouse.execute(
        "select vintage, value from mart_revisions where material = 'rare_earths' and stage = 'mine' "
        "and statistic = 'production' and country = 'WLD' and year = 2024 and source = 'usgs_mcs' order by vintage"
    ).fetchall()
    assert world == [("2025", 390_000), ("2026", 380_000)]


def test_top_three_refiners_2024(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = warehouse.execute(
        "select material, round(100 * top3_share, 1) from mart_stage_concentration "
        "where source = 'iea' and year = 2024 and stage <> 'mine'"
    ).fetchall()
    expected = {
        "lithium": 96.1, "magnet_rare_earths": 97.0, "copper": 57.2, "cobalt": 88.7, "graphite": 98.2, "nickel": 77.8,
    }  # fmt: skip
    assert dict(rows) == expected


def test_yearbook_share_of_china_gross_and_contained(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = warehouse.execute(
        "select published, round(recomputed, 1), verdict from mart_claims where material = 'rare_earths' "
        "and claim_source ilike '%yearbook%' and published in (67.3, 65.7) order by 1"
    ).fetchall()
    assert rows == [(65.7, 65.7, "reproduced"), (67.3, 67.3, "reproduced")]


def test_net_import_reliance_follows_from_its_parts_for_thirty_commodities(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    rows = warehouse.execute(
        "select count(*), count(*) filter (verdict = 'reproduced') from mart_claims where claim like 'nir_identity%'"
    ).fetchall()
    ((claims, reproduced),) = rows
    assert claims >= 37
    assert reproduced >= 30


def test_at_least_120_printed_figures_are_recomputed_from_parts_or_another_source(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    rows = warehouse.execute(
        "select recomputed_from, count(*) from mart_claims where verdict in ('reproduced', 'differs') "
        "and metric <> 'largest_difference' group by 1"
    ).fetchall()
    counts = dict(rows)
    assert set(counts) == {"components", "other_source"}
    assert sum(counts.values()) >= 120


def test_every_differing_or_unmeasured_claim_gives_its_own_reason(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = warehouse.execute(
        "select claim from mart_claims where verdict <> 'reproduced' and (reason is null or length(reason) < 30)"
    ).fetchall()
    assert rows == []


def test_every_verdict_is_reached_by_its_own_query(warehouse: duckdb.DuckDBPyConnection) -> None:
    claims = warehouse.execute(
        "select claim, metric, recomputed, query from mart_claims where verdict <> 'not measurable here'"
    ).fetchall()
    assert len(claims) >= 350
    for claim, metric, recomputed, query in claims:
        part, whole, largest = warehouse.execute(
            "select sum(part_weight * value), sum(whole_weight * value), max(abs(value)) from (" + query + ")"
        ).fetchone()
        again = {
            "largest_difference": lambda largest=largest: largest,
            "sum_of_countries": lambda part=part: part,
            "sum_of_lines": lambda part=part: part,
            "traced_share": lambda part=part: 100 * part,
            "ratio_to_rest": lambda part=part, whole=whole: part / whole,
        }.get(metric, lambda part=part, whole=whole: 100 * part / whole)()
        assert again == pytest.approx(recomputed, rel=1e-9), claim


def test_the_yearbook_of_2022_misprints_its_grand_total_of_metals(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = warehouse.execute(
        "select year, published, round(recomputed), verdict from mart_claims "
        "where claim like 'yearbook_imports_metals_%_gross' order by year"
    ).fetchall()
    assert rows == [(2021, 858, 857, "reproduced"), (2022, 805, 852, "differs")]
