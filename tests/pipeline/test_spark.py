"""The whole job on a real Spark cluster whose worker is killed in mid-run, beside the same job on DuckDB.

Takes about ten minutes of two idle cores: ``make scale``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.candidate import hash_of
from orchestration.publish import PublishRefused, publish
from tests.pipeline.conftest import ORETRACE, oretrace
from tests.spark_cluster import WORKERS, Cluster, cluster, needed

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("spark")]

SUITES = Path(__file__).resolve().parents[2] / "expectations" / "suites"
RELATIVE = 1e-9
MODELS_BEFORE_THE_KILL = 8
RUN_S = 3600.0


@dataclass(frozen=True)
class Both:
    """A home in which DuckDB published first and Spark after it, and what the run on Spark said."""

    home: Path
    cluster: Cluster
    duckdb: Path
    spark: Path
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    needed()
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="module")
def both(
    running: Cluster,
    first_run: tuple[Path, subprocess.CompletedProcess[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Both:
    """``oretrace run --engine spark`` in a copy of the first home; one of two workers dies while models are built."""
    home = tmp_path_factory.mktemp("spark") / "home"
    shutil.copytree(first_run[0], home, symlinks=True)
    before = _published(home)
    assert running.alive() == WORKERS
    run = subprocess.Popen(
        [str(ORETRACE), "run", "--engine", "spark", "--remote", running.remote, "--force"],
        env={**os.environ, "ORETRACE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        running.wait("the eighth table", lambda: _tables_built(home, run) >= MODELS_BEFORE_THE_KILL, RUN_S)
        assert [worker["coresused"] for worker in _workers(running)] == [1] * WORKERS, "both workers have an executor"
        running.kill_worker(1)
        out, err = run.communicate(timeout=RUN_S)
    finally:
        run.kill()
    done = subprocess.CompletedProcess(run.args, run.returncode, out, err)
    return Both(home, running, before, _published(home), done)


def _published(home: Path) -> Path:
    return (home / "warehouse" / "oretrace.duckdb").resolve().parent


def _tables_built(home: Path, run: subprocess.Popen[str]) -> int:
    assert run.poll() is None, run.communicate()
    return len(list((home / "build" / "spark").glob("int_*/_SUCCESS")))


def _workers(running: Cluster) -> list[dict[str, Any]]:
    return [worker for worker in running.state()["workers"] if worker["state"] == "ALIVE"]


def test_a_run_completes_although_one_of_two_workers_is_killed(both: Both) -> None:
    assert both.done.returncode == 0, both.done.stderr
    assert both.cluster.alive() == WORKERS - 1
    assert both.spark != both.duckdb, "the run published a release of its own"
    certificate = json.loads((both.spark / "certificate.json").read_text())
    assert certificate["passed"] is True
    assert " on Spark " in certificate["gate"]["engine"]
    assert certificate["inputs"]["parts"]["settings"]["engine"] == "spark"


def test_every_mart_equals_duckdbs_row_by_row(both: Both) -> None:
    names = sorted(path.name for path in both.duckdb.glob("*.parquet"))
    assert len(names) > 20
    assert sorted(path.name for path in both.spark.glob("*.parquet")) == names
    assert {name: differing_rows(both.duckdb / name, both.spark / name) for name in names} == {
        name: [] for name in names
    }


def differing_rows(expected: Path, found: Path) -> list[Any]:
    """The first rows that are not the same: figures within 1e-9 of each other, everything else equal, types too."""
    with duckdb.connect() as db:
        here, there = db.read_parquet(str(expected)), db.read_parquet(str(found))
        if (here.columns, here.types) != (there.columns, there.types):
            return [(here.columns, here.types), (there.columns, there.types)]
        figures = [name for name, kind in zip(here.columns, here.types, strict=True) if str(kind) == "DOUBLE"]
        others = [name for name in here.columns if name not in figures]
        # Rows are paired by all that is no figure; where that repeats, by the order of their rounded figures.
        order = ", ".join([*(f'"{name}"' for name in others), *(f'round("{name}", 6)' for name in figures)])
        one, other = (rows.order(order).fetchall() for rows in (here, there))
        if len(one) != len(other):
            return [len(one), len(other)]
        return [(a, b) for a, b in zip(one, other, strict=True) if not all(map(_same, a, b))][:3]


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= RELATIVE * max(abs(one), abs(other))
    return one == other


def test_a_figure_that_is_off_by_more_is_found(both: Both, tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    concentration = both.duckdb / "mart_stage_concentration.parquet"
    duckdb.sql(
        f"select * replace (case when row_number() over () = 7 then hhi_low * (1 + 3e-9) else hhi_low end as hhi_low) "
        f"from '{concentration}'"
    ).write_parquet(str(other))
    assert len(differing_rows(concentration, other)) == 1


def test_spark_and_pandas_find_the_same_in_every_check(both: Both) -> None:
    outcomes = {}
    for release in (both.duckdb, both.spark):
        gate = json.loads((release / "certificate.json").read_text())["gate"]
        outcomes[release] = {(o["mart"], o["check"]): (o["status"], o["rows"]) for o in gate["outcomes"]}
    assert outcomes[both.duckdb].keys() == outcomes[both.spark].keys()
    # The first release has none before it to be compared with.
    compared = [key for key, (status, _) in outcomes[both.duckdb].items() if status != "skipped"]
    assert len(compared) > 300
    differing = {key for key in compared if outcomes[both.duckdb][key] != outcomes[both.spark][key]}
    assert not differing
    assert not [key for key, (status, _) in outcomes[both.spark].items() if status == "skipped"]


def test_a_release_of_spark_is_verified_and_queried_like_any_other(both: Both) -> None:
    verified = oretrace("verify", home=both.home)
    assert verified.returncode == 0, verified.stderr
    sql = "select count(*) as n, round(sum(processed_in_share), 6) as s from mart_supplier_exposure"
    answer = oretrace("query", sql, "--format", "csv", home=both.home)
    assert answer.returncode == 0, answer.stderr
    expected = duckdb.sql(sql.replace("mart_supplier_exposure", f"'{both.duckdb}/mart_supplier_exposure.parquet'"))
    row = expected.fetchone()
    assert row is not None
    assert answer.stdout.splitlines()[1] == f"{row[0]},{row[1]}"


def test_nothing_is_left_on_the_cluster(both: Both) -> None:
    from expectations.spark_frames import session

    names = {row[0] for row in session(both.cluster.remote).sql("show schemas").collect()}
    assert not {name for name in names if name.startswith("oretrace_")}
    assert not (both.home / "build" / "spark").exists()


def test_a_planted_error_is_refused_on_spark(both: Both, tmp_path: Path) -> None:
    from expectations.adapter import run_suites
    from expectations.rules import load_suite

    planted = tmp_path / "candidate"
    shutil.copytree(both.home / "build" / "candidate", planted)
    mart = planted / "mart_supplier_exposure.parquet"
    duckdb.sql(
        "select * replace (case when importer = 'DEU' and country = 'CHN' and year = 2024 then import_share * 100 "
        f"else import_share end as import_share) from '{both.spark / mart.name}'"
    ).write_parquet(str(mart))
    suites = [load_suite(SUITES / f"{mart.stem}.yaml")]
    report = run_suites(planted, suites, both.duckdb / "oretrace.duckdb", both.cluster.remote)
    assert not report.passed
    failed = {outcome.check: outcome for outcome in report.failures}
    assert failed["share_within_0_and_1"].sample, report.failure_lines()
    # The certificate of the sound candidate does not open the door for the planted one.
    with pytest.raises(PublishRefused, match="changed after its audit"):
        publish(planted, both.home / "build" / "certificate.json", both.home / "warehouse")
    assert _published(both.home) == both.spark
    assert hash_of(planted) != hash_of(both.home / "build" / "candidate")


KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ExpectColumnPairValuesAToBeGreaterThanB": (
        {"column_A": "high", "column_B": "low"},
        {"column_A": "low", "column_B": "high"},
    ),
    "ExpectColumnValueLengthsToBeBetween": (
        {"column": "name", "min_value": 1},
        {"column": "name", "min_value": 2},
    ),
    "ExpectColumnValuesToBeBetween": (
        {"column": "low", "min_value": 0, "max_value": 2},
        {"column": "low", "min_value": 0, "max_value": 1},
    ),
    "ExpectColumnValuesToBeInSet": (
        {"column": "name", "value_set": ["a", "b"]},
        {"column": "name", "value_set": ["a"]},
    ),
    "ExpectColumnValuesToBeUnique": ({"column": "name"}, {"column": "same"}),
    "ExpectColumnValuesToMatchRegex": ({"column": "name", "regex": "^[ab]$"}, {"column": "name", "regex": "^a$"}),
    "ExpectColumnValuesToNotBeInSet": (
        {"column": "name", "value_set": ["z"]},
        {"column": "name", "value_set": ["b"]},
    ),
    "ExpectColumnValuesToNotBeNull": ({"column": "name"}, {"column": "gap"}),
    "ExpectCompoundColumnsToBeUnique": ({"column_list": ["name", "same"]}, {"column_list": ["same", "low_too"]}),
    "ExpectTableRowCountToBeBetween": ({"min_value": 1, "max_value": 9}, {"min_value": 3}),
    "ExpectTableRowCountToEqual": ({"value": 2}, {"value": 0}),
}


def test_each_kind_of_expectation_passes_and_fails_as_it_should_on_spark(running: Cluster, tmp_path: Path) -> None:
    from expectations.adapter import run_suites
    from expectations.rules import Check, Suite, load_suites

    assert {check.expect for suite in load_suites() for check in suite.checks} <= KINDS.keys()
    duckdb.sql(
        "select * from (values ('a', 'x', 1.0::double, 1.0::double, 3.0::double, null), "
        "('b', 'x', 2.0::double, 1.0::double, 4.0::double, 'g')) as t (name, same, low, low_too, high, gap)"
    ).write_parquet(str(tmp_path / "small.parquet"))
    checks = [
        Check(name=f"{kind}.{wanted}", expect=kind, arguments=arguments, reason="a test", key=("name",))
        for kind, both_ways in KINDS.items()
        for wanted, arguments in zip(("passed", "failed"), both_ways, strict=True)
    ]
    lost = Check(name="lost.failed", expect="ExpectColumnValuesToBeUnique", arguments={"column": "z"}, reason="a test")
    wrong = Check(
        name="unreadable.failed",
        expect="ExpectTableRowCountToEqual",
        arguments={"value": 0},
        reason="a test",
        query="select * from no_such_table",
    )
    report = run_suites(tmp_path, [Suite("small", (*checks, lost, wrong))], remote=running.remote)
    assert {o.check: o.status for o in report.outcomes} == {
        o.check: o.check.rpartition(".")[2] for o in report.outcomes
    }
    assert len(report.outcomes) == 2 * len(KINDS) + 2
