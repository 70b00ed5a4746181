"""Canonical tables are made in order, each held to its contract, with what was left out counted."""

from __future__ import annotations

import polars as pl
import pytest

from ingest.errors import OretraceError
from ingest.transforms import in_order, run_all
from ingest.transforms.base import DROPPED_SCHEMA, Frames, Transform, nothing_dropped

STAGES = pl.DataFrame(
    {"stage": ["metal", "mine"], "position": [4, 1], "name": ["Metal", "Mine"], "definition": ["b", "a"]}
)


def _stages(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    dropped = pl.DataFrame([("stage", "s", "1", "blank", 3)], schema=DROPPED_SCHEMA, orient="row")
    return frames["raw_x__stages"], dropped


def _materials_from_stages(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    flag, note = pl.lit(True), pl.lit(None, pl.String)
    named = frames["stage"].select(material="stage", name="name", basis="definition")
    return named.with_columns(critical_us_2025=flag, critical_eu_2023=flag, note=note), nothing_dropped()


STAGE = Transform("stage", ("raw_x__stages",), _stages, "")
MATERIAL = Transform("material", ("stage",), _materials_from_stages, "")


def test_a_table_comes_after_the_canonical_tables_it_reads() -> None:
    assert list(in_order({"material": MATERIAL, "stage": STAGE})) == ["stage", "material"]


def test_tables_that_read_each_other_are_refused() -> None:
    circle = Transform("stage", ("material",), _stages, "")
    with pytest.raises(OretraceError, match="circle"):
        in_order({"material": MATERIAL, "stage": circle})


def test_running_all_gives_sorted_tables_and_the_counts_of_dropped_rows() -> None:
    out = run_all({"raw_x__stages": STAGES}, {"material": MATERIAL, "stage": STAGE})
    assert set(out) == {"stage", "material", "dropped"}
    assert out["material"]["material"].to_list() == ["metal", "mine"]
    assert out["dropped"].rows() == [("stage", "s", "1", "blank", 3)]


def test_nothing_dropped_still_gives_the_table_of_counts() -> None:
    material = Transform(
        "material", ("raw_x__stages",), lambda f: _materials_from_stages({"stage": f["raw_x__stages"]}), ""
    )
    assert run_all({"raw_x__stages": STAGES}, {"material": material})["dropped"].is_empty()


def test_an_absent_source_table_is_named() -> None:
    with pytest.raises(OretraceError, match="stage needs raw_x__stages"):
        run_all({}, {"stage": STAGE})


def test_a_table_that_breaks_its_contract_stops_the_run() -> None:
    doubled = pl.concat([STAGES, STAGES])
    with pytest.raises(OretraceError, match="repeats"):
        run_all({"raw_x__stages": doubled}, {"stage": STAGE})
