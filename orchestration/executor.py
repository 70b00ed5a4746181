"""The executor of every job: one process, or workers where partitions allow it, holding the locks of its run.

What belongs here: the locks around a run that Dagster launches, and which runs are handed to workers. What
does not: the locks themselves (``locks``), runs from the command line (``run``), which hold the same locks,
how workers are reached (``workers``).
"""

# No `from __future__ import annotations`: Dagster reads annotations of definitions as classes.
from collections.abc import Iterator, Sequence
from typing import IO, Any, cast

import dagster as dg
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.execution.step_dependency_config import StepDependencyConfig

from ingest.errors import BadInput
from ingest.home import Home
from orchestration.locks import build_wait, hold_build, hold_run
from orchestration.workers import BROKER, broker_url, executor, present

# Steps of partitions, which need no other's end. Fetches write raw vintages only, and each source has a lock of its
# own for that; a cell of an ensemble is a file of its own.
PARTITIONED = ("vintage__", "ensemble__")
# A run's lock falls with its process: Dagster notes the end of a run after its executor has returned.
_HELD: list[IO[str]] = []


class Guarded(dg.Executor):
    """Runs the steps with another executor, while holding the run's locks.

    A run that writes the build folder waits for another one that does; every run holds a lock of its
    own, by which a run whose process died is found out.
    """

    def __init__(self, inner: dg.Executor) -> None:
        """Wrap an executor."""
        self.inner = inner
        self.broker: str | None = None

    @property
    def retries(self) -> RetryMode:
        """The inner executor's."""
        return self.inner.retries

    @property
    def step_dependency_config(self) -> StepDependencyConfig:
        """The inner executor's."""
        return self.inner.step_dependency_config

    def app_args(self) -> dict[str, Any]:
        """Settings of the Celery application, as dagster-celery asks its executor for them."""
        if self.broker is None:
            raise BadInput(f"{BROKER} is not set, so that no workers can be reached.")
        arguments: dict[str, Any] = executor(self.broker).app_args()
        return arguments

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """Take the locks, then yield what the inner executor yields.

        Raises:
            BuildBusy: another run kept the build folder for longer than is waited.
            BadInput: the broker's address cannot be used, or nothing answers there.
        """
        home = Home.from_environment()
        _HELD.append(hold_run(home, plan_context.run_id))
        if writes_build(execution_plan.step_keys_to_execute):
            with hold_build(home, run_id=plan_context.run_id, wait=build_wait(), say=plan_context.log.info):
                yield from self.inner.execute(plan_context, execution_plan)
            return
        self.broker = broker_url()
        if self.broker is None:
            yield from self.inner.execute(plan_context, execution_plan)
            return
        if not present(self.broker):
            plan_context.log.warning("no worker listens at the broker; the run waits for one: oretrace worker")
        yield from executor(self.broker).execute(plan_context, execution_plan)


def let_go() -> None:
    """Drop the locks of the runs that this process executed, where it goes on after them."""
    while _HELD:
        _HELD.pop().close()


def writes_build(steps: Sequence[str]) -> bool:
    """Tell whether steps write what a release is made of; those of partitions do not."""
    return not all(step.startswith(PARTITIONED) for step in steps)


def _guarded(init_context: dg.InitExecutorContext) -> dg.Executor:
    make = dg.in_process_executor.executor_creation_fn
    assert make is not None  # noqa: S101  # Dagster's own executor has one
    return Guarded(make(init_context))


guarded_executor = dg.ExecutorDefinition(
    name="in_process",
    config_schema=cast("Any", dg.in_process_executor.config_schema),
    executor_creation_fn=_guarded,
    description="All steps in one process, which holds the locks of its run; partitions by workers where there is a "
    "broker (ORETRACE_BROKER).",
)
