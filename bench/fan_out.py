"""An ensemble in one process beside the same by two workers: wall time, processor time, equal files.

What belongs here: the two contenders in one run, the clock, and the comparison of every byte. What does not:
workers that are killed (``tests.pipeline.test_fan_out``).

Run ``python -m bench.fan_out`` from the project folder, in a home in which the job has run. It starts a RabbitMQ
and workers of its own on loopback, and ends them. Where these cannot be had it says what is missing, and measures
nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.measure import Measured, measure
from ingest.home import Home
from ingest.vintages import sha256_of
from tests.pipeline.broker import MISSING, ORETRACE, Broker, Workers


@dataclass(frozen=True)
class Contender:
    """One way through the ensemble: the command, the processor seconds of its workers, hashes of its files."""

    command: Measured
    workers_cpu: float
    files: dict[str, str]

    @property
    def cpu(self) -> float:
        """Processor seconds of everything."""
        return self.command.cpu_seconds + self.workers_cpu


def copied(home: Home, folder: Path) -> Path:
    """Return a new home with the canonical tables alone."""
    shutil.copytree(home.canonical, folder / "canonical")
    return folder


def hashes(home: Path) -> dict[str, str]:
    """Return the hash of every file of the ensemble."""
    root = home / "build" / "ensemble"
    return {str(path.relative_to(root)): sha256_of(path) for path in sorted(root.rglob("*.parquet"))}


def one_process(home: Path, arguments: Sequence[str]) -> Contender:
    """Compute everything in the command itself."""
    environment = {name: value for name, value in os.environ.items() if name != "ORETRACE_BROKER"}
    done = measure([str(ORETRACE), "ensemble", *arguments], environment | {"ORETRACE_HOME": str(home)})
    return Contender(done, 0.0, hashes(home))


def by_workers(home: Path, arguments: Sequence[str], count: int) -> Contender:
    """Hand everything to workers; their start is off the clock, their processor time is not."""
    broker = Broker()
    environment = os.environ | {"ORETRACE_HOME": str(home), "ORETRACE_BROKER": broker.url}
    workers = Workers(environment, home)
    try:
        broker.start()
        workers.start(*(f"worker{number}" for number in range(1, count + 1)))
        done = measure([str(ORETRACE), "ensemble", *arguments], environment)
        families = [psutil.Process(process.pid) for process in workers.running.values()]
        every = [one for family in families for one in (family, *family.children(recursive=True))]
        spent = sum(sum(one.cpu_times()[:4]) for one in every)
        return Contender(done, spent, hashes(home))
    finally:
        workers.stop_all()
        broker.remove()


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--draws", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--material", action="append", default=[], help="only these; all by default")
    asked = parser.parse_args()
    home = Home.from_environment()
    missing = MISSING or (None if home.canonical.is_dir() else f"no canonical tables in {home.root}: oretrace run")
    if missing:
        print(f"bench: {missing}; nothing was measured", file=sys.stderr)
        sys.exit(2)
    arguments = ["--draws", str(asked.draws), *(word for name in asked.material for word in ("--material", name))]
    with tempfile.TemporaryDirectory() as folder:
        begun = time.strftime("%H:%M:%S")
        alone = one_process(copied(home, Path(folder) / "one"), arguments)
        print(alone.command.stdout.splitlines()[0], flush=True)
        several = by_workers(copied(home, Path(folder) / "several"), arguments, asked.workers)
        print(several.command.stdout.splitlines()[0], several.command.stdout.splitlines()[1], flush=True)
    if alone.files != several.files:
        differing = sorted(name for name in alone.files if alone.files[name] != several.files.get(name))
        raise SystemExit(f"bench: not the same files: {', '.join(differing) or 'some are missing'}")
    load = os.getloadavg()[2]
    print(
        f"{asked.draws:,} draws, {len(alone.files)} files, every byte equal; from {begun}, load {load:.1f} "
        f"on {os.cpu_count()} cores\n"
        f"one process: {alone.command.seconds:.0f} s, {alone.cpu:.0f} s of processor time, "
        f"{alone.command.peak_mb:,.0f} MB\n"
        f"{asked.workers} workers: {several.command.seconds:.0f} s, {several.cpu:.0f} s of processor time "
        f"({several.command.cpu_seconds:.0f} of them in the process that hands out)\n"
        f"ratio: wall {several.command.seconds / alone.command.seconds:.2f}, "
        f"processor {several.cpu / alone.cpu:.2f}"
    )


if __name__ == "__main__":
    main()
