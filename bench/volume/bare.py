"""The plain alternative: DuckDB alone reads the same files, keeps the mapped codes, and adds up by stage.

What belongs here: that one query and its cost. What does not: proof, units, weights, bounds and provenance, which
the job's own stations bring beside it.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path

import duckdb

from bench.volume.stations import peak_mb
from ingest.home import REFERENCE

TYPES = "{'t': 'SMALLINT', 'i': 'SMALLINT', 'j': 'SMALLINT', 'k': 'INTEGER', 'v': 'DOUBLE', 'q': 'VARCHAR'}"


def mapped() -> list[tuple[int, str, str]]:
    """Return every six-digit code of the stage map with each material and stage that it holds."""
    with (REFERENCE / "hs_stage.csv").open(encoding="utf-8", newline="") as stream:
        rows = [(row["hs_code"], row["material"], row["stage"]) for row in csv.DictReader(stream)]
    return [(int(code), material, stage) for code, material, stage in rows if len(code) == 6]


def aggregate(folder: Path, target: Path) -> int:
    """Write value and weight by year, pair, material and stage; return the rows."""
    db = duckdb.connect()
    db.execute("set enable_progress_bar = false")
    db.execute("create table mapped (k integer, material varchar, stage varchar)")
    db.executemany("insert into mapped values (?, ?, ?)", mapped())
    files = f"{folder}/BACI_HS*_Y*.csv"
    db.execute(
        f"""
        copy (
            select t as year, i as exporter, j as importer, material, stage,
                sum(v * 1000) as value_usd, sum(try_cast(trim(q) as double)) as quantity_gross_t
            from read_csv('{files}', header = true, columns = {TYPES}) inner join mapped using (k)
            group by all
        ) to '{target}' (format parquet)
        """
    )
    (rows,) = db.execute(f"select count(*) from '{target}'").fetchall()
    return int(rows[0])


if __name__ == "__main__":
    begun = time.perf_counter()
    spent = time.process_time()
    count = aggregate(Path(sys.argv[1]), Path(sys.argv[2]))
    said = {
        "station": "duckdb alone",
        "seconds": round(time.perf_counter() - begun, 2),
        "processor_seconds": round(time.process_time() - spent, 2),
        "start_seconds": 0.0,
        "peak_mb": round(peak_mb()),
        "rows": count,
        "refused": [],
    }
    print(json.dumps(said))
