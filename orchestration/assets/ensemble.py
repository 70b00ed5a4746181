"""Ensemble layer: intervals at thousands of draws, one partition per material and year, and all of them together.

What belongs here: partitions, the job of the command line with one step per partition, what Dagster shows.
What does not: computing a cell and joining them (``orchestration.ensemble``), the workers (``workers``).
"""

# No `from __future__ import annotations`: Dagster reads the annotations of context and config as classes.
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import dagster as dg

from ingest.home import Home
from orchestration import ensemble
from orchestration.assets.metadata import OWNERS, code_references, rows_table
from orchestration.ensemble import Cell
from orchestration.executor import guarded_executor
from orchestration.failures import killer_of_workers, permanent_failures
from tracing.chains import SEED
from tracing.ensemble import compare

LAYER = "ensemble"
JOB = "ensemble"
CELL = dg.AssetKey([LAYER, "cell"])
COMPARISON = dg.AssetKey([LAYER, "comparison"])
INPUTS = [dg.AssetKey(["canonical", name]) for name in ensemble.TABLES]


class EnsembleConfig(dg.Config):
    """Settings of an ensemble.

    Attributes:
        draws: Monte Carlo draws behind the intervals.
        seed: seed of the draws; equal seeds give equal intervals.
    """

    draws: int = ensemble.DRAWS
    seed: int = SEED


class CellsConfig(EnsembleConfig):
    """Settings of the job.

    Attributes:
        materials: materials; all where none is given.
        years: reference years; all where none is given.
        again: compute what is there already.
    """

    materials: list[str] = []  # noqa: RUF012  # Dagster's own form of a default
    years: list[int] = []  # noqa: RUF012
    again: bool = False


def partitions() -> dg.MultiPartitionsDefinition:
    """Return the cells as Dagster partitions: the years that the last run traced when the code was loaded."""
    years = ensemble.years_of(Home.from_environment())
    return dg.MultiPartitionsDefinition(
        {
            "material": dg.StaticPartitionsDefinition(ensemble.materials()),
            "year": dg.StaticPartitionsDefinition([str(year) for year in years]),
        }
    )


def assets() -> list[dg.AssetsDefinition]:
    """Return the partitioned asset and the one that puts its partitions together."""

    @dg.asset(
        key=CELL,
        deps=INPUTS,
        partitions_def=partitions(),
        group_name=LAYER,
        kinds={"polars", "numpy", "parquet"},
        owners=OWNERS,
        metadata=code_references(ensemble.compute),
        description="Exposure of one material and year with intervals of thousands of draws (docs/fan-out.md).",
    )
    def cell(context: dg.AssetExecutionContext, config: EnsembleConfig) -> dg.MaterializeResult[None]:
        key = context.partition_key
        assert isinstance(key, dg.MultiPartitionKey)  # noqa: S101  # of the definition above
        place = key.keys_by_dimension
        one = Cell(place["material"], int(place["year"]), config.draws, config.seed)
        killer_of_workers(context)
        with permanent_failures():
            done = ensemble.compute(Home.from_environment(), one, again=True)
        return dg.MaterializeResult(metadata=_cell_metadata(done))

    @dg.asset(
        key=COMPARISON,
        deps=[CELL],
        group_name=LAYER,
        kinds={"polars", "parquet"},
        owners=OWNERS,
        metadata=code_references(compare),
        description="All partitions of an ensemble in one table, counted, and how far its intervals are from those of "
        "the last run.",
    )
    def comparison(config: EnsembleConfig) -> dg.MaterializeResult[None]:
        home = Home.from_environment()
        with permanent_failures():
            joined = ensemble.join(home, ensemble.cells(home, draws=config.draws, seed=config.seed))
        return dg.MaterializeResult(metadata=_joined_metadata(joined))

    return [cell, comparison]


@dg.op(out=dg.DynamicOut(dict), name="ensemble__cells")
def _cells(config: CellsConfig) -> Iterator[dg.DynamicOutput[dict[str, Any]]]:
    with permanent_failures():
        found = ensemble.cells(
            Home.from_environment(), config.materials, config.years, draws=config.draws, seed=config.seed
        )
    for one in found:
        yield dg.DynamicOutput({**asdict(one), "again": config.again}, mapping_key=one.name)


@dg.op(name="ensemble__cell")
def _cell(context: dg.OpExecutionContext, wanted: dict[str, Any]) -> dict[str, Any]:
    killer_of_workers(context)
    asked = dict(wanted)
    again = asked.pop("again")
    with permanent_failures():
        done = ensemble.compute(Home.from_environment(), Cell(**asked), again=again)
    key = dg.MultiPartitionKey({"material": asked["material"], "year": str(asked["year"])})
    context.log_event(dg.AssetMaterialization(asset_key=CELL, partition=key, metadata=_cell_metadata(done)))
    return done


@dg.op(name="ensemble__join")
def _join(context: dg.OpExecutionContext, done: list[dict[str, Any]]) -> dict[str, Any]:
    cells = [Cell(*(one[name] for name in ("material", "year", "draws", "seed"))) for one in done]
    with permanent_failures():
        joined = ensemble.join(Home.from_environment(), cells)
    context.log_event(dg.AssetMaterialization(asset_key=COMPARISON, metadata=_joined_metadata(joined)))
    return asdict(joined)


@dg.graph(name=JOB)
def _graph() -> None:
    _join(_cells().map(_cell).collect())


def ensemble_job() -> dg.JobDefinition:
    """Return the job of the command line: every cell a step, then all of them joined.

    A function of a module that needs neither dbt nor the publishers, so that workers load it in a second.
    """
    return _graph.to_job(
        executor_def=guarded_executor,
        # What a person should read is told by the command; all of it is in the run's log.
        logger_defs={"console": dg.colored_console_logger},
    )


def _cell_metadata(done: dict[str, Any]) -> dict[str, Any]:
    return {"dagster/row_count": done["rows"], **{name: done[name] for name in ("draws", "seed", "outcome")}}


def _joined_metadata(joined: ensemble.Joined) -> dict[str, Any]:
    table = joined.table()
    return {
        "dagster/row_count": joined.rows,
        "partitions": joined.cells,
        "partitions_with_rows": joined.traced,
        "file": dg.MetadataValue.path(joined.intervals),
        "sha256": joined.sha256,
        "joined": dg.MetadataValue.json(asdict(joined)),
        "moved": rows_table(table.columns, table.iter_rows()),
    }
