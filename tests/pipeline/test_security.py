"""No secret in anything that a run writes or prints; nobody beyond this machine is listened to."""

from __future__ import annotations

import base64
import ipaddress
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import duckdb
import psutil
import pytest

from tests.pipeline.conftest import ORETRACE, PLANTED, SECRETS, oretrace
from tests.pipeline.instance import free_port

pytestmark = pytest.mark.xdist_group("pipeline")

Run = tuple[Path, subprocess.CompletedProcess[str]]
START_S = 180


def test_no_secret_of_the_environment_is_in_files_databases_logs_or_output(first_run: Run) -> None:
    home, done = first_run
    encoded = [base64.b64encode(value.encode())[:-4] for value in SECRETS.values() if PLANTED in value]
    looked = 0
    for path in home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert PLANTED.encode() not in content, path
            assert not any(form in content for form in encoded), path
            looked += 1
    assert looked > 100
    assert any(path.suffix == ".db" for path in (home / "dagster").rglob("*"))
    assert PLANTED not in done.stdout + done.stderr


def test_no_secret_is_in_a_compressed_table(first_run: Run) -> None:
    file = (first_run[0] / "warehouse" / "oretrace.duckdb").resolve()
    with duckdb.connect(str(file), read_only=True) as db:
        tables = [name for (name,) in db.execute("select table_name from duckdb_tables()").fetchall()]
        assert len(tables) > 10
        for table in tables:
            found = db.execute(f"select count(*) from {table} t where contains(t::varchar, '{PLANTED}')").fetchone()
            assert found == (0,), table


def test_a_query_cannot_show_the_environment(first_run: Run) -> None:
    for sql in ("from duckdb_settings()", "select getenv('GITHUB_TOKEN')", "from read_text('/proc/self/environ')"):
        done = oretrace("query", sql, "--format", "csv", home=first_run[0], environment=SECRETS)
        assert PLANTED not in done.stdout + done.stderr
        assert done.returncode == (0 if "settings" in sql else 2)


def test_the_dagster_ui_listens_on_loopback_only(tmp_path: Path) -> None:
    port = free_port()
    log = (tmp_path / "log").open("w+")
    with subprocess.Popen(
        [str(ORETRACE), "ui", "--port", str(port)],
        env={**os.environ, "ORETRACE_HOME": str(tmp_path / "home")},
        stdout=log,
        stderr=subprocess.STDOUT,
        process_group=0,
    ) as ui:
        try:
            until = time.monotonic() + START_S
            while not answers(port):
                assert ui.poll() is None and time.monotonic() < until, Path(log.name).read_text()[-2000:]
                time.sleep(1)
            family = [psutil.Process(ui.pid), *psutil.Process(ui.pid).children(recursive=True)]
            heard = [
                connection.laddr
                for process in family
                for connection in process.net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            ]
        finally:
            os.killpg(ui.pid, signal.SIGTERM)
            try:
                ui.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(ui.pid, signal.SIGKILL)
    assert port in {address.port for address in heard}
    assert [address for address in heard if not ipaddress.ip_address(address.ip).is_loopback] == []


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as page:
            return bool(page.status == 200)
    except OSError:
        return False
