"""Mirror reconciliation scored against the reconciled release of the same year.

The scores are those by which the simplest baseline is published: top exporter and importer right,
mean absolute error over the union of both top six, HHI correlation, median level ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from ingest.transforms.mirror import KEY, Reconciled, reconcile_with_counts
from ingest.transforms.mirror_parameters import Parameters, parameters
from ingest.transforms.mirror_reports import country_codes

PARTIES = ("exporter", "importer")
# Another reading of the parameters must not decide whether the targets hold.
PERTURBED = {
    "disagreement_floor_quantile": (0.05, 0.15),
    "exporter_variance_share": (0.65, 0.75),
    "prior_flows": (5, 20),
    "mean_power": (0.4, 0.75),
    "set_aside_fold": (9, 15),
    "markup_cap": (1.05, 1.2),
}


@dataclass(frozen=True)
class Scores:
    """Each pair is exporters, importers; shares in percentage points."""

    codes: int
    top: tuple[int, int]
    error: tuple[float, float]
    hhi: tuple[float, float]
    level: float
    code_level: float


def shares(flows: pl.DataFrame, party: str) -> pl.DataFrame:
    summed = flows.group_by("hs6", party).agg(pl.col("value_usd").sum())
    return summed.with_columns(share=pl.col("value_usd") / pl.col("value_usd").sum().over("hs6"))


def leaders(shared: pl.DataFrame, party: str, number: int) -> pl.DataFrame:
    ordered = shared.sort("hs6", "share", party, descending=[False, True, False])
    return ordered.group_by("hs6", maintain_order=True).head(number).select("hs6", party)


def party_scores(ours: pl.DataFrame, truth: pl.DataFrame, party: str) -> tuple[int, float, float]:
    found, known = shares(ours, party), shares(truth, party)
    hits = leaders(found, party, 1).join(leaders(known, party, 1), on=["hs6", party]).height
    union = pl.concat([leaders(found, party, 6), leaders(known, party, 6)]).unique()
    both = union.join(found, on=["hs6", party], how="left").join(known, on=["hs6", party], how="left", suffix="_known")
    error = (pl.col("share").fill_null(0) - pl.col("share_known").fill_null(0)).abs().mean()
    hhi = [table.group_by("hs6").agg(hhi=(pl.col("share") ** 2).sum()) for table in (found, known)]
    correlation = hhi[0].join(hhi[1], on="hs6").select(pl.corr("hhi", "hhi_right")).item()
    return hits, 100 * both.group_by("hs6").agg(error=error)["error"].mean(), correlation


def score(ours: pl.DataFrame, truth: pl.DataFrame) -> Scores:
    """Score ``exporter, importer, hs6, value_usd`` against the same columns of the release."""
    each = [party_scores(ours, truth, party) for party in PARTIES]
    flows = ours.join(truth, on=["exporter", "importer", "hs6"], suffix="_known")
    codes = [table.group_by("hs6").agg(pl.col("value_usd").sum()) for table in (ours, truth)]
    ratio = pl.col("value_usd") / pl.col("value_usd_known")
    hits, errors, hhis = zip(*each, strict=True)
    return Scores(
        codes=truth["hs6"].n_unique(),
        top=hits,
        error=errors,
        hhi=hhis,
        level=flows.select(ratio.median()).item(),
        code_level=codes[0].join(codes[1], on="hs6", suffix="_known").select(ratio.median()).item(),
    )


@cache
def comtrade(folder: Path) -> pl.DataFrame:
    """Read the reports of 2022; 8112.31 exists in HS2022 only, so its reports are in that edition."""
    file = folder / "comtrade" / "multi_reporter" / "comtrade_2022.csv.gz"
    frame = pl.read_csv(file, schema_overrides={"cmd": pl.String})
    new = pl.col("hs6") == "811231"
    return frame.rename({"cmd": "hs6", "value": "value_usd", "netwgt": "net_weight_kg"}).with_columns(
        classification=pl.when(new).then(pl.lit("H6")).otherwise(pl.lit("H5"))
    )


@cache
def release(folder: Path) -> pl.DataFrame:
    """Read the reconciled flows of the release; it writes S19 for Taiwan."""
    frame = pl.read_csv(folder / "baci" / "extract" / "baci_2022.csv", schema_overrides={"cmd": pl.String})
    names = {"i": "exporter", "j": "importer", "cmd": "hs6", "value": "value_usd"}
    return frame.rename(names).with_columns(pl.col(PARTIES).replace({"S19": "TWN"}))


def baseline(reports: pl.DataFrame) -> pl.DataFrame:
    """Largest row per key; geometric mean of the export report and the import report over 1.05."""
    codes = country_codes().filter(pl.col("iso3").is_not_null()).select(pl.col("code").cast(pl.Int64), "iso3")
    named = reports
    for side in ("reporter", "partner"):
        named = named.join(codes.rename({"code": side, "iso3": f"{side}_iso3"}), on=side)
    named = named.filter(pl.col("reporter_iso3") != pl.col("partner_iso3"))
    largest = named.group_by("reporter_iso3", "partner_iso3", "hs6", "flow").agg(pl.col("value_usd").max())
    folded = largest.with_columns(pl.col("hs6").replace({"811231": "811292"}))
    summed = folded.group_by("reporter_iso3", "partner_iso3", "hs6", "flow").agg(pl.col("value_usd").sum())
    exports = summed.filter(flow="X").select("hs6", "value_usd", exporter="reporter_iso3", importer="partner_iso3")
    imports = summed.filter(flow="M").select(
        "hs6", pl.col("value_usd") / 1.05, exporter="partner_iso3", importer="reporter_iso3"
    )
    paired = exports.join(imports, on=["exporter", "importer", "hs6"], how="full", coalesce=True, suffix="_m")
    mean = (pl.col("value_usd") * pl.col("value_usd_m")).sqrt()
    return paired.with_columns(value_usd=pl.coalesce(mean, "value_usd", "value_usd_m"))


@pytest.fixture(scope="module")
def result(shared_data: Path) -> Reconciled:
    return reconcile_with_counts(comtrade(shared_data))


def scored(folder: Path, given: Parameters | None = None, reports: pl.DataFrame | None = None) -> Scores:
    frame = comtrade(folder) if reports is None else reports
    return score(reconcile_with_counts(frame, given=given).flows, release(folder))


def holds(scores: Scores) -> bool:
    return (
        min(scores.top) >= 29
        and max(scores.error) <= 1.0
        and min(scores.hhi) >= 0.996
        and 0.98 <= scores.level <= 1.02
        and 0.98 <= scores.code_level <= 1.02
    )


def test_the_scores_reproduce_the_published_figures_of_the_simplest_baseline(shared_data: Path) -> None:
    scores = score(baseline(comtrade(shared_data)), release(shared_data))
    assert (scores.codes, scores.top) == (30, (28, 29))
    assert [round(error, 2) for error in scores.error] == [1.22, 1.32]
    assert [round(hhi, 3) for hhi in scores.hhi] == [0.994, 0.994]
    assert round(scores.level, 2) == 0.95


def test_a_whole_year_is_reconciled_within_the_targets(shared_data: Path, result: Reconciled) -> None:
    assert holds(score(result.flows, release(shared_data)))


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, pair in PERTURBED.items() for value in pair])
def test_another_reading_of_a_parameter_keeps_the_targets(shared_data: Path, name: str, value: float) -> None:
    assert holds(scored(shared_data, replace(parameters(), **{name: value})))


def test_reliability_weights_beat_equal_weights_on_every_share(shared_data: Path, result: Reconciled) -> None:
    ours = score(result.flows, release(shared_data))
    # So strong a prior leaves every reporter at the mean.
    equal = scored(shared_data, replace(parameters(), prior_flows=1e12, exporter_variance_share=0.5))
    assert ours.error[0] < equal.error[0] and ours.error[1] < equal.error[1]
    assert ours.hhi[0] > equal.hhi[0] and ours.hhi[1] > equal.hhi[1]


@pytest.mark.parametrize("seed", range(4))
def test_half_of_the_codes_are_nearer_to_the_release_than_the_baseline(shared_data: Path, seed: int) -> None:
    truth = release(shared_data)
    chosen = truth["hs6"].unique().sort().sample(15, seed=seed).to_list()
    reports = comtrade(shared_data).filter(pl.col("hs6").replace({"811231": "811292"}).is_in(chosen))
    truth = truth.filter(pl.col("hs6").is_in(chosen))
    ours, simple = (score(flows, truth) for flows in (reconcile_with_counts(reports).flows, baseline(reports)))
    assert max(ours.error) < 1.2
    assert sum(ours.error) < sum(simple.error)
    assert 0.97 <= ours.level <= 1.02


def test_every_row_of_a_year_is_in_a_flow_or_counted_with_a_reason(shared_data: Path, result: Reconciled) -> None:
    reports = comtrade(shared_data)
    used = result.flows["reports"].replace_strict({"both": 2, "exporter": 1, "importer": 1}).sum()
    # Two codes of one report become one where the new edition's code is folded.
    folded = reports.filter(hs6="811231").select("reporter", "partner", "flow").unique()
    folded = folded.join(reports.filter(hs6="811292"), on=["reporter", "partner", "flow"], how="semi")
    lost = country_codes().filter(pl.col("reason").is_not_null())["code"].cast(pl.Int64).to_list()
    folded = folded.filter(~pl.col("partner").is_in(lost), pl.col("partner") != pl.col("reporter"))
    assert used + folded.height + result.dropped["rows"].sum() == reports.height
    reasons = set(result.dropped["reason"])
    assert {"partner: World", "partner: area not elsewhere specified"} < reasons


def test_a_year_gives_a_key_once_and_no_impossible_figure(result: Reconciled) -> None:
    flows = result.flows
    assert flows.select(KEY).is_duplicated().sum() == 0
    assert flows.filter(pl.col("exporter") == pl.col("importer")).height == 0
    within = (pl.col("value_low_usd") <= pl.col("value_usd")) & (pl.col("value_usd") <= pl.col("value_high_usd"))
    assert flows.filter(within & (pl.col("value_low_usd") > 0)).height == flows.height
    assert flows.filter(pl.col("quantity_t") <= 0).height == 0
    wide = flows.filter(pl.col("flags").str.contains("sides_disagree"))
    assert wide.height > 1000
    assert wide.filter(pl.col("value_high_usd") / pl.col("value_low_usd") <= 2).height == 0


def test_a_later_release_says_the_same_of_the_exporter_that_is_set_aside(shared_data: Path, result: Reconciled) -> None:
    """The release of 2024 holds none of the flows to ports of transit that only this exporter claims."""
    aside = result.reporters.filter("set_aside").sort("log_error", descending=True)
    worst = aside["iso3"][0]
    later = pl.read_parquet(shared_data / "baci" / "extract" / "trade.parquet")
    claimed = comtrade(shared_data).filter(pl.col("flow") == "X", pl.col("hs6") == "740311")
    codes = dict(country_codes().drop_nulls("iso3").select("code", "iso3").iter_rows())
    claimed = claimed.with_columns(pl.col("reporter", "partner").cast(pl.String).replace(codes)).filter(reporter=worst)
    ports = claimed.filter(pl.col("partner").is_in(["SGP", "HKG", "TZA", "MOZ"]))["partner"].unique()
    assert len(ports) == 4
    seen = later.filter(exporter=worst, hs6="740311").filter(pl.col("importer").is_in(ports.implode()))
    total = later.filter(exporter=worst, hs6="740311")["value_kusd"].sum()
    assert seen["value_kusd"].sum() < 0.02 * total


def test_quantities_of_a_year_follow_the_weights_on_file(shared_data: Path, result: Reconciled) -> None:
    """The release of 2024 is the nearest one with tonnes: unit values by code agree within a factor of two."""
    later = pl.read_parquet(shared_data / "baci" / "extract" / "trade.parquet")
    known = later.group_by("hs6").agg(known=pl.col("value_kusd").sum() * 1e3 / pl.col("qty_t").sum())
    weighed = result.flows.drop_nulls("quantity_t").group_by("hs6")
    ours = weighed.agg(ours=pl.col("value_usd").sum() / pl.col("quantity_t").sum())
    apart = ours.join(known, on="hs6").select((pl.col("ours") / pl.col("known")).log().abs().alias("apart"))["apart"]
    assert math.exp(apart.median()) < 1.5
    assert (apart < math.log(4)).mean() >= 0.9
