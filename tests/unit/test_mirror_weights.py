"""The model of disagreement: mark-up and reliability from flows that both sides report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ingest.transforms.mirror_parameters import parameters
from ingest.transforms.mirror_weights import REPORTER_SCHEMA, _components, reliability

COUNTRIES = [f"C{number:02d}" for number in range(30)]


def flows(
    markup: float, seed: int = 0, codes: int = 12, year: int = 2022, most: float = 2.0
) -> tuple[pl.DataFrame, dict[str, float]]:
    """Return flows of all pairs in some codes with known errors: exporters from 0.1 to ``most``, importers 0.3."""
    chance = np.random.default_rng(seed)
    errors = dict(zip(COUNTRIES, np.linspace(0.1, most, len(COUNTRIES)), strict=True))
    pairs = [(one, two) for one in COUNTRIES for two in COUNTRIES if one != two for _ in range(codes)]
    true = chance.lognormal(12, 2, len(pairs))
    wrong = chance.normal(0, [errors[one] for one, _ in pairs])
    table = pl.DataFrame(pairs, schema=["exporter", "importer"], orient="row").with_columns(
        year=pl.lit(year, pl.Int32),
        export_usd=pl.Series(true * np.exp(wrong)),
        import_usd=pl.Series(true * markup * np.exp(chance.normal(0, 0.3, len(pairs)))),
    )
    return table, errors


def test_the_mark_up_is_found_and_held_to_its_cap() -> None:
    for true, expected in ((1.06, 1.06), (1.0, 1.0), (1.3, parameters().markup_cap), (0.8, 1.0)):
        found = reliability(flows(true, most=0.2)[0], parameters()).markup
        assert found["markup"].item() == pytest.approx(expected, abs=0.02)
        assert found["estimated"].item()


def test_too_few_flows_give_the_mark_up_on_file() -> None:
    found = reliability(flows(1.0)[0].head(10), parameters()).markup
    assert (found["markup"].item(), found["estimated"].item()) == (parameters().markup_fallback, False)


def test_the_error_of_each_reporter_is_recovered_from_the_disagreements() -> None:
    table, errors = flows(1.05)
    # The share of the two sides on average is given; here it is the true one.
    squares = np.mean([error**2 for error in errors.values()])
    given = replace(parameters(), exporter_variance_share=squares / (squares + 0.09), disagreement_floor_quantile=0.0)
    found = reliability(table, given).reporters
    exporters = found.filter(side="exporter").sort("iso3")
    true = np.array([errors[iso3] for iso3 in exporters["iso3"]])
    assert np.corrcoef(exporters["log_error"], true)[0, 1] > 0.99
    # An error far below the other side's cannot be told from it.
    assert np.allclose(exporters["log_error"].to_numpy()[true > 0.5], true[true > 0.5], rtol=0.15)
    assert (found.filter(side="importer")["log_error"] < 0.6).all()


def test_true_variances_are_a_fixed_point_of_the_shares() -> None:
    ours, theirs = np.array([0.5, 4.0]), np.array([0.2, 1.0, 3.0])
    exporter, importer = (part.ravel() for part in np.indices((2, 3)))
    squared = ours[exporter] + theirs[importer]
    found = _components(squared, exporter, importer, ours, theirs, parameters())
    assert np.allclose(found[0], ours) and np.allclose(found[1], theirs)


def test_a_reporter_with_few_flows_stays_near_the_mean() -> None:
    table, _ = flows(1.05, codes=3)
    newcomer = table.head(1).with_columns(exporter=pl.lit("NEW"), export_usd=pl.col("import_usd") * 1e4)
    found = reliability(pl.concat([table, newcomer]), replace(parameters(), disagreement_floor_quantile=0.0)).reporters
    raw = float(np.log(1e4))
    assert found.filter(iso3="NEW")["log_error"].item() < 0.5 * raw


def test_years_do_not_touch_each_other() -> None:
    first, second = flows(1.02, seed=1)[0], flows(1.08, seed=2, year=2023)[0]
    both = reliability(pl.concat([first, second]), parameters())
    for year, alone in ((2022, first), (2023, second)):
        single = reliability(alone, parameters())
        assert both.markup.filter(year=year).equals(single.markup)
        mine = both.reporters.filter(year=year).sort("side", "iso3")
        assert np.allclose(mine["log_error"], single.reporters.sort("side", "iso3")["log_error"])


def test_sides_that_never_meet_leave_reliability_unknown() -> None:
    silent = flows(1.05)[0].with_columns(import_usd=pl.lit(None, pl.Float64))
    found = reliability(silent, parameters())
    assert not found.reporters.height and dict(found.reporters.schema) == REPORTER_SCHEMA
    assert found.markup["compared_flows"].to_list() == [0]
