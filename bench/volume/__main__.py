"""``python -m bench.volume --years 1 4 10 28``: the job on releases of BACI's size, station by station.

What belongs here: one size after the other, and where the report goes. What does not: stations, arithmetic.

Everything is written below ``--scratch`` (28 years take about 20 GB) and removed again, but for the report. A station
that cannot run ends the bench with what it said; nothing is reported that was not measured.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import psutil

from bench.measure import measure
from bench.volume.curve import BARE, KEEP, QUERY, Point, report
from bench.volume.output import fill_older_years
from bench.volume.release import VERSION, write_release
from bench.volume.stations import selections
from ingest.home import PROJECT

PACKAGES = ("polars", "duckdb", "dagster", "dbt-core", "great-expectations", "pyarrow", "numpy")
ASKED = (
    "select stage, year, country, processed_in_share from mart_supplier_exposure "
    "where importer = 'DEU' and material = 'rare_earths' order by processed_in_share desc nulls last limit 20"
)
SAME = ("machine", "system", "versions", "rows as a share of BACI's")
BYTES_A_YEAR = 760_000_000  # the files, and the copy that is kept as a raw vintage


def main() -> None:
    """Measure every size and write ``curve.md`` and ``curve.json``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--years", type=int, nargs="+", default=[1, 4, 10, 28])
    parser.add_argument("--scale", type=float, default=1.0, help="rows as a share of BACI's; below 1 for a trial")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir(), "oretrace-bench-volume"))
    parser.add_argument("--to", type=Path, help="folder of the report; the scratch folder by default")
    parser.add_argument("--add", action="store_true", help="add to the sizes that the report there has already")
    parser.add_argument("--keep", action="store_true", help="leave releases and homes where they are")
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    _needs_room(options.scratch, max(options.years), options.scale)
    target = options.to or options.scratch
    target.mkdir(parents=True, exist_ok=True)
    known = machine() | {"rows as a share of BACI's": options.scale}
    points = measured_before(target / "curve.json", known) if options.add else []
    for years in sorted(options.years):
        point = measure_size(years, options.scale, options.scratch, keep=options.keep)
        points = sorted([*(one for one in points if one.years != years), point], key=lambda one: one.years)
        known |= machine()
        (target / "curve.md").write_text(report(points, known), encoding="utf-8")
        (target / "curve.json").write_text(_as_json(points, known), encoding="utf-8")
    print((target / "curve.md").read_text(encoding="utf-8"))


def measured_before(path: Path, known: Mapping[str, Any]) -> list[Point]:
    """Read the sizes of a report.

    Raises:
        SystemExit: it is of another machine, of other versions or of another share of BACI's rows.
    """
    if not path.is_file():
        return []
    said = json.loads(path.read_text(encoding="utf-8"))
    if differing := [name for name in SAME if said["machine"].get(name) != known[name]]:
        raise SystemExit(f"bench: the sizes in {path} were measured with another {', '.join(differing)}.")
    return [Point(**one) for one in said["points"]]


def measure_size(years: int, scale: float, scratch: Path, *, keep: bool) -> Point:
    """Generate a release of so many years, run every station on it, and clean up."""
    release, home = scratch / f"release-{years}", scratch / f"home-{years}"
    begun = time.perf_counter()
    wanted = write_release(release, years, scale=scale)
    say(f"{years} years: {sum(wanted.values()):,} rows generated in {time.perf_counter() - begun:.0f} s")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    environment = {**os.environ, "ORETRACE_HOME": str(home), "ORETRACE_MODE": "live", "OPENBLAS_NUM_THREADS": "1"}
    found: dict[str, dict[str, Any]] = {}
    try:
        bare = [sys.executable, "-m", "bench.volume.bare", str(release), str(home / "bare.parquet")]
        found[BARE] = _child(BARE, bare, environment)
        found[KEEP] = _command(KEEP, ["raw", "add", "baci", VERSION, str(release)], environment)
        for name in selections():
            if name == "output":
                say(f"  output generated for {len(fill_older_years(home / 'canonical', list(wanted)))} years")
            found[name] = _child(name, [sys.executable, "-m", "bench.volume.stations", name], environment)
            if found[name]["refused"]:
                say(json.dumps(found, indent=1))
                raise SystemExit(f"bench: the gate refused at {years} years:\n" + "\n".join(found[name]["refused"]))
        asked = [_command(QUERY, ["query", ASKED], environment) for _ in range(3)]
        found[QUERY] = asked[0] | {"seconds": statistics.median(one["seconds"] for one in asked)}
        rows = sum(wanted.values())
        return Point(years, rows, found, _traced(home), len(list((home / "warehouse" / "site").rglob("*.html"))))
    finally:
        if not keep:
            shutil.rmtree(home, ignore_errors=True)
            shutil.rmtree(release, ignore_errors=True)


def _child(name: str, command: list[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Run one station in its own process and read the line it prints."""
    done = subprocess.run(command, env=dict(environment), cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bench: {name} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    say(f"  {name:<16} {said['seconds']:8.1f} s {said['peak_mb']:7,} MB {said['rows']:12,} rows")
    return said


def _command(name: str, arguments: list[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Run one command of the program, start and all."""
    program = str(Path(sys.executable).parent / "oretrace")
    done = measure([program, *arguments], environment)
    say(f"  {name:<16} {done.seconds:8.1f} s {done.peak_mb:7,.0f} MB")
    return {
        "station": name,
        "seconds": round(done.seconds, 2),
        "processor_seconds": round(done.cpu_seconds, 2),
        "start_seconds": 0.0,
        "peak_mb": round(done.peak_mb),
        "rows": 0,
        "refused": [],
    }


def _traced(home: Path) -> int:
    with duckdb.connect(str(home / "warehouse" / "oretrace.duckdb"), read_only=True) as db:
        rows = db.execute("select count(distinct year) from mart_exposure_via").fetchone()
    return int(rows[0]) if rows else 0


def _needs_room(scratch: Path, years: int, scale: float) -> None:
    free, needed = shutil.disk_usage(scratch).free, int(years * scale * BYTES_A_YEAR) + 5_000_000_000
    if free < needed:
        raise SystemExit(f"bench: {scratch} has {free / 1e9:.0f} GB free; {years} years need {needed / 1e9:.0f} GB.")


def machine() -> dict[str, Any]:
    """Say what was measured on."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    load = os.getloadavg()
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": versions,
        "measured": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processes waiting for a processor at the end (15 minutes)": f"{load[2]:.1f}",
    }


def _as_json(points: list[Point], known: Mapping[str, Any]) -> str:
    rows = [
        {"years": p.years, "rows": p.rows, "traced": p.traced, "pages": p.pages, "stations": p.stations} for p in points
    ]
    return json.dumps({"machine": known, "points": rows}, indent=1) + "\n"


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
