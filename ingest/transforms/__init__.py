"""One module per canonical table, and the order in which they run.

What belongs here: the list of modules, their order, and running them all on frames. What does not:
reading or writing files.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module

import polars as pl

from ingest.errors import OretraceError
from ingest.schemas import conform
from ingest.transforms.base import DROPPED_SCHEMA, Transform

MODULES = (
    "material",
    "stage",
    "country",
    "production",
    "import_source",
    "us_salient",
    "nir_identity",
    "trade_flow",
    "import_line",
    "stage_flow",
    "supply_share",
    "stage_production",
    "secondary_supply",
    "criticality_score",
    "criticality_parameter",
    "end_use",
    "governance",
    "economy",
    "restriction",
    "scenario",
    "policy_event",
    "ally",
    "trade_month",
    "import_monitor",
    "stock",
    "stock_target",
    "announced_reserve",
    "claim",
)
DROPPED = "dropped"


@cache
def transforms() -> dict[str, Transform]:
    """Return every canonical table's ``Transform`` by table, each after the tables it reads."""
    found = [import_module(f"ingest.transforms.{module}").TRANSFORM for module in MODULES]
    return in_order({transform.table: transform for transform in found})


def in_order(steps: Mapping[str, Transform]) -> dict[str, Transform]:
    """Order transforms so that each comes after the canonical tables it reads.

    Raises:
        OretraceError: tables that read each other in a circle.
    """
    sorter = TopologicalSorter(
        {table: [name for name in step.inputs if name in steps] for table, step in steps.items()}
    )
    try:
        return {table: steps[table] for table in sorter.static_order()}
    except CycleError as error:
        raise OretraceError(f"canonical tables read each other in a circle: {' -> '.join(error.args[1])}.") from None


def run(step: Transform, tables: Mapping[str, pl.DataFrame]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make one canonical table and hold it to its contract.

    Args:
        step: the transform.
        tables: source and canonical tables by name, at least the step's inputs.

    Returns:
        The canonical table, and its dropped rows counted by reason.

    Raises:
        OretraceError: an input is not there, or the table breaks its contract.
    """
    absent = [name for name in step.inputs if name not in tables]
    if absent:
        raise OretraceError(f"canonical table {step.table} needs {', '.join(absent)}, which nobody made.")
    frame, dropped = step.build({name: tables[name] for name in step.inputs})
    return conform(frame, step.table), dropped.select(list(DROPPED_SCHEMA))


def run_all(
    tables: Mapping[str, pl.DataFrame], steps: Mapping[str, Transform] | None = None
) -> dict[str, pl.DataFrame]:
    """Make every canonical table from the source tables.

    Args:
        tables: source tables by name.
        steps: transforms to run; all of the project's by default.

    Returns:
        Canonical tables by name, and ``dropped``: what they left out, counted by reason.

    Raises:
        OretraceError: an input is not there, or a table breaks its contract.
    """
    made: dict[str, pl.DataFrame] = {}
    left_out: list[pl.DataFrame] = []
    for table, step in (transforms() if steps is None else in_order(steps)).items():
        made[table], dropped = run(step, {**tables, **made})
        left_out.append(dropped)
    counts = pl.concat([pl.DataFrame(schema=DROPPED_SCHEMA), *left_out])
    made[DROPPED] = conform(counts, DROPPED)
    return made
