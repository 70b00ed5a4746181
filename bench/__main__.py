"""``make bench``: the whole job and a query, beside the tools alone.

What belongs here: what is reported. What does not: assertions; these machines are noisy.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

from bench.measure import Measured, measure

IMPORTS = {
    "polars": "polars",
    "duckdb": "duckdb",
    "dagster": "dagster",
    "dbt": "dbt.cli.main",
    "dagster-dbt": "dagster_dbt",
    "great-expectations": "great_expectations",
    "all of them": "polars, duckdb, dagster, dbt.cli.main, dagster_dbt, great_expectations",
}
STEP = re.compile(r"^  (\S+) +(?:[\d,]+ rows)? +([\d.]+) s")


def main() -> None:
    """Print the report."""
    here = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "ORETRACE_HOME": home}
        print("imports (one process each)")
        floor = {}
        for name, modules in IMPORTS.items():
            floor[name] = measure([sys.executable, "-c", f"import {modules}"], environment)
            print(f"  {name:<20} {floor[name].seconds:6.2f} s {floor[name].peak_mb:7.0f} MB")
        for title, more in (("first run (dbt parsed anew)", []), ("second run", ["--force"])):
            job = measure([str(here / "oretrace"), "run", *more], environment)
            report_job(title, job, floor["all of them"])
        idle = measure([str(here / "oretrace"), "run"], environment)
        bare = measure([sys.executable, "-c", "import click"], environment)
        said = idle.stdout.partition(":")[0]
        print(f"run again: {said}  {idle.seconds:5.2f} s   python with click {bare.seconds:.2f} s")
        sql = "select count(*) from mart_dependence_by_stage"
        ours = measure([str(here / "oretrace"), "query", sql], environment)
        file = Path(home, "warehouse", "oretrace.duckdb")
        plain = measure([sys.executable, "-c", f"import duckdb; duckdb.connect('{file}', read_only=True).execute('{sql}').fetchall()"], environment)  # fmt: skip  # noqa: E501
        print(f"oretrace query       {ours.seconds:6.2f} s   bare duckdb {plain.seconds:.2f} s   ratio {ours.seconds / plain.seconds:.1f}")  # fmt: skip  # noqa: E501
        size = sum(path.stat().st_size for path in Path(home, "warehouse").rglob("*") if path.is_file()) / 1e6
        print(f"warehouse folder     {size:6.1f} MB")


def report_job(title: str, job: Measured, floor: Measured) -> None:
    """Print one run of the whole job: total, where the time went, and the ratio to importing the tools."""
    print(f"whole job, {title}: {job.seconds:.1f} s, {job.cpu_seconds:.1f} s of processor, peak {job.peak_mb:.0f} MB, "
          f"{job.seconds / floor.seconds:.1f} times the imports alone")  # fmt: skip
    steps = {match[1]: float(match[2]) for line in job.stderr.splitlines() if (match := STEP.match(line))}
    groups = {
        "raw": lambda step: step.startswith("raw_"),
        "canonical": lambda step: step.startswith("canonical__"),
        "look-through of every chain": lambda step: step == "trace",
        "dbt build": lambda step: step == "dbt_build",
        "gate": lambda step: step == "gate",
        "publish": lambda step: step == "published",
    }
    spent = {name: sum(seconds for step, seconds in steps.items() if belongs(step)) for name, belongs in groups.items()}
    spent["imports, dbt parse, Dagster's own"] = job.seconds - sum(spent.values())
    for name, seconds in spent.items():
        print(f"  {name:<34} {seconds:6.1f} s")


if __name__ == "__main__":
    main()
