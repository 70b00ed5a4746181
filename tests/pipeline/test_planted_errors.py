"""Wrong figures planted in canonical tables are stopped by the gate; what is published stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from ingest.home import Home
from orchestration import dbt
from orchestration.publish import PublishRefused

pytestmark = pytest.mark.xdist_group("pipeline")

Plant = Callable[[pl.DataFrame], pl.DataFrame]


def share_of_170_percent(frame: pl.DataFrame) -> pl.DataFrame:
    hit = (pl.col("material") == "rare_earths") & (pl.col("iso3") == "CHN") & (pl.col("last_year") == 2024)
    return frame.with_columns(
        pl.when(hit).then(1.7).otherwise(pl.col(name)).alias(name) for name in ("share", "share_low", "share_high")
    )


def china_twice(frame: pl.DataFrame) -> pl.DataFrame:
    hit = (pl.col("material") == "rare_earths") & (pl.col("iso3") == "CHN") & (pl.col("stage") == "mine")
    return frame.with_columns(
        pl.when(hit).then(pl.col(name) * 2).otherwise(pl.col(name)).alias(name)
        for name in ("quantity_t", "quantity_t_low", "quantity_t_high")
    )


def china_in_two_rows(frame: pl.DataFrame) -> pl.DataFrame:
    hit = (pl.col("material") == "rare_earths") & (pl.col("iso3") == "CHN") & (pl.col("stage") == "mine")
    return pl.concat([frame, frame.filter(hit)])


def without_2024(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(~((pl.col("year") == 2024) & (pl.col("material") == "rare_earths")))


def kilograms_for_tonnes(frame: pl.DataFrame) -> pl.DataFrame:
    hit = (pl.col("material") == "cobalt") & (pl.col("vintage") == "2026")
    return frame.with_columns(
        pl.when(hit).then(pl.col(name) * 1000).otherwise(pl.col(name)).alias(name)
        for name in ("quantity_t", "quantity_t_low", "quantity_t_high")
    )


PLANTED = {
    "share of 170 %": ("import_source", share_of_170_percent),
    "a country doubled": ("production", china_twice),
    "a country in two rows": ("production", china_in_two_rows),
    "a missing year": ("production", without_2024),
    "a swapped unit": ("production", kilograms_for_tonnes),
}


def materialize(keys: list[dg.AssetKey], instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    from orchestration.definitions import defs

    selection = dg.AssetSelection.assets(*keys)
    job = dg.Definitions(
        assets=defs.assets,
        asset_checks=defs.asset_checks,
        jobs=[dg.define_asset_job("some", selection=selection)],
        executor=dg.in_process_executor,
    ).resolve_job_def("some")
    return job.execute_in_process(instance=instance, raise_on_error=False)


def model_keys() -> list[dg.AssetKey]:
    from orchestration.definitions import defs

    return [key for key in defs.resolve_all_asset_keys() if key.path[0] in ("staging", "intermediate", "marts")]


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_error_is_stopped_and_the_published_bytes_stay(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, plant = PLANTED[name]
    monkeypatch.setenv("ORETRACE_HOME", str(home))
    here = Home.from_environment()
    path = here.canonical / f"{table}.parquet"
    before = (here.warehouse / "oretrace.duckdb").resolve()
    bytes_before = before.read_bytes()
    changed = plant(pl.read_parquet(path))
    assert not changed.equals(pl.read_parquet(path))
    changed.write_parquet(path)
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize([*model_keys(), dg.AssetKey(["published"])], instance)
        assert not result.success
        assert not dbt.certificate(here).exists()
        stopped = [
            check
            for event in result.all_events
            if event.event_type_value == "ASSET_CHECK_EVALUATION"
            for check in [event.asset_check_evaluation_data]
            if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
        ]
        assert stopped
        gate = [check for check in stopped if check.check_name == "gate"]
        # Either an expectation of the gate says so in words, or a dbt test has failed the build before it.
        if gate:
            text = " ".join(check.description or "" for check in gate)
            assert "mart_" in text
            assert "Reason:" in text
        # A separate run of the publish asset alone sails past the blocking checks; publish() itself refuses.
        alone = materialize([dg.AssetKey(["published"])], instance)
        assert not alone.success
        errors = [event.step_failure_data.error for event in alone.all_events if event.is_step_failure]
        assert any(PublishRefused.__name__ in str(error) for error in errors)
    after = (here.warehouse / "oretrace.duckdb").resolve()
    assert after == before
    assert after.read_bytes() == bytes_before
