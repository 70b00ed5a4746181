"""The gate with its helpers beside the gate alone: seconds and peak memory of the same audit, equal outcomes.

What belongs here: the two contenders in turn, on the published file of a home in which the job has run. What does
not: the gate (``expectations``).

``python -m bench.gate`` from the project folder. Helpers load Great Expectations while marts are still built, so the
clock begins when they are ready, and Great Expectations is loaded in the audit alone too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from bench.measure import Measured, measure

TIMES = 3


def one(way: str) -> None:
    """Audit the published file once, ``alone`` or with ``helpers``; print seconds and what was found."""
    from expectations import helpers
    from expectations.gate import audit
    from expectations.helpers import great_expectations_loaded
    from ingest.home import Home

    database = Home.from_environment().warehouse / "oretrace.duckdb"
    with helpers.helpers() if way == "helpers" else nullcontext():
        if way == "helpers":
            helpers.spread(great_expectations_loaded, [(), ()])
        great_expectations_loaded()
        begun = time.perf_counter()
        report = audit(database)
        seconds = time.perf_counter() - begun
    found = sorted((outcome.mart, outcome.check, outcome.status, outcome.rows) for outcome in report.outcomes)
    print(json.dumps({"seconds": seconds, "outcomes": found}))


def least(way: str) -> tuple[float, Measured, object]:
    """Return the quickest of several audits: its seconds, the process's cost, what was found."""
    done = [measure([sys.executable, "-m", "bench.gate", way], os.environ) for _ in range(TIMES)]
    told = [(json.loads(each.stdout.splitlines()[-1]), each) for each in done]
    said, cost = min(told, key=lambda pair: float(pair[0]["seconds"]))
    return float(said["seconds"]), cost, said["outcomes"]


def main() -> None:
    """Print the report.

    Raises:
        SystemExit: nothing is published in the home, or the two find different things.
    """
    from ingest.home import Home

    database: Path = Home.from_environment().warehouse / "oretrace.duckdb"
    if not database.exists():
        raise SystemExit(f"bench: {database} is not there; run oretrace run first. Nothing was measured.")
    alone, by_helpers = least("alone"), least("helpers")
    if alone[2] != by_helpers[2]:
        raise SystemExit("bench: the gate finds other things with helpers than alone.")
    for name, (seconds, cost, _) in (("gate alone", alone), ("gate with helpers", by_helpers)):
        print(f"{name:<18} {seconds:6.1f} s, process {cost.cpu_seconds:5.1f} of the processor {cost.peak_mb:6.0f} MB")
    print(f"helpers take {by_helpers[0] / alone[0]:.2f} of the time alone, on {os.cpu_count()} cores")


if __name__ == "__main__":
    one(sys.argv[1]) if len(sys.argv) > 1 else main()
