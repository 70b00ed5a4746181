"""The site of a release: seconds, processor seconds, bytes; beside every mart written as CSV.

What belongs here: building from a published release, as publication does. What does not: how good the pages are
(``tests/pipeline/test_site.py``).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from ingest.home import Home
from orchestration.publish import current_release
from orchestration.site import write_site

MOST_SECONDS, MOST_BYTES, FIRST_PAGE = 15.0, 25_000_000, 300_000


def plain(database: Path, folder: Path) -> None:
    """Write every published table as CSV, the plain way to hand all of it over."""
    with duckdb.connect(str(database), read_only=True) as db:
        db.execute("set enable_progress_bar = false")
        tables = db.execute("select table_name from duckdb_tables() where not internal").fetchall()
        for (table,) in tables:
            db.execute(f"copy {table} to '{folder / table}.csv' (header)")


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and processor seconds of a piece of work."""
    begun, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - busy


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Measure on the release of ``ORETRACE_HOME``; without one, run the job first."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home, folder = Home.from_environment(), Path(scratch)
        if current_release(home.warehouse) is None:
            home = Home(folder / "home")
            environment = {**os.environ, "ORETRACE_HOME": str(home.root)}
            subprocess.run([Path(sys.executable).with_name("oretrace"), "run"], env=environment, check=True)
        release = current_release(home.warehouse)
        assert release is not None  # noqa: S101  # the run published one or failed
        database, site, tables = release.database, folder / "site", folder / "tables"
        tables.mkdir()
        for kept in home.build.glob("vega-*.js"):
            kept.unlink()
        wall, busy = timed(lambda: write_site(home, database, site))
        again, again_busy = timed(lambda: write_site(home, database, site))
        csv_wall, csv_busy = timed(lambda: plain(database, tables))
        first = sum((site / name).stat().st_size for name in FIRST)
        print(f"site        {wall:6.1f} s  {busy:5.1f} s of processor  {size(site) / 1e6:6.1f} MB (first build)")
        print(f"site again  {again:6.1f} s  {again_busy:5.1f} s of processor  charting script kept from before")
        print(f"all as CSV  {csv_wall:6.1f} s  {csv_busy:5.1f} s of processor  {size(tables) / 1e6:6.1f} MB")
        print(f"first page  {first / 1e3:6.1f} kB without the charting script (at most {FIRST_PAGE / 1e3:.0f})")
        # Processor seconds are what the wall shows on an idle machine; other work on it must not fail the bound.
        ratio = again_busy / csv_busy
        print(f"bounds: {MOST_SECONDS:.0f} s of processor, {MOST_BYTES / 1e6:.0f} MB; time is {ratio:.1f} of the CSV's")
        if max(busy, again_busy) > MOST_SECONDS or size(site) > MOST_BYTES or first > FIRST_PAGE:
            sys.exit("over a bound")


FIRST = ("index.html", "assets/style.css", "assets/app.js", "assets/specs.js", "assets/names.js")

if __name__ == "__main__":
    main()
