"""Small Dagster jobs that end in every way, under the executor of the real one; runs from another process too.

``python -m tests.integration.small_jobs HOME JOB RUN_ID`` runs one; ``HOME/working`` is there while its step works.
"""

# No `from __future__ import annotations`: Dagster reads annotations of definitions as classes.
import sys
import time
from pathlib import Path

import dagster as dg

from ingest.errors import BadInput, KeyRefused, SourceChanged
from ingest.home import Home
from orchestration.executor import guarded_executor
from orchestration.publish import PublishRefused

MART = dg.AssetKey(["marts", "mart_claims"])
FAILING = "- mart_claims.range failed (critical): shares above 1 (12 of 30 rows). Reason: a share.\n- a (warning) line"


@dg.op
def works() -> None: ...


@dg.op
def hangs() -> None:
    (Home.from_environment().root / "working").touch()
    time.sleep(120)


@dg.op
def vintage__changes_shape() -> None:
    raise SourceChanged("BACI_HS22.csv: the column k is not there.")


@dg.op
def asks_with_a_bad_key() -> None:
    try:
        raise KeyRefused("status 401: the key was refused.")
    except KeyRefused as error:
        raise dg.Failure("census: the key was refused; set ORETRACE_CENSUS_KEY.", allow_retries=False) from error


@dg.op
def publishes_what_was_not_audited() -> None:
    raise PublishRefused("refused: candidate.duckdb changed after its audit.")


@dg.op
def reads_a_bad_file() -> None:
    raise BadInput("user/stock.csv line 3: no such material 'rare_eaths'.")


@dg.op
def meets_a_full_disk() -> None:
    raise OSError(28, "No space left on device", "x.parquet")


@dg.asset(key=MART)
def mart() -> None: ...


@dg.asset_check(asset=MART, blocking=True, name="gate")
def gate() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, metadata={"failing": dg.MetadataValue.md(FAILING)})


OPS = (
    works,
    hangs,
    vintage__changes_shape,
    asks_with_a_bad_key,
    publishes_what_was_not_audited,
    reads_a_bad_file,
    meets_a_full_disk,
)


def _job(op: dg.OpDefinition) -> dg.JobDefinition:
    @dg.job(name=f"job_{op.name}")
    def job() -> None:
        op()

    return job


defs = dg.Definitions(
    assets=[mart],
    asset_checks=[gate],
    jobs=[*map(_job, OPS), dg.define_asset_job("job_gate", selection=dg.AssetSelection.all())],
    executor=guarded_executor,
)


def resolve(name: str) -> dg.JobDefinition:
    """Return a job by name."""
    return defs.resolve_job_def(name)


def execute(home: Home, job: str, run_id: str) -> None:
    """Run a job with its own executor, as Dagster's launcher does."""
    from dagster._core.execution.api import execute_run

    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        definition = dg.build_reconstructable_job(
            "tests.integration.small_jobs", "resolve", reconstructable_args=(job,)
        )
        run = instance.create_run_for_job(resolve(job), run_id=run_id)
        execute_run(definition, run, instance, raise_on_error=False)


if __name__ == "__main__":
    execute(Home(Path(sys.argv[1])), sys.argv[2], sys.argv[3])
