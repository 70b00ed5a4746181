"""An ensemble from the command line: one Dagster run, in this process or by workers, told line by line.

What belongs here: running the job and telling its story. What does not: the job (``assets.ensemble``), the
words of the command (``cli_ensemble``).
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ingest.errors import BadInput, OretraceError
from ingest.home import Home
from orchestration.ensemble import Joined, cells
from orchestration.instance import dagster_instance
from orchestration.locks import forget_run
from orchestration.progress import say
from orchestration.run import RunFailed
from orchestration.workers import BROKER, check_present, watched

if TYPE_CHECKING:
    from dagster import DagsterEvent, DagsterInstance, DagsterRun

STEP, JOIN = "ensemble__cell[", "ensemble__join"
TOLD = 5


@dataclass
class Story:
    """What the events of a run tell so far."""

    wanted: int
    begun: float = field(default_factory=time.monotonic)
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    workers: Counter[str] = field(default_factory=Counter)
    at: dict[str, str] = field(default_factory=dict)
    joined: Joined | None = None
    stopped: bool = False

    def hear(self, event: DagsterEvent) -> None:
        """Take an event in; say a line per partition that ends."""
        step, kind = event.step_key or "", event.event_type_value
        if step == JOIN and kind == "ASSET_MATERIALIZATION":
            value = event.step_materialization_data.materialization.metadata["joined"].value
            assert isinstance(value, dict)  # noqa: S101  # as the step wrote it
            self.joined = Joined(**value)
        if not step.startswith(STEP):
            return
        name = step.removeprefix(STEP).removesuffix("]")
        if kind == "ENGINE_EVENT":
            worker = event.engine_event_data.metadata.get("Celery worker")
            if worker is not None:
                self.at[name] = str(worker.value)
        elif kind == "ASSET_MATERIALIZATION":
            metadata = event.step_materialization_data.materialization.metadata
            self.done[name] = {key: value.value for key, value in metadata.items()}
        elif kind == "STEP_SUCCESS":
            self._ended(name, event.step_success_data.duration_ms / 1000)
        elif kind == "STEP_FAILURE":
            error = event.step_failure_data.error
            self.stopped |= error is not None and error.cls_name == "DagsterExecutionInterruptedError"
            say(f"  {name:<28} {'stopped' if self.stopped else 'FAILED'}")

    def _ended(self, name: str, seconds: float) -> None:
        made = self.done.get(name, {})
        where = self.at.get(name, "")
        self.workers[where] += 1
        say(
            f"  {name:<28} {made.get('dagster/row_count', 0):>7,} rows {seconds:>7.1f} s  {made.get('outcome', '')}"
            f"{f' by {where}' if where else ''} ({sum(self.workers.values())} of {self.wanted})"
        )


@dataclass(frozen=True)
class Outcome:
    """What became of an ensemble.

    Attributes:
        joined: all cells put together.
        computed: cells computed now.
        kept: cells that were there already.
        workers: worker to the cells it did; the key is empty for this process.
        seconds: wall time.
        run_id: Dagster's run.
    """

    joined: Joined
    computed: int
    kept: int
    workers: dict[str, int]
    seconds: float
    run_id: str


def run_ensemble(
    home: Home,
    *,
    draws: int,
    seed: int,
    materials: Sequence[str] = (),
    years: Sequence[int] = (),
    again: bool = False,
    broker: str | None = None,
) -> Outcome:
    """Compute every cell, put all together and compare with the intervals of the last run.

    Args:
        home: where the canonical tables are and everything is written.
        draws: Monte Carlo draws.
        seed: of the draws.
        materials: materials; all where none is given.
        years: reference years; all where none is given.
        again: compute cells that are there already.
        broker: address of the workers' broker; this process computes where it is None.

    Raises:
        BadInput: nothing to compute from, an unknown material or year, no broker, no worker.
        RunFailed: a cell failed, or one is missing.
        KeyboardInterrupt: it was stopped.
    """
    wanted = cells(home, materials, years, draws=draws, seed=seed)
    os.environ.pop(BROKER, None)
    if broker is not None:
        os.environ[BROKER] = broker
        names = check_present(broker)
        say(f"{len(wanted)} partitions for {len(names)} worker{'' if len(names) == 1 else 's'}: {', '.join(names)}")
    else:
        say(f"{len(wanted)} partitions in this process")
    config = {"draws": draws, "seed": seed, "materials": list(materials), "years": list(years), "again": again}
    story = Story(len(wanted))
    with watched(broker, say) if broker else nullcontext():
        run_id, joined = _run(home, config, story)
    kept = sum(one.get("outcome") == "kept" for one in story.done.values())
    seconds = time.monotonic() - story.begun
    return Outcome(joined, len(story.done) - kept, kept, dict(sorted(story.workers.items())), seconds, run_id)


def _run(home: Home, config: dict[str, Any], story: Story) -> tuple[str, Joined]:
    import dagster as dg
    from dagster._core.errors import DagsterSubprocessError
    from dagster._core.execution.api import execute_run_iterator

    from orchestration.assets.ensemble import ensemble_job
    from orchestration.executor import let_go

    job = dg.reconstructable(ensemble_job)
    run_config = {
        "ops": {"ensemble__cells": {"config": config}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    with dagster_instance(home) as instance:
        run = instance.create_run_for_job(job.get_definition(), run_config=run_config)
        try:
            for event in execute_run_iterator(job, run, instance):
                story.hear(event)
        except dg.DagsterExecutionInterruptedError:
            story.stopped = True
        except DagsterSubprocessError as error:
            raise RunFailed(f"a worker could not take a partition: {_last_line(error)}") from error
        finally:
            let_go()
            forget_run(home, run.run_id)
        if story.stopped:
            raise KeyboardInterrupt
        return run.run_id, _joined(instance, run, story)


def _joined(instance: DagsterInstance, run: DagsterRun, story: Story) -> Joined:
    """Return what the last step gave.

    Raises:
        BadInput: the run failed for something of the user's.
        RunFailed: it failed for something else.
    """
    from orchestration.alerting.incident import incident_of

    incident = incident_of(instance, run.run_id)
    if incident is None:
        raise RunFailed("the run did not come to its end; see it in the Dagster UI: oretrace ui")
    if incident.ok:
        assert story.joined is not None  # noqa: S101  # the last step tells of it before it ends
        return story.joined
    missing = story.wanted - sum(story.workers.values())
    told = " | ".join(incident.reasons[:TOLD])
    after = f" {missing} of {story.wanted} partitions are missing; the same command computes them." if missing else ""
    raise (BadInput if incident.exit_code == 2 else RunFailed)(f"{told}{after}")


def _last_line(error: OretraceError | Exception) -> str:
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
