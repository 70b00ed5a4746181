"""Wrong figures planted in canonical tables are stopped by the gate; what is published stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest

from ingest.home import Home
from orchestration import dbt
from orchestration.publish import PublishRefused

pytestmark = pytest.mark.xdist_group("pipeline")

CHECKED = "ASSET_CHECK_EVALUATION"
Plant = Callable[[pl.DataFrame], pl.DataFrame]


def share_of_170_percent(frame: pl.DataFrame) -> pl.DataFrame:
    hit = (pl.col("material") == "rare_earths") & (pl.col("iso3") == "CHN") & (pl.col("last_year") == 2024)
    return frame.with_columns(
        pl.when(hit).then(1.7).otherwise(pl.col(name)).alias(name) for name in ("share", "share_low", "share_high")
    )


def china_twice(frame: pl.DataFrame) -> pl.DataFrame:
    hit = (pl.col("material") == "antimony") & (pl.col("iso3") == "CHN") & (pl.col("stage") == "mine")
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


# table, what is planted, what the gate must say: mart and material of the wrong figure.
PLANTED = {
    "share of 170 %": ("import_source", share_of_170_percent, ("mart_supplier_exposure", "rare_earths", "1.7")),
    "a country doubled": ("production", china_twice, ("mart_stage_output", "antimony")),
    "a missing year": ("production", without_2024, ("mart_coverage", "rare_earths", "2024")),
    "a swapped unit": ("production", kilograms_for_tonnes, ("mart_stage_output", "cobalt")),
}


def materialize(keys: list[dg.AssetKey], instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    from orchestration.definitions import defs

    selection = dg.AssetSelection.assets(*keys)
    job = dg.Definitions(
        assets=defs.assets,
        asset_checks=defs.asset_checks,
        resources=defs.resources,
        jobs=[dg.define_asset_job("some", selection=selection)],
        executor=dg.in_process_executor,
    ).resolve_job_def("some")
    return job.execute_in_process(instance=instance, raise_on_error=False)


def model_keys() -> list[dg.AssetKey]:
    from orchestration.definitions import defs

    return [key for key in defs.resolve_all_asset_keys() if key.path[0] in ("staging", "intermediate", "marts")]


def shown_rows(checks: Iterable[Any]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Rows of every table in the metadata of checks, by mart and check."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for check in checks:
        for label, value in check.metadata.items():
            if isinstance(value, dg.TableMetadataValue):
                assert 0 < len(value.records) <= 10, label
                rows = found.setdefault((check.asset_key.path[-1], check.check_name), [])
                rows.extend(dict(record.data) for record in value.records)
    return found


@pytest.fixture
def planted_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("ORETRACE_HOME", str(home))
    return Home.from_environment()


def plant(home: Home, table: str, change: Plant) -> None:
    path = home.canonical / f"{table}.parquet"
    frame = pl.read_parquet(path)
    changed = change(frame)
    assert not changed.equals(frame)
    changed.write_parquet(path)


def test_planted_errors_are_named_and_the_published_bytes_stay(planted_home: Home) -> None:
    published = (planted_home.warehouse / "oretrace.duckdb").resolve()
    before = published.read_bytes()
    for table, change, _ in PLANTED.values():
        plant(planted_home, table, change)
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize([*model_keys(), dg.AssetKey(["published"])], instance)
        assert not result.success
        assert not dbt.certificate(planted_home).exists()
        checks = [event.asset_check_evaluation_data for event in result.all_events if event.event_type_value == CHECKED]
        stopped = [check for check in checks if check.check_name == "gate" and not check.passed and check.blocking]
        said = [line for check in stopped for line in str(check.metadata["failing"].value).splitlines()]
        for name, (_, _, words) in PLANTED.items():
            assert any("(critical)" in line and all(word in line for word in words) for line in said), (
                name,
                "\n".join(said),
            )
        assert all("Reason:" in line for line in said if "dbt test" not in line)
        # The rows are in the check: those of the gate, and those of the dbt test that found the same.
        rows = shown_rows(check for check in checks if not check.passed)
        planted = {"importer": "USA", "material": "rare_earths", "stage": "compound", "year": 2024, "country": "CHN"}
        for name in ("gate", "within_mart_supplier_exposure_import_share__1__0"):
            found = rows["mart_supplier_exposure", name]
            assert any(row.get("import_share") == 1.7 and planted.items() <= row.items() for row in found), name
            assert all(len(row) <= 10 for row in found)
        # A separate run of the publish asset alone sails past blocking checks; publish() itself refuses.
        alone = materialize([dg.AssetKey(["published"])], instance)
        assert not alone.success
        errors = [str(event.step_failure_data.error) for event in alone.all_events if event.is_step_failure]
        assert any(PublishRefused.__name__ in error for error in errors)
    assert (planted_home.warehouse / "oretrace.duckdb").resolve() == published
    assert published.read_bytes() == before


def test_a_candidate_changed_after_its_audit_is_refused_by_the_publish_asset(planted_home: Home) -> None:
    published = (planted_home.warehouse / "oretrace.duckdb").resolve()
    before = published.read_bytes()
    with duckdb.connect(str(dbt.candidate(planted_home))) as db:
        db.execute("update mart_stage_output set production_t = 1.0 where country = 'CHN'")
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize([dg.AssetKey(["published"])], instance)
    assert not result.success
    errors = [str(event.step_failure_data.error) for event in result.all_events if event.is_step_failure]
    assert any("changed after its audit" in error for error in errors)
    assert published.read_bytes() == before


def test_a_row_that_stands_twice_fails_the_build_before_the_gate(planted_home: Home) -> None:
    plant(planted_home, "production", china_in_two_rows)
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize([*model_keys(), dg.AssetKey(["published"])], instance)
    assert not result.success
    failed = {event.step_key for event in result.all_events if event.is_step_failure}
    assert failed & {"dbt_build", "gate"}
    assert not dbt.certificate(planted_home).exists()
