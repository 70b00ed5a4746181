"""The look-through as published: what a reader of the warehouse is told about magnets, phantoms and blind stages."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

pytestmark = pytest.mark.xdist_group("pipeline")

MAGNETS = "material = 'rare_earths' and stage = 'component'"
CHINESE_MAGNETS = f"""
    select importer, year, face_value_share, made_in_share, processed_in_share, processed_in_share_low,
        processed_in_share_high, hidden_share
    from mart_supplier_exposure where {MAGNETS} and country = 'CHN' and draws is not null
"""


@pytest.fixture(scope="module")
def published(
    first_run: tuple[Path, subprocess.CompletedProcess[str]],
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published warehouse, read-only."""
    with duckdb.connect(str(first_run[0] / "warehouse" / "oretrace.duckdb"), read_only=True) as connection:
        yield connection


def rows(published: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return published.execute(query).fetchall()


def one(published: duckdb.DuckDBPyConnection, query: str) -> Any:
    [(value,)] = rows(published, query)
    return value


def test_us_magnets_are_three_quarters_chinese_at_face_value_and_nearly_all_went_through_china(
    published: duckdb.DuckDBPyConnection,
) -> None:
    shares = {
        year: (face, passed)
        for _, year, face, _, passed, *_ in rows(published, f"{CHINESE_MAGNETS} and importer = 'USA'")
    }
    assert set(shares) == {2023, 2024}
    for face, passed in shares.values():
        assert 0.74 <= face <= 0.80
        assert passed > 0.93


def test_japan_buys_few_magnets_from_china_but_most_of_its_magnets_went_through_it(
    published: duckdb.DuckDBPyConnection,
) -> None:
    shares = rows(published, f"{CHINESE_MAGNETS} and importer = 'JPN'")
    assert {row[1] for row in shares} == {2023, 2024}
    for _, _, face, made, passed, *_ in shares:
        assert face < 0.25
        assert face < made < passed
        assert passed > 0.6


def test_germany_and_hong_kong_show_as_phantom_exposure(published: duckdb.DuckDBPyConnection) -> None:
    for year in (2023, 2024):
        for entrepot in ("DEU", "HKG"):
            worst = one(
                published,
                f"select min(hidden_share) from mart_supplier_exposure "
                f"where {MAGNETS} and country = '{entrepot}' and year = {year}",
            )
            assert worst < -0.02, entrepot
    # Hong Kong makes no magnets at all: whatever it sells was made elsewhere.
    made = f"select max(made_in_share) from mart_supplier_exposure where {MAGNETS} and country = 'HKG'"
    assert one(published, made) == pytest.approx(0, abs=1e-6)


def test_hidden_exposure_is_processed_in_less_face_value_of_the_same_row(published: duckdb.DuckDBPyConnection) -> None:
    count, worst = rows(
        published,
        "select count(*), max(abs(hidden_share - (processed_in_share - face_value_share))) "
        "from mart_supplier_exposure where processed_in_share is not null",
    )[0]
    assert count > 25_000
    assert worst <= 1e-9


def test_a_printed_share_stands_beside_the_traced_face_value(published: duckdb.DuckDBPyConnection) -> None:
    share, face, basis = rows(
        published,
        "select import_share, face_value_share, face_value_basis from mart_supplier_exposure where importer = 'USA' "
        "and material = 'rare_earths' and stage = 'compound' and country = 'CHN' and year = 2024",
    )[0]
    assert share == 0.71
    assert basis == "traced"
    assert 0.4 < face < share


def test_every_market_accounts_for_the_origin_of_all_its_tonnes(published: duckdb.DuckDBPyConnection) -> None:
    markets, low, high = rows(
        published,
        "with markets as (select sum(mine_origin_share) as origin from mart_supplier_exposure where draws is not null "
        "group by importer, material, stage, year) select count(*), min(origin), max(origin) from markets",
    )[0]
    assert markets > 2_000
    assert (low, high) == (pytest.approx(1, abs=1e-9), pytest.approx(1, abs=1e-9))


def test_american_dependence_on_chinese_magnets_comes_partly_through_others(
    published: duckdb.DuckDBPyConnection,
) -> None:
    hops = dict(
        rows(
            published,
            f"select via, share from mart_exposure_via where {MAGNETS} and importer = 'USA' and country = 'CHN' "
            "and year = 2024",
        )
    )
    passed = one(
        published, f"select processed_in_share from ({CHINESE_MAGNETS}) where importer = 'USA' and year = 2024"
    )
    assert sum(hops.values()) == pytest.approx(passed, abs=1e-4)
    assert hops["CHN"] > 0.7
    assert hops["JPN"] > 0.01
    assert 0 < hops["DEU"] < 0.05


def test_a_report_on_mining_and_oxides_misses_most_of_the_dependence_on_magnets(
    published: duckdb.DuckDBPyConnection,
) -> None:
    found = {
        importer: rest
        for importer, *rest in rows(
            published,
            "select importer, seen_share, last_stage, lead_country, blind_low_pp, blind_pp, blind_high_pp "
            "from mart_stage_blindness where material = 'rare_earths' and year = 2024",
        )
    }
    for importer in ("USA", "DEU", "JPN", "KOR", "FRA", "IND"):
        _seen, last_stage, lead, low, blind, high = found[importer]
        assert (last_stage, lead) == ("component", "CHN")
        assert 0 < low <= blind <= high
    assert found["IND"][4] > 90
    alone = "select count(blind_pp), count(*) > 0 from mart_stage_blindness where chain_stages not like '%;%'"
    assert rows(published, alone) == [(0, True)]


def test_the_largest_processor_stands_beside_the_largest_supplier(published: duckdb.DuckDBPyConnection) -> None:
    found = rows(
        published,
        "select top_supplier, top_processor, top_processor_face_value_share, top_processor_share, "
        "top_processor_hidden_share, traced_evidence from mart_dependence_by_stage "
        f"where {MAGNETS} and importer = 'JPN' and year = 2024",
    )
    [(_supplier, processor, face, passed, hidden, evidence)] = found
    assert processor == "CHN"
    assert hidden == pytest.approx(passed - face, abs=1e-12)
    assert hidden > 0.4
    assert evidence == "assumed"


def test_coverage_says_which_stages_are_blind_what_would_open_them_and_where_sources_disagree(
    published: duckdb.DuckDBPyConnection,
) -> None:
    chains = {
        key: rest
        for key, *rest in rows(
            published,
            "select material || '/' || stage, chain_status, chain_reason, ingredient_years, gap from mart_coverage "
            "where year = 2024 and chain_status is not null",
        )
    }
    assert chains["rare_earths/component"][:3] == [
        "closed",
        "output and trade of all countries",
        "output 2024; trade 2024",
    ]
    status, reason, _, gap = chains["gallium/metal"]
    assert status == "blind"
    assert reason in gap
    assert "Comtrade" in gap
    conflicts = one(
        published,
        "select conflict_figures from mart_coverage where material = 'cobalt' and stage = 'mine' and year = 2024",
    )
    assert "COD usgs_mcs 226000.0 against iea" in conflicts


def test_published_look_through_statements_stand_beside_our_figures(published: duckdb.DuckDBPyConnection) -> None:
    claims = {
        claim: (recomputed, verdict, reason)
        for claim, recomputed, verdict, reason in rows(
            published, "select claim, recomputed, verdict, reason from mart_claims"
        )
    }
    assert claims["rough_run_magnets_usa_face_value"][1] == "reproduced"
    assert claims["rough_run_magnets_usa_processed_in"][1] == "reproduced"
    assert claims["rough_run_magnets_jpn_processed_in"][1] == "reproduced"
    assert claims["mcs2026_origin_of_compounds_mys"][1] == "reproduced"
    for differing in ("rough_run_magnets_jpn_face_value", "rough_run_magnets_deu_processed_in"):
        recomputed, verdict, reason = claims[differing]
        assert verdict == "differs"
        assert recomputed is not None
        assert reason
    for unknowable in ("mcs2026_yttrium_processed_in_china", "mcs2026_scandium_philippine_origin"):
        recomputed, verdict, reason = claims[unknowable]
        assert (recomputed, verdict) == (None, "not measurable here")
        assert reason
