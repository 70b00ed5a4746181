"""Published statements: which are made from the reference file and which from the reliance identity."""

from __future__ import annotations

import polars as pl
import pytest

from ingest.errors import OretraceError
from ingest.mapping import reference
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


def statement(**fields: str | None) -> pl.DataFrame:
    plain: dict[str, str | None] = {
        **dict.fromkeys([*CANONICAL["claim"].columns, "rounding"]),
        "claim": "odd", "statement": "s", "metric": "share_of_countries", "unit": "percent", "published": "71",
        "tolerance_rule": "share_point", "recomputed_from": "other_source", "citation_basis": "seen",
    }  # fmt: skip
    row = {**plain, **fields}
    row.pop("tolerance")
    return pl.DataFrame([row], schema=dict.fromkeys(row, pl.String()))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metric": "share_of_everything"}, "metric 'share_of_everything', not one of"),
        ({"metric": "not_measurable", "tolerance_rule": None, "recomputed_from": None}, "gives no reason"),
        ({"tolerance_rule": "as_wide_as_needed"}, "tolerance_rule 'as_wide_as_needed', not one of"),
        ({"recomputed_from": None}, "recomputed_from None, not one of components, other_source"),
        ({"citation_basis": "hearsay"}, "citation_basis 'hearsay', not one of seen, unverified"),
        ({"tolerance_rule": "half_digit"}, "no tolerance by the rule 'half_digit': it needs a rounding"),
        ({"tolerance_rule": "two_percent", "published": None}, "no tolerance by the rule 'two_percent'"),
    ],
)
def test_a_statement_that_cannot_be_used_is_named(fields: dict[str, str | None], message: str) -> None:
    with pytest.raises(OretraceError, match=f"claims.csv: odd.*{message}"):
        claim.typed_statements(statement(**fields), "claims.csv")


@pytest.mark.parametrize(
    ("rule", "published", "rounding", "tolerance"),
    [
        ("half_digit", "67.3", "0.1", 0.05),
        ("share_point", "71", None, 1.0),
        ("one_percent", "7730", None, 77.3),
        ("two_percent", "-50", None, 1.0),
    ],
)
def test_a_tolerance_follows_from_its_rule_and_the_print(
    rule: str, published: str, rounding: str | None, tolerance: float
) -> None:
    made = claim.typed_statements(statement(tolerance_rule=rule, published=published, rounding=rounding), "claims.csv")
    assert made["tolerance"].to_list() == [pytest.approx(tolerance)]


def test_no_tolerance_stands_beside_a_claim_where_it_could_be_tuned() -> None:
    assert not [file for file in claim._FILES if "tolerance" in reference(file).columns]
    rules = reference("claim_tolerances.csv")
    assert rules["why"].null_count() == 0
    used = set(built(NO_IDENTITY)["tolerance_rule"]) | {"identity"}
    assert set(rules["rule"]) | {None} == used


def test_the_identity_has_the_tolerance_of_its_rule() -> None:
    frame = identity([{"commodity": "tin", "detail": "all", "material": "tin", "year": 2024, "difference_pp": 0.2}])
    rules = dict(reference("claim_tolerances.csv").select("rule", "amount").iter_rows())
    assert claim.from_identity(frame)["tolerance"].to_list() == [float(rules["identity"])]


def test_every_claim_is_held_against_its_parts_or_another_source() -> None:
    table = built(NO_IDENTITY)
    measurable = table.filter(pl.col("metric") != "not_measurable")
    counts = dict(measurable["recomputed_from"].value_counts().iter_rows())
    assert set(counts) == {"components", "other_source"}
    assert counts["components"] >= 60
    assert counts["other_source"] >= 120
    assert {"seen", "unverified"} == set(table["citation_basis"])
    assert table["claim"].is_unique().all()


def test_a_claim_from_another_source_does_not_use_the_edition_that_states_it() -> None:
    table = built(NO_IDENTITY).filter(pl.col("recomputed_from") == "other_source")
    same = table.filter(
        (pl.col("claim_source") == "USGS MCS") & (pl.col("data_source") == "usgs_mcs")
        | (pl.col("claim_source") == "USGS Minerals Yearbook") & (pl.col("data_source") == "usgs_myb"),
        pl.col("claim_vintage") == pl.col("data_vintage"),
    )
    assert same["claim"].to_list() == []


def test_a_reason_names_figures_not_only_that_two_publishers_differ() -> None:
    table = pl.concat([reference(file) for file in claim._FILES])
    given = table.filter(pl.col("metric") != "not_measurable", pl.col("reason").is_not_null())
    vague = given.filter(~pl.col("reason").str.contains(r"\d"), pl.col("metric") != "traced_share")
    assert vague["claim"].to_list() == []


def test_the_statements_of_the_method_note_are_all_there() -> None:
    names = set(built(NO_IDENTITY)["claim"])
    assert {
        "us_imports_rare_earths_china_80_weight",
        "us_imports_rare_earths_china_80_value",
        "processing_rare_earths_china_90",
        "processing_capacity_china_five_times",
        "startups_reached_production",
        "us_sold_reserve_1994_98",
    } <= names
