"""The stations of the job, each run in a process of its own, and what it cost.

What belongs here: which part of the real job is a station, running one, reading time and memory. What does not: the
job itself; sizes and the report (``curve.py``).

Run by ``bench.volume``: ``python -m bench.volume.stations NAME`` runs one station on ``ORETRACE_HOME`` and prints a
line of JSON. Seconds are those of the work, without starting Python and loading the tools (``start_seconds``).
"""

# No `from __future__ import annotations`: Dagster's selections are built in functions, nothing is annotated for it.
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TRADE = ("trade_flow", "stage_flow")
LATER = ("stage_production", "scenario", "dropped")


def selections() -> dict[str, Callable[[], Any]]:
    """Return every station that is a part of the Dagster job, in order, with the assets it makes."""
    import dagster as dg

    from ingest.sources import sources, table_owner
    from ingest.transforms import transforms

    def keys(layer: str, *names: str) -> Any:
        return dg.AssetSelection.assets(*([layer, name] for name in names))

    others = [table for table, source in table_owner().items() if source != "baci"]
    small = [table for table in transforms() if table not in (*TRADE, *LATER)]
    return {
        "other sources": lambda: keys("raw", *others),
        "read": lambda: keys("raw", *sources()["baci"].tables),
        "trade flows": lambda: keys("canonical", "trade_flow"),
        "stage flows": lambda: keys("canonical", "stage_flow"),
        "small tables": lambda: keys("canonical", *small, "vintage_used"),
        "output": lambda: keys("canonical", *LATER),
        "look-through": lambda: keys("traced", "exposure", "via", "coverage"),
        "criticality": lambda: keys("traced", "criticality", "criticality_check"),
        "cover": lambda: keys("traced", "cover"),
        "disruption": lambda: keys("traced", "disruption"),
        "diversification": lambda: keys("traced", "diversification"),
        "marts": lambda: dg.AssetSelection.groups("staging", "intermediate", "marts").without_checks(),
        "gate": list,
        "publish": lambda: dg.AssetSelection.assets(["published"]),
    }


def run(name: str) -> dict[str, Any]:
    """Run one station.

    Raises:
        SystemExit: it failed; the message says why.
    """
    begun = time.perf_counter()
    work = gate() if name == "gate" else part_of_job(name)
    ready, spent = time.perf_counter(), _processor()
    rows, refused = work()
    return {
        "station": name,
        "seconds": round(time.perf_counter() - ready, 2),
        "processor_seconds": round(_processor() - spent, 2),
        "start_seconds": round(ready - begun, 2),
        "peak_mb": round(peak_mb()),
        "rows": rows,
        "refused": refused,
    }


def gate() -> Callable[[], tuple[int, list[str]]]:
    """Load the gate; the work is the audit, Great Expectations loaded by it."""
    from bench.volume.gate import certify
    from ingest.home import Home

    return lambda: (0, certify(Home.from_environment()))


def part_of_job(name: str) -> Callable[[], tuple[int, list[str]]]:
    """Load the definitions and choose a station's assets; the work is to make them."""
    import dagster as dg

    from orchestration.definitions import defs

    job = dg.define_asset_job("station", selection=selections()[name]())
    resolved = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("station")
    config = {"resources": {"publishers": {"config": {"mode": "live", "offline": True}}}}

    def work() -> tuple[int, list[str]]:
        with dg.DagsterInstance.ephemeral() as instance:
            result = resolved.execute_in_process(instance=instance, run_config=config, raise_on_error=False)
        if not result.success:
            errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
            said = [str((error.cause or error).message).strip() for error in errors if error]
            raise SystemExit(f"bench: station {name} failed: {' | '.join(said)}")
        events = [event for event in result.all_events if event.is_step_materialization]
        metadata = [event.step_materialization_data.materialization.metadata for event in events]
        counts = [found["dagster/row_count"].value for found in metadata if "dagster/row_count" in found]
        return sum(int(str(count)) for count in counts), []

    return work


def peak_mb() -> float:
    """Return the largest resident memory of this process or of one that it waited for, MB."""
    # Not ru_maxrss of this process: Linux begins it with what the process that started this one held.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1.024 / 1e3


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1])))
