"""Loading the definitions beside the plain alternative in the same run.

What belongs here: what every webserver, daemon, code server and run pays before it does anything. What
does not: assertions; these machines are noisy.

``python -m bench.load`` from the project folder. "Warm" means: the dbt manifest is there and every file
was read before; each figure is the least of several processes.
"""

from __future__ import annotations

import os
import sys
import tempfile

from bench.measure import Measured, measure

TIMES = 3
LIMIT = 5.0
TOOLS = "import dagster, dagster_dbt"
# Everything that a code server resolves: assets, checks, jobs, schedules, sensors.
LOAD = (
    "from orchestration.definitions import defs; repository = defs.get_repository_def(); "
    "graph = repository.asset_graph; print(len(graph.materializable_asset_keys), len(list(graph.asset_check_keys)), "
    "len(repository.schedule_defs), len(repository.sensor_defs))"
)


def least(command: list[str], environment: dict[str, str]) -> Measured:
    """Return the quickest of several processes."""
    return min((measure(command, environment) for _ in range(TIMES)), key=lambda found: found.seconds)


def main() -> None:
    """Print the report."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ORETRACE_HOME": folder, "DAGSTER_DISABLE_TELEMETRY": "yes"}
        python = sys.executable
        measure([python, "-c", LOAD], environment)  # parses the dbt project
        tools, loaded = least([python, "-c", TOOLS], environment), least([python, "-c", LOAD], environment)
        print(f"import dagster, dagster_dbt   {tools.seconds:6.2f} s, {tools.cpu_seconds:.2f} of the processor "
              f"{tools.peak_mb:6.0f} MB")  # fmt: skip
        print(f"load all definitions          {loaded.seconds:6.2f} s, {loaded.cpu_seconds:.2f} of the processor "
              f"{loaded.peak_mb:6.0f} MB, "
              f"{loaded.seconds / tools.seconds:.1f} times the tools alone, limit {LIMIT:g} s")  # fmt: skip
        counts = loaded.stdout.split()
        print("  {} assets, {} checks, {} schedules, {} sensors".format(*counts))


if __name__ == "__main__":
    main()
