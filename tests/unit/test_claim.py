"""Published statements: which are made from the reference file and which from the reliance identity."""

from __future__ import annotations

import polars as pl
import pytest

from ingest.errors import OretraceError
from ingest.schemas import CANONICAL
from ingest.transforms import claim
from ingest.transforms.base import Frames


def identity(rows: list[dict[str, object]]) -> pl.DataFrame:
    columns = CANONICAL["nir_identity"].columns
    common = {"vintage": "2025", "source": "usgs_mcs", "trivial": False, "evidence": "derived"}
    return pl.DataFrame([{**common, **row} for row in rows], schema=columns)


def built(nir_identity: pl.DataFrame) -> pl.DataFrame:
    frames: Frames = {"nir_identity": nir_identity}
    table, dropped = claim.build(frames)
    assert dropped.is_empty()
    return table


NO_IDENTITY = identity([])


def test_every_series_that_can_fail_is_one_claim_over_all_its_years() -> None:
    frame = identity(
        [
            {"commodity": "tin", "detail": "refined", "material": "tin", "year": 2020, "difference_pp": 0.2},
            {"commodity": "tin", "detail": "refined", "material": "tin", "year": 2024, "difference_pp": -0.4},
            {"commodity": "copper", "detail": "all", "material": "copper", "year": 2024, "difference_pp": 0.1},
            {"commodity": "arsenic", "detail": "all", "material": "arsenic", "year": 2024, "trivial": True},
            {"commodity": "zinc", "detail": "all", "material": "zinc", "year": 2024, "vintage": "2026"},
        ]
    )
    made = claim.from_identity(frame).sort("claim")
    assert made["claim"].to_list() == ["nir_identity_copper", "nir_identity_tin_refined"]
    assert made["first_year"].to_list() == [2024, 2020]
    assert made["year"].to_list() == [2024, 2024]
    assert made["lines"].to_list() == ["all", "refined"]
    assert "tin (refined) as printed for 2020-2024" in made["statement"][1]


def test_a_series_that_fails_says_why() -> None:
    frame = identity([{"commodity": "phosphate_rock", "detail": "all", "material": "phosphate", "year": 2024}])
    assert "stock changes" in claim.from_identity(frame)["reason"][0]


def test_statements_cite_their_source_and_carry_a_tolerance_above_zero_unless_not_measurable() -> None:
    table = built(NO_IDENTITY)
    assert table["citation"].null_count() == 0
    measurable = table.filter(pl.col("metric") != "not_measurable")
    assert measurable.filter(pl.col("tolerance") <= 0).is_empty()
    assert measurable.filter(pl.col("published").is_null() & pl.col("published_low").is_null()).is_empty()


def test_no_share_is_recomputed_from_the_import_sources_that_state_it() -> None:
    assert built(NO_IDENTITY).filter(pl.col("data_table") == "import_source").is_empty()


def test_the_claims_the_warehouse_is_known_for_are_there() -> None:
    published = dict(built(NO_IDENTITY).select("claim", "published").iter_rows())
    assert published["yearbook_us_imports_china_2021_gross"] == 67.3
    assert published["yearbook_us_imports_china_2021_reo"] == 65.7
    assert [published[f"iea_top3_refining_{material}"] for material in ("lithium", "magnet_rare_earths", "nickel")] == [
        96.1,
        97.0,
        77.8,
    ]


def test_look_through_statements_are_recomputed_from_the_tracing_or_say_why_not() -> None:
    table = built(NO_IDENTITY)
    traced = table.filter(pl.col("metric") == "traced_share")
    measures = {f"{name}_share" for name in ("face_value", "made_in", "processed_in", "mine_origin")}
    assert set(traced.select("data_table", "data_source").iter_rows()) == {("traced_exposure", "tracing")}
    assert set(traced["measure"]) <= measures
    assert traced.select("importer", "material", "stage", "country", "year").null_count().sum_horizontal().item() == 0
    magnets = traced.filter(pl.col("stage") == "component", pl.col("material") == "rare_earths")
    assert {("USA", 77.0), ("USA", 98.0), ("JPN", 19.0), ("JPN", 73.0), ("DEU", 81.0), ("DEU", 98.0)} <= set(
        magnets.select("importer", "published").iter_rows()
    )
    origins = traced.filter(pl.col("measure") == "mine_origin_share")
    assert set(origins["importer"]) == {"EST", "JPN", "MYS"}
    words = table.filter(pl.col("material").is_in(["yttrium", "scandium"]) & (pl.col("stage") == "compound"))
    assert words.filter(pl.col("metric") == "not_measurable").height == 3


@pytest.mark.parametrize(
    ("metric", "message"),
    [("share_of_everything", "not one of"), ("not_measurable", "gives no reason")],
)
def test_a_statement_that_cannot_be_used_is_named(metric: str, message: str) -> None:
    row = dict.fromkeys(CANONICAL["claim"].columns) | {"claim": "odd", "metric": metric}
    with pytest.raises(OretraceError, match=f"odd.*{message}"):
        claim.typed_statements(pl.DataFrame([row], schema=dict.fromkeys(row, pl.String())))
