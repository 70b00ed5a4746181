"""The command line on a published warehouse: answers, and one clear line for bad input."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest

import oretrace
from ingest.embedded import read_snapshot_table
from ingest.errors import BadInput
from ingest.home import SNAPSHOT
from orchestration.warehouse import connect
from tests.integration.test_serve import release
from tests.pipeline.conftest import oretrace as run

pytestmark = pytest.mark.xdist_group("pipeline")

Run = tuple[Path, subprocess.CompletedProcess[str]]


def test_query_answers_in_every_format(first_run: Run) -> None:
    home, _ = first_run
    sql = "select claim, verdict from mart_claims order by claim limit 3"
    table = run("query", sql, home=home).stdout
    csv = pl.read_csv(io.StringIO(run("query", sql, "--format", "csv", home=home).stdout))
    rows = json.loads(run("query", sql, "--format", "json", home=home).stdout)
    assert csv.height == 3
    assert csv.to_dicts() == rows
    assert all(row["claim"] in table for row in rows)


def test_query_as_parquet_into_a_pipe(first_run: Run, tmp_path: Path) -> None:
    home, _ = first_run
    from tests.pipeline.conftest import ORETRACE

    out = tmp_path / "out.parquet"
    with out.open("wb") as stream:
        subprocess.run(
            [str(ORETRACE), "query", "select * from mart_claims", "--format", "parquet"],
            env={"ORETRACE_HOME": str(home)}, stdout=stream, check=True,
        )  # fmt: skip
    assert pl.read_parquet(out).height > 30


@pytest.mark.parametrize(
    "sql",
    [
        "delete from mart_claims",
        "drop table mart_claims",
        "create table t as select 1",
        "insert into mart_claims select * from mart_claims",
        "copy mart_claims to 'out.csv'",
        "attach 'x.duckdb'",
        "install httpfs",
        "load httpfs",
        "set memory_limit = '1GB'",
        "select 1; select 2",
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from glob('/*')",
        "select content from read_text('/etc/passwd')",
        "select * from mart_nothing",
        "selec 1",
        "",
    ],
)
def test_sql_that_does_more_than_read_the_marts_is_refused(first_run: Run, sql: str) -> None:
    home, _ = first_run
    done = run("query", sql, home=home)
    assert done.returncode == 2, done.stdout
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_show_dependence_gives_shares_and_the_printed_token(first_run: Run) -> None:
    home, _ = first_run
    done = run("show", "dependence", "--importer", "USA", "--material", "rare_earths", "--stage", "compound", home=home)
    assert done.returncode == 0, done.stderr
    for text in ("China", "71", "Malaysia", "13", ">90", "2021-24", "usgs_mcs 2026"):
        assert text in done.stdout, done.stdout


def test_importer_and_material_may_be_given_by_name(first_run: Run) -> None:
    home, _ = first_run
    done = run("show", "dependence", "--importer", "united states", "--material", "Rare earths", home=home)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--importer", "UAS", "--material", "rare_earths"), "USA"),
        (("--importer", "USA", "--material", "rare_eaths"), "rare_earths"),
        (("--importer", "USA", "--material", "rare_earths", "--stage", "compoud"), "compound"),
        (("--importer", "USA", "--material", "rare_earths", "--year", "1066"), "2024"),
        (("--importer", "USA"), "--material"),
    ],
)
def test_an_unknown_word_gets_one_line_with_the_nearest(first_run: Run, arguments: tuple[str, ...], says: str) -> None:
    home, _ = first_run
    done = run("show", "dependence", *arguments, home=home)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_show_makers_gives_who_sold_and_who_made_the_imports(first_run: Run) -> None:
    home, _ = first_run
    asked = ("show", "makers", "--importer", "Germany", "--material", "Rare earths")
    done = run(*asked, "--all", "--json", home=home)
    assert done.returncode == 0, done.stderr
    shown = {row["country"]: row for row in json.loads(done.stdout)}
    with connect((home / "warehouse" / "oretrace.duckdb").resolve()) as db:
        marts = db.execute(
            "select country, 100 * import_share, 100 * import_made_in_share, 100 * made_in_share, "
            "100 * sum(face_value_share) filter (country <> importer) over () from mart_supplier_exposure "
            "where importer = 'DEU' and material = 'rare_earths' and stage = 'component' and year = 2024"
        ).fetchall()
    assert sum(row["made_pct"] or 0 for row in shown.values()) == pytest.approx(100, abs=0.5)
    for country, sold, made, of_supply, imported in marts:
        if made is not None and country != "DEU":
            # No magnets are recycled in the network; sellers of less than a millionth of supply are not in the mart.
            assert made == pytest.approx(100 * of_supply / imported, abs=1e-3)
            assert (shown[country]["sold_pct"], shown[country]["made_pct"]) == pytest.approx((sold, made), abs=0.051)
    assert shown["CHN"]["made_pct"] > shown["CHN"]["sold_pct"]
    assert "Rare earths, component: imports of Germany in 2024" in run(*asked, home=home).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--importer", "USA", "--material", "gallium"), "blind"),
        (("--importer", "USA", "--material", "rare_earths", "--stage", "mine"), "It is for: component 2023"),
        (("--importer", "USA", "--material", "rare_earths", "--year", "1066"), "component 2024"),
    ],
)
def test_makers_that_are_not_known_are_said_to_be_so(first_run: Run, arguments: tuple[str, ...], says: str) -> None:
    done = run("show", "makers", *arguments, home=first_run[0])
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_sources_fit_a_terminal_and_are_whole_on_request(first_run: Run) -> None:
    narrow, wide = (run("sources", *more, home=first_run[0]).stdout for more in ((), ("--wide",)))
    assert max(map(len, narrow.splitlines())) <= 120
    for column in ("source", "state", "next_tick"):
        assert column in narrow
    assert "licence" in wide
    assert "licence" not in narrow


def test_before_the_first_run_the_reader_is_told_what_to_do(tmp_path: Path) -> None:
    for command in (
        ("query", "select 1"),
        ("show", "dependence", "--importer", "USA", "--material", "tin"),
        ("verify",),
    ):
        done = run(*command, home=tmp_path)
        assert done.returncode == 2
        assert "oretrace run" in done.stderr


def test_a_release_of_another_version_is_told_in_one_line(tmp_path: Path) -> None:
    release(tmp_path, 1)  # holds none of the marts
    for command in (("show", "makers", "--importer", "DEU", "--material", "tin"), ("site", str(tmp_path / "site"))):
        done = run(*command, home=tmp_path)
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1
        assert "oretrace run" in done.stderr


def test_a_home_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("run", home=tmp_path / "file")
    assert done.returncode == 2
    assert "ORETRACE_HOME" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_missing_or_corrupt_snapshot_file_is_named_with_both_hashes(tmp_path: Path) -> None:
    copy = tmp_path / "snapshot"
    shutil.copytree(SNAPSHOT, copy)
    victim = copy / "raw_usgs_mcs__world.parquet"
    content = victim.read_bytes()
    victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(
        BadInput, match=r"raw_usgs_mcs__world\.parquet is corrupt: expected sha256 \w{64}, found \w{64}"
    ):
        read_snapshot_table("raw_usgs_mcs__world", copy)
    victim.unlink()
    with pytest.raises(BadInput, match=r"raw_usgs_mcs__world\.parquet is missing \(expected sha256 \w{64}\)"):
        read_snapshot_table("raw_usgs_mcs__world", copy)


def test_rollback_to_an_unknown_release_lists_those_there_are(first_run: Run) -> None:
    home, _ = first_run
    done = run("rollback", "1999", home=home)
    assert done.returncode == 2
    assert (home / "warehouse" / "oretrace.duckdb").resolve().parent.name in done.stderr


def test_python_access_is_read_only(first_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    home, _ = first_run
    monkeypatch.setenv("ORETRACE_HOME", str(home))
    frame = oretrace.table("mart_claims")
    assert frame.height > 30
    with oretrace.connect() as db, pytest.raises(Exception, match="read-only"):
        db.execute("delete from mart_claims")
    with pytest.raises(BadInput, match="mart_claims"):
        oretrace.table("mart_clams")
