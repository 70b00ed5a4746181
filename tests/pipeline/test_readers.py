"""Many readers while releases are published: none fails, none sees two releases at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from ingest.vintages import sha256_of
from orchestration.publish import publish, verify
from tests.candidates import build, certify

pytestmark = pytest.mark.xdist_group("readers")

READERS, RELEASES = 32, 20

# One process per reader, forked before any of them opens a database. Each opens the published release again and
# again, reads the number that every mart of a release holds, waits, and reads it again on the same connection.
READ = """
import json, os, sys, time
from pathlib import Path
import duckdb
import oretrace

target, results, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
os.environ["ORETRACE_HOME"] = str(target.parent)
IN_TABLES = (
    "select (select any_value(claim)::double from mart_claims), "
    "(select any_value(nir_pct) from mart_dependence_by_stage)"
)

def quiet(db):
    return db.execute("set enable_progress_bar = false; set threads = 1")
def own():
    return oretrace.connect(), IN_TABLES
def plain():
    return quiet(duckdb.connect(str(target / "oretrace.duckdb"), read_only=True)), IN_TABLES
def parquet():
    folder = (target / "current").resolve()
    return quiet(duckdb.connect()), (
        f"select (select any_value(claim)::double from '{folder}/mart_claims.parquet'), "
        f"(select any_value(nir_pct) from '{folder}/mart_dependence_by_stage.parquet')"
    )

def read(number):
    kind = (own, plain, parquet)[number % 3]
    said = {"kind": kind.__name__, "connections": 0, "seen": [], "errors": []}
    while not (results / "stop").exists():
        try:
            db, sql = kind()
            first = db.execute(sql).fetchone()
            time.sleep(0.05 * (number % 8))
            again = db.execute(sql).fetchone()
            db.close()
            if first[0] != first[1] or again != first:
                said["errors"].append(f"two releases in one connection: {first} {again}")
            said["connections"] += 1
            if first[0] not in said["seen"]:
                said["seen"].append(first[0])
        except Exception as error:
            said["errors"].append(f"{type(error).__name__}: {error}")
        (results / f"ready-{number}").touch()
        time.sleep(0.3)
    (results / f"{number}.json").write_text(json.dumps(said))

children = []
for number in range(count):
    child = os.fork()
    if child == 0:
        read(number)
        os._exit(0)
    children.append(child)
sys.exit(max(os.waitpid(child, 0)[1] for child in children))
"""


def numbered(folder: Path, number: int) -> Path:
    """Build and certify a candidate of which every mart holds the same number."""
    folder.mkdir()
    candidate = build(folder)
    with duckdb.connect(str(candidate)) as db:
        db.execute(f"update mart_claims set claim = '{number}'")
        db.execute(f"update mart_dependence_by_stage set nir_pct = {number}")
    certify(candidate)
    return candidate


def test_thirty_two_readers_during_twenty_publications_meet_no_error_and_see_one_release_each(tmp_path: Path) -> None:
    target, results = tmp_path / "home" / "warehouse", tmp_path / "results"
    results.mkdir()
    candidates = [numbered(tmp_path / str(number), number) for number in range(RELEASES + 1)]
    publish(candidates[0], candidates[0].parent / "certificate.json", target)
    arguments = [str(target), str(results), str(READERS)]
    with subprocess.Popen([sys.executable, "-c", READ, *arguments], stderr=subprocess.PIPE, text=True) as readers:
        try:
            while len([*results.glob("ready-*")]) < READERS:
                assert readers.poll() is None, readers.communicate()[1]
                time.sleep(0.1)
            hashes = {}
            for candidate in candidates[1:]:
                release = publish(candidate, candidate.parent / "certificate.json", target)
                hashes[release.version] = sha256_of(release.database)
        finally:
            (results / "stop").touch()
            said_at_end = readers.communicate(timeout=60)[1]
    assert readers.returncode == 0, said_at_end
    said = [json.loads((results / f"{number}.json").read_text()) for number in range(READERS)]
    assert [error for reader in said for error in reader["errors"]] == []
    assert len(hashes) == RELEASES
    assert verify(target) == (RELEASES + 1, [])
    for kind in ("own", "plain", "parquet"):
        mine = [reader for reader in said if reader["kind"] == kind]
        assert len({number for reader in mine for number in reader["seen"]}) > RELEASES / 2
        assert all(reader["seen"] == sorted(reader["seen"]) for reader in mine), "a reader went back in time"
        assert all(reader["connections"] > 1 for reader in mine)
    print(f"{sum(reader['connections'] for reader in said)} connections of {READERS} readers, 0 errors")
