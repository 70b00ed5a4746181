"""Targets, programmes and needed forms are data that hold to known materials, stages and grades."""

from __future__ import annotations

from types import ModuleType

import polars as pl
import pytest

from ingest.chain_inputs import stage_feed
from ingest.countries import countries
from ingest.errors import BadInput
from ingest.mapping import reference
from ingest.transforms import announced_reserve, run, stock_target, transforms


def _replace(monkeypatch: pytest.MonkeyPatch, module: ModuleType, file: str, column: str, value: str) -> None:
    """Let a transform read its file with another value in one column of the first row."""
    first = pl.int_range(pl.len()) == 0
    rows = reference(file).with_columns(pl.when(first).then(pl.lit(value)).otherwise(column).alias(column))
    monkeypatch.setattr(module, "reference", lambda name: rows if name == file else reference(name))


def test_needed_forms_are_stages_and_every_chain_has_one() -> None:
    forms = reference("stock_forms.csv")
    assert set(forms["needed_form"]) <= set(reference("stages.csv")["stage"])
    assert set(forms["material"]) <= set(reference("materials.csv")["material"])
    assert set(stage_feed()["material"]) <= set(forms["material"])
    assert forms["material"].is_unique().all()


def test_holders_are_known_and_each_row_says_where_it_is_from() -> None:
    codes = set(countries()["iso3"])
    for file in ("stock_holders.csv", "stock_targets.csv", "announced_reserves.csv"):
        rows = reference(file)
        assert set(rows["holder"]) <= codes
        assert rows["source"].null_count() == rows["confidence"].null_count() == 0


def test_a_target_that_is_not_certain_is_assumed() -> None:
    rows, _ = run(transforms()["stock_target"], {})
    assert set(rows.filter(confidence="low")["evidence"]) == {"assumed"}
    assert set(rows.filter(pl.col("confidence") != "low")["evidence"]) == {"reported"}


@pytest.mark.parametrize(
    ("column", "value"), [("days", "sixty"), ("days", "-60"), ("material", "ore"), ("status", "x"), ("confidence", "x")]
)
def test_a_target_that_is_no_target_stops_and_names_its_row(
    monkeypatch: pytest.MonkeyPatch, column: str, value: str
) -> None:
    _replace(monkeypatch, stock_target, "stock_targets.csv", column, value)
    with pytest.raises(BadInput, match=r"stock_targets\.csv: JPN"):
        stock_target.build({})


@pytest.mark.parametrize(
    ("column", "value"), [("value_usd", "12 bn"), ("quantity_t", "-"), ("announced", "soon"), ("material", "ore")]
)
def test_a_programme_that_is_no_programme_stops_and_names_its_row(
    monkeypatch: pytest.MonkeyPatch, column: str, value: str
) -> None:
    _replace(monkeypatch, announced_reserve, "announced_reserves.csv", column, value)
    with pytest.raises(BadInput, match=r"announced_reserves\.csv.*Project Vault"):
        announced_reserve.build({})
