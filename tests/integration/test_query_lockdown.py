"""Reading the warehouse with SQL, and nothing else: what was tried, what it must not do, what still works."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

import oretrace
from ingest.errors import BadInput, OretraceError
from orchestration import query as query_module
from orchestration.publish import publish
from orchestration.query import QueryStopped, read_sql
from orchestration.warehouse import published_file
from tests.candidates import build, certify

pytestmark = pytest.mark.xdist_group("lockdown")

PLANTED = "planted-93c1f0"

# {db}: the published file; {wal}: its write-ahead log; {out}: a folder that may be written to; {note}: a file with a
# secret; {other}: another DuckDB file; {csv}, {parquet}: files beside it. Most would work on a plain connection.
WRITES = {
    "insert": "insert into mart_claims values ('x', 'y')",
    "insert_select": "insert into mart_claims select * from mart_claims",
    "update": "update mart_claims set verdict = 'reproduced'",
    "delete": "delete from mart_claims",
    "truncate": "truncate mart_claims",
    "merge": "merge into mart_claims a using mart_claims b on a.claim = b.claim when matched then delete",
    "drop": "drop table mart_claims",
    "alter": "alter table mart_claims add column x int",
    "comment": "comment on table mart_claims is 'x'",
    "index": "create index i on mart_claims(claim)",
    "create_table": "create table t as select 1",
    "create_view": "create view v as select 1",
    "create_schema": "create schema s",
    "create_macro": "create macro m() as 1",
    "create_type": "create type t as int",
    "create_sequence": "create sequence s",
    "cte_insert": "with x as (insert into mart_claims select * from mart_claims returning *) select * from x",
    "cte_delete": "with x as (delete from mart_claims returning *) select * from x",
    "explained_delete": "explain analyze delete from mart_claims",
    "copy_table": "copy mart_claims to '{out}/a.csv'",
    "copy_select": "copy (select 1) to '{out}/a.parquet' (format parquet)",
    "copy_over_database": "copy (select 1) to '{db}' (format csv, use_tmp_file false)",
    "copy_into_write_ahead_log": "copy (select 1) to '{wal}' (format csv)",
    "copy_into_spill_folder": "copy (select 1) to '{db}.tmp/a.csv'",
    "explained_copy": "explain analyze copy (select 1) to '{out}/a.csv'",
    "explained_copy_into_write_ahead_log": "explain (analyze) copy (select 1) to '{wal}' (format csv)",
    "commented_explained_copy": "/* a */ explain /* b */ analyze copy (select 1) to '{wal}' (format csv)",
    "copy_partitioned": "copy (select 1 as a) to '{out}/parts' (format parquet, partition_by (a))",
    "copy_to_standard_output": "copy (select 1) to '/dev/stdout'",
    "copy_into_table": "copy mart_claims from '{csv}'",
    "export": "export database '{out}/all'",
    "import": "import database '{out}'",
    "pragma_import": "pragma import_database('{out}')",
    "log_to_file": "call enable_logging(storage = 'file', storage_path = '{out}/log')",
    "profile_to_file": "pragma profiling_output = '{out}/profile.json'",
    "rejects_table": "from read_csv('{csv}', store_rejects = true)",
    "several": "select 1; copy (select 1) to '{out}/a.csv'",
    "several_with_comment": "select 1 /* ; */ ; delete from mart_claims -- ",
    "query_function": "from query('copy (select 1) to ''{out}/a.csv''')",
    "serialized": 'from json_execute_serialized_sql(\'{{"statements": [{{"node": "COPY"}}]}}\')',
}
OTHER_FILES = {
    "read_csv": "from read_csv('{csv}')",
    "read_csv_auto": "from read_csv_auto('{csv}')",
    "sniff_csv": "from sniff_csv('{csv}')",
    "read_text": "from read_text('{note}')",
    "read_blob": "from read_blob('{note}')",
    "read_own_bytes": "from read_blob('{db}')",
    "read_json": "from read_json('{note}')",
    "read_ndjson": "from read_ndjson_objects('{note}')",
    "read_parquet": "from read_parquet('{parquet}')",
    "parquet_scan": "from parquet_scan(['{parquet}'])",
    "parquet_metadata": "from parquet_metadata('{parquet}')",
    "parquet_schema": "from parquet_schema('{parquet}')",
    "parquet_kv_metadata": "from parquet_kv_metadata('{parquet}')",
    "parquet_file_metadata": "from parquet_file_metadata('{parquet}')",
    "parquet_bloom_probe": "from parquet_bloom_probe('{parquet}', 'a', 1)",
    "glob": "from glob('/*')",
    "file_as_table": "from '{csv}'",
    "quoted_file_as_table": 'select * from "{parquet}"',
    "query_table_of_file": "from query_table('{csv}')",
    "query_of_file": "from query('from read_text(''{note}'')')",
    "serialized_read": "from json_execute_serialized_sql(json_serialize_sql('from read_text(''{note}'')'))",
    "subquery": "select (select content from read_text('{note}'))",
    "lateral": "from range(3), lateral (from read_text('{note}'))",
    "cte": "with x as (from read_text('{note}')) from x",
    "file_url": "from read_text('file://{note}')",
    "read_duckdb": "from read_duckdb('{other}')",
    "database_as_table": "from '{other}'",
    "passwords": "from read_text('/etc/passwd')",
    "process_environment": "from read_text('/proc/self/environ')",
    "standard_input": "from read_csv('/dev/stdin')",
    "https": "from read_csv('https://127.0.0.1:9/a.csv')",
    "https_as_table": "from 'https://127.0.0.1:9/a.parquet'",
    "s3": "from read_parquet('s3://bucket/a.parquet')",
    "explained_read": "explain analyze from read_text('{note}')",
}
ELSEWHERE = {
    "attach": "attach '{other}' as o",
    "attach_new": "attach '{out}/new.duckdb' as o",
    "attach_itself_again": "attach '{db}' as o",
    "attach_write_ahead_log": "attach '{wal}' as o",
    "attach_memory": "attach ':memory:' as o",
    "attach_sqlite": "attach '{out}/x.db' (type sqlite)",
    "attach_https": "attach 'https://127.0.0.1:9/x.duckdb' as o",
    "detach": "detach warehouse",
    "use": "use memory",
    "copy_database": "copy from database oretrace to memory",
    "install": "install httpfs",
    "force_install": "force install httpfs from 'http://127.0.0.1:9'",
    "load": "load httpfs",
    "load_file": "load '{out}/x.duckdb_extension'",
    "update_extensions": "update extensions",
    "autoload": "from read_xlsx('{out}/x.xlsx')",
    "secret": "create secret s (type s3, key_id 'a', secret 'b')",
    "persistent_secret": "create persistent secret s (type http, bearer_token 'x')",
    "drop_secret": "drop secret s",
    "list_secrets": "from duckdb_secrets()",
    "which_secret": "from which_secret('s3://bucket', 's3')",
    "environment": "select getenv('PLANTED_SECRET')",
    "environment_table": "from environment()",
    "set_memory": "set memory_limit = '100GB'",
    "set_external_access": "set enable_external_access = true",
    "set_filesystems": "set disabled_filesystems = ''",
    "set_temp": "set temp_directory = '{out}'",
    "set_home": "set home_directory = '{out}'",
    "set_global": "set global threads = 64",
    "set_paths": "set allowed_directories = ['/']",
    "set_unsigned": "set allow_unsigned_extensions = true",
    "set_replacements": "set python_enable_replacements = true",
    "reset": "reset memory_limit",
    "reset_lock": "reset lock_configuration",
    "pragma": "pragma memory_limit = '100GB'",
    "pragma_profiling": "pragma enable_profiling = 'json'",
    "python_variable": "from planted_frame",
    "server_file": "select pg_read_file('/etc/passwd')",
}
# A plain DuckDB connection lets these be, because they stay within its memory; the command refuses them all the same.
NOT_A_READ = {
    "call": "call range(3)",
    "set_variable": "set variable a = 1",
    "temporary_table": "create temp table t as select 1",
    "explained_temporary_table": "explain analyze create temp table t as select 1",
    "checkpoint": "checkpoint",
    "vacuum": "vacuum",
    "transaction": "begin",
    "prepare": "prepare p as select 1",
    "logging": "call enable_logging()",
    "nothing": "",
    "semicolon": ";",
    "words": "selec 1",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with one small release, and files that nobody should read through it."""
    folder = tmp_path_factory.mktemp("place")
    candidate = build(folder)
    publish(candidate, certify(candidate), folder / "home" / "warehouse")
    (folder / "out").mkdir()
    (folder / "user").mkdir()
    (folder / "note.txt").write_text(PLANTED)
    with duckdb.connect(str(folder / "other.duckdb")) as db:
        db.execute(f"create table t as select '{PLANTED}' as claim, 'x' as verdict")
        db.execute(f"copy t to '{folder}/a.parquet'")
        db.execute(f"copy t to '{folder}/a.csv'")
    return folder


@pytest.fixture(autouse=True)
def untouched(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test tries, every file is as it was, and there is none that was not there."""
    monkeypatch.setenv("ORETRACE_HOME", str(place / "home"))
    monkeypatch.setenv("HOME", str(place / "user"))
    monkeypatch.setenv("PLANTED_SECRET", PLANTED)
    monkeypatch.chdir(place / "out")
    before = files(place)
    yield
    assert files(place) == before


def files(folder: Path) -> dict[str, str]:
    """Every path below a folder with the hash of what it holds."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def filled(sql: str, place: Path) -> str:
    file = published_file()
    return sql.format(
        db=file,
        wal=f"{file}.wal",
        out=place / "out",
        note=place / "note.txt",
        other=place / "other.duckdb",
        csv=place / "a.csv",
        parquet=place / "a.parquet",
    )


@pytest.mark.parametrize(
    "sql", [pytest.param(sql, id=name) for name, sql in (WRITES | OTHER_FILES | ELSEWHERE).items()]
)
def test_the_query_command_and_the_python_connection_refuse(place: Path, sql: str) -> None:
    planted_frame = pl.DataFrame({"a": [PLANTED]})
    with pytest.raises(BadInput) as refused:
        read_sql(filled(sql, place))
    assert PLANTED not in str(refused.value)
    with oretrace.connect() as db, pytest.raises(duckdb.Error) as error:
        db.execute(filled(sql, place)).fetchall()
    assert PLANTED not in str(error.value)
    assert planted_frame.height == 1


@pytest.mark.parametrize("sql", [pytest.param(sql, id=name) for name, sql in NOT_A_READ.items()])
def test_the_query_command_refuses_what_is_no_read(sql: str) -> None:
    with pytest.raises(BadInput):
        read_sql(sql)


def test_what_is_tried_is_harmful_where_nothing_is_locked_down(place: Path, tmp_path: Path) -> None:
    """The control: the same statements on plain DuckDB do read and write."""
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(published_file().read_bytes())
    reads = [*OTHER_FILES]
    for beyond in ("https", "https_as_table", "s3", "standard_input", "file_url", "read_ndjson", "read_json"):
        reads.remove(beyond)  # these need a network, a terminal, or another form of file
    reads.remove("parquet_bloom_probe")
    for name in [*reads, "attach", "attach_memory", "set_memory", "python_variable", "set_temp"]:
        with duckdb.connect(str(copy), read_only=name != "attach_memory") as db:
            planted_frame = pl.DataFrame({"a": [PLANTED]})
            db.execute(filled((OTHER_FILES | ELSEWHERE)[name], place)).fetchmany(1)
            assert planted_frame.height == 1
    for name in ("delete", "drop", "copy_table", "explained_copy", "export"):
        folder = tmp_path / name
        folder.mkdir()
        with duckdb.connect(str(copy)) as db:
            db.execute("begin")
            db.execute(WRITES[name].format(out=folder))
            db.execute("rollback")
        assert name in ("delete", "drop") or [*folder.iterdir()]


def test_settings_show_no_secret_and_the_locks_are_on(place: Path) -> None:
    shown = read_sql("select * from duckdb_settings()")
    assert PLANTED not in str(shown.rows())
    locks = {name: value for name, value, *_ in shown.rows()}
    assert locks["access_mode"] == "read_only"
    assert locks["lock_configuration"] == "true"
    assert locks["enable_external_access"] == "false"
    assert locks["temp_directory"] == ""
    assert locks["memory_limit"] == "1.8 GiB"


@pytest.mark.parametrize(
    "sql",
    [
        "select * from mart_claims",
        "from mart_claims",
        "with x as (from mart_claims) select count(*) from x",
        "describe mart_claims",
        "summarize mart_claims",
        "show tables",
        "explain select * from mart_claims",
        "explain analyze select * from mart_claims",
        "  EXPLAIN (analyze, format json)  select 1",
        "values (1), (2)",
        "pivot mart_claims on verdict in ('differs') using count(*)",
        "from query_table('mart_claims')",
        "select regexp_replace(claim, 'a', 'delete from x; drop') from mart_claims; ",
    ],
)
def test_every_kind_of_reading_still_works(sql: str) -> None:
    assert read_sql(sql).height > 0


def test_the_connection_opens_the_release_itself_and_several_may_be_open(place: Path) -> None:
    with oretrace.connect() as first, oretrace.connect() as second:
        where = "select path from duckdb_databases() where not internal"
        assert first.execute(where).fetchone() == second.execute(where).fetchone() == (str(published_file()),)
        assert oretrace.table("mart_claims").height == 2
    through_link = oretrace.connect(place / "home" / "warehouse" / "oretrace.duckdb")
    with through_link as db:
        assert db.execute(where).fetchone() == (str(published_file()),)


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from range(100000000000)",
        "select a.range, b.range from range(100000) a, range(100000) b where hash(a.range, b.range) % 1000 = 7",
    ],
    ids=["before the first row", "in mid-result"],
)
def test_a_query_that_would_run_for_ever_is_stopped(sql: str) -> None:
    with pytest.raises(QueryStopped, match=r"stopped after 0\.5 s"):
        read_sql(sql, seconds=0.5)


def test_a_query_that_would_take_all_memory_is_stopped_and_spills_nothing() -> None:
    with pytest.raises(QueryStopped, match="2GB of memory"):
        read_sql("select list(repeat('x', 10000) || range) from range(1000000)", seconds=120)
    with oretrace.connect(memory="50MB") as db, pytest.raises(duckdb.OutOfMemoryException):
        db.execute("select count(*) from (select distinct range, hash(range) from range(20000000))").fetchall()


def test_a_result_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_module, "LARGEST_RESULT", 10_000_000)
    with pytest.raises(QueryStopped, match=r"larger than 0\.01 GB"):
        read_sql("select * from range(100000000000)")


def test_limits_are_errors_for_people() -> None:
    assert issubclass(QueryStopped, OretraceError)
    assert QueryStopped.exit_code == 1
