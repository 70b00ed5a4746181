"""The EU study of 2023 recomputed from the embedded shares, and what is said where inputs are missing."""

from __future__ import annotations

import polars as pl
import pytest

from ingest.embedded import read_snapshot_table
from ingest.errors import BadInput
from ingest.mapping import reference
from ingest.transforms import criticality_parameter, criticality_score, end_use, governance, restriction, supply_share
from ingest.transforms.base import Transform
from tracing.chain_networks import prepare
from tracing.chains import trace_all
from tracing.criticality_check import compare
from tracing.criticality_table import Facts, assess
from tracing.economies import Union, balances, merged

EU = Union("EUU", ["DEU", "FRA"])
TONNES = {"quantity_t": pl.Float64, "quantity_t_low": pl.Float64, "quantity_t_high": pl.Float64}
INFORMATION = {"source": "toy", "vintage": "1", "evidence": "reported"}


def canonical(step: Transform) -> pl.DataFrame:
    return step.build({name: read_snapshot_table(name) for name in step.inputs})[0]


@pytest.fixture(scope="module")
def tables() -> dict[str, pl.DataFrame]:
    steps = (criticality_parameter, criticality_score, end_use, governance, restriction, supply_share)
    return {module.TRANSFORM.table: canonical(module.TRANSFORM) for module in steps}


def toy_chain() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Magnesium metal of 2024: China sells to Germany, and through Japan to France and the USA."""
    output = [("CHN", 90.0), ("USA", 5.0), ("DEU", 5.0)]
    trade = [("CHN", "DEU", 20.0), ("CHN", "JPN", 10.0), ("JPN", "FRA", 5.0), ("JPN", "USA", 5.0), ("DEU", "FRA", 4.0)]
    made = pl.DataFrame(
        [("magnesium", "metal", country, 2024, t, t, t) for country, t in output],
        schema={"material": pl.String, "stage": pl.String, "iso3": pl.String, "year": pl.Int32, **TONNES},
        orient="row",
    )
    moved = pl.DataFrame(
        [(2024, seller, buyer, "magnesium", "metal", t, t, t) for seller, buyer, t in trade],
        schema={
            **{"year": pl.Int32, "exporter": pl.String, "importer": pl.String},
            **{"material": pl.String, "stage": pl.String, **TONNES},
        },
        orient="row",
    )
    common = {name: pl.lit(value) for name, value in INFORMATION.items()}
    return made.with_columns(method=pl.lit("reported"), **common), moved.with_columns(hs_codes=pl.lit("x"), **common)


def facts(tables: dict[str, pl.DataFrame], **more: pl.DataFrame) -> Facts:
    made, moved = toy_chain()
    tables = {**tables, **more}
    members = reference("countries.csv").filter(pl.col("eu_member") == "true")["iso3"].to_list()
    reliance = pl.DataFrame(
        [("magnesium", "metal", 2024, None, 50.0, 100.0)],
        schema={
            **{"material": pl.String, "stage": pl.String, "year": pl.Int32},
            **dict.fromkeys(("value", "value_low", "value_high"), pl.Float64),
        },
        orient="row",
    )
    return Facts(
        supply_share=tables["supply_share"].filter(source="eu_crm"),
        governance=tables["governance"],
        restriction=tables["restriction"],
        end_use=tables["end_use"],
        import_reliance=reliance,
        parameter=tables["criticality_parameter"],
        baskets=reference("criticality_baskets.csv"),
        networks=prepare(made, moved, None, None, None, (2024,)),
        exposure=trace_all(made, moved, years=(2024,), draws=3).exposure,
        union=Union("EUU", members),
    )


@pytest.fixture(scope="module")
def cells(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    return assess(facts(tables), draws=3)


def checked(tables: dict[str, pl.DataFrame], cells: pl.DataFrame) -> pl.DataFrame:
    scores = tables["criticality_score"].filter(assessment_year=2023)
    return compare(cells, scores, reference("criticality_groups.csv"), reference("criticality_causes.csv"))


@pytest.fixture(scope="module")
def check(tables: dict[str, pl.DataFrame], cells: pl.DataFrame) -> pl.DataFrame:
    return checked(tables, cells)


def rank_correlation(check: pl.DataFrame) -> float:
    return check.select(pl.corr("supply_risk", "published_supply_risk", method="spearman")).item()


def test_recomputed_supply_risk_orders_materials_as_the_study_does(check):
    assert check.height == 48
    assert rank_correlation(check) >= 0.9
    complete = check.filter(pl.col("missing_inputs").is_null())
    assert complete.height >= 25
    assert rank_correlation(complete) >= 0.9
    assert check.select(pl.corr("supply_risk_unadjusted", "published_supply_risk", method="spearman")).item() >= 0.85


def test_governance_the_wrong_way_round_is_noticed(tables, check):
    flipped = tables["governance"].with_columns(-pl.col("estimate"))
    wrong = checked(tables, assess(facts(tables, governance=flipped), draws=3))
    complete = pl.col("missing_inputs").is_null()
    right_off, wrong_off = (frame.filter(complete)["deviation"].abs().median() for frame in (check, wrong))
    assert right_off < 0.06
    assert wrong_off > 0.2


def test_every_deviation_above_30_percent_has_its_cause_named_and_no_other(check):
    large = set(check.filter(pl.col("deviation").abs() > 0.3)["material"])
    assert set(reference("criticality_causes.csv")["printed"]) == large
    assert set(check.filter(pl.col("cause").is_not_null())["material"]) == large


def test_a_named_cause_can_explain_its_deviation(check, cells):
    study = cells.filter(basis="eu_study")
    known = (1 - pl.col("eol_recycling_input_rate").fill_null(0)) * pl.col("substitution_sr").fill_null(1)
    study = study.with_columns(world_alone=pl.col("hhi_world") * known, least=pl.col("hhi_face_value") * known)
    for row in check.filter(pl.col("cause").is_not_null()).iter_rows(named=True):
        stages = study.filter(pl.col("material") == row["material"])
        printed = row["published_supply_risk"]
        missing = row["missing_inputs"] or ""
        match row["cause"]:
            case "recycling":
                assert "recycling" in missing or row["supply_risk_unadjusted"] == pytest.approx(printed, rel=0.3)
            case "substitution":
                assert "substitution_sr" in missing and row["deviation"] > 0
            case "import_reliance":
                assert stages["least"].min() <= 1.4 * printed < row["supply_risk"]
            case "sourcing":
                assert stages["world_alone"].max() == pytest.approx(printed, rel=0.3)
            case "shares":
                assert not missing and stages["least"].min() > 1.3 * printed


def test_cobalt_is_the_bottleneck_at_the_mine_on_world_supply_alone(cells):
    cobalt = cells.filter(basis="eu_study", material="cobalt").sort("stage")
    assert cobalt["stage"].to_list() == ["compound", "mine"]
    assert cobalt["is_bottleneck"].to_list() == [False, True]
    assert cobalt.row(1, named=True)["sr_face_value"] == pytest.approx(2.8, abs=0.1)
    assert "world supply alone" in cobalt.row(1, named=True)["sr_reason"]


def test_less_than_one_percent_counts_as_half_a_percent(tables):
    small = tables["supply_share"].filter(pl.col("source") == "eu_crm", pl.col("token") == "<1%")
    assert small["share"].to_list() == pytest.approx([0.005] * small.height)
    tiny = tables["supply_share"].filter(pl.col("source") == "eu_crm", pl.col("token") == "<0.1%")
    assert tiny.height > 100
    assert tiny["share"].unique().to_list() == pytest.approx([0.0005])


def test_re_exports_raise_the_traced_supply_risk(cells):
    network = cells.filter(basis="network", material="magnesium")
    for row in network.iter_rows(named=True):
        assert row["hhi_traced"] > row["hhi_face_value"]
        assert row["sr_unadjusted_traced"] > row["sr_unadjusted_face_value"]
        assert row["sr_unadjusted_traced_low"] <= row["sr_unadjusted_traced"] <= row["sr_unadjusted_traced_high"]


def test_the_union_is_one_market_without_its_inner_trade(cells):
    union = cells.filter(economy="EUU", basis="network", material="magnesium").row(0, named=True)
    # Output 5, imports 20 from China and 5 from Japan; the 4 from Germany to France are no imports.
    assert union["import_reliance"] == pytest.approx(25 / 30)
    made, moved = toy_chain()
    whole = merged(prepare(made, moved, None, None, None, (2024,)), EU)
    balance = balances(whole, ["EUU"]).row(0, named=True)
    assert (balance["production_t"], balance["imports_t"], balance["exports_t"]) == (5.0, 25.0, 0.0)


def test_a_missing_input_leaves_the_cell_empty_with_its_reason(cells):
    usa = cells.filter(economy="USA", material="magnesium").row(0, named=True)
    assert usa["sr_unadjusted_face_value"] > 1
    assert usa["sr_face_value"] is None
    assert usa["sr_reason"] == "no end-of-life recycling input rate; no substitution index for supply risk"
    assert usa["economic_importance"] is None
    assert usa["ei_reason"] == "no end uses with the value added of their sectors"
    assert usa["quadrant"] is None and usa["nrc_impact"] is None


def test_a_printed_range_of_import_reliance_stays_a_range(cells):
    usa = cells.filter(economy="USA", material="magnesium").row(0, named=True)
    assert usa["trade_exposure"] is None
    assert (usa["trade_exposure_low"], usa["trade_exposure_high"]) == (0.5, 1.0)
    assert usa["usgs_style"] is None
    assert usa["usgs_style_low"] == 0.0 < usa["usgs_style_high"] < 1.0


def test_parameters_are_numbers_with_a_grade_of_confidence(tables, monkeypatch):
    parameter = tables["criticality_parameter"]
    assert set(parameter["confidence"]) == {"high", "medium", "low"}
    assert parameter.filter(pl.col("reference") == "").is_empty()
    bad = reference("criticality_parameters.csv").with_columns(value=pl.lit("0,8"))
    read = criticality_parameter.reference
    monkeypatch.setattr(
        criticality_parameter, "reference", lambda file: bad if file == criticality_parameter.GENERAL else read(file)
    )
    with pytest.raises(BadInput, match=r"criticality_parameters.csv: .* has value '0,8'"):
        criticality_parameter.build({})
