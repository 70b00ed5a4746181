"""``oretrace serve``: what it gives, what it refuses, and one release per reader while another is published."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from ingest.vintages import sha256_of
from orchestration import publish as pub

ORETRACE = Path(sys.executable).with_name("oretrace")
ROWS = 300_000
# The wheel carries DuckDB's own extension; nothing is downloaded.
LOAD = """
import duckdb, duckdb_extension_httpfs, pathlib
found = next(pathlib.Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension"))
db = duckdb.connect()
db.execute(f"load '{found}'")
"""


def release(home: Path, value: int) -> str:
    """Publish a table of 300,000 rows that all hold ``value``; return the version."""
    candidate = home / "candidate.duckdb"
    candidate.unlink(missing_ok=True)
    with duckdb.connect(str(candidate)) as db:
        db.execute(
            f"create table mart_big as select i as id, {value} as value, hash(i + {value})::varchar as text "
            f"from range({ROWS}) as t (i)"
        )
    certificate = home / "certificate.json"
    pub.write_certificate(
        certificate, candidate, run_id="r", report={"passed": True, "checks": []}, vintages={"usgs_mcs": ["2026"]}
    )
    return pub.publish(candidate, certificate, home / "warehouse").version


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """The command at work on a home."""

    def __init__(self, home: Path, *options: str) -> None:
        self.port = free_port()
        self.log = home.with_name(f"{home.name}-serve-{self.port}.log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(ORETRACE), "serve", "--port", str(self.port), *options],
                env={**os.environ, "ORETRACE_HOME": str(home)}, stdout=log, stderr=log,
                # A shell that starts jobs in the background has them ignore Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )  # fmt: skip
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)
        raise AssertionError("it does not answer")

    def ask(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request, its path as it is: no client tidies it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, {name.lower(): text for name, text in response.getheaders()}, body

    def end(self, sign: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(sign)
        return self.process.wait(timeout=30)


@contextmanager
def serving(home: Path, *options: str) -> Iterator[Server]:
    server = Server(home, *options)
    try:
        yield server
    finally:
        server.end()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("served")
    release(home, 1)
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with serving(home, "-v") as running:
        yield running


def current(home: Path) -> pub.Release:
    found = pub.current_release(home / "warehouse")
    assert found is not None
    return found


def reader(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in another process that has DuckDB with its HTTP extension, as a user's would."""
    return subprocess.run([sys.executable, "-c", LOAD + code], capture_output=True, text=True, timeout=120, check=False)


def test_duckdb_elsewhere_reads_the_same_figures_and_only_the_bytes_it_needs(home: Path, server: Server) -> None:
    pytest.importorskip("duckdb_extension_httpfs", reason="the wheel of DuckDB's HTTP extension is not installed")
    version = current(home).version
    before = server.log.read_text().count(" 206 ")
    done = reader(
        f'print(db.sql("select count(*), sum(id), sum(value) from '
        f"'http://127.0.0.1:{server.port}/{version}/mart_big.parquet'\").fetchone())"
    )
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(current(home).database), read_only=True) as db:
        local = db.sql("select count(*), sum(id), sum(value) from mart_big").fetchone()
    assert done.stdout.strip() == str(local)
    assert server.log.read_text().count(" 206 ") - before >= 2


def test_the_duckdb_file_itself_can_be_attached_over_http(home: Path, server: Server) -> None:
    pytest.importorskip("duckdb_extension_httpfs", reason="the wheel of DuckDB's HTTP extension is not installed")
    done = reader(
        f"db.execute(\"attach 'http://127.0.0.1:{server.port}/current/oretrace.duckdb' as ore (read_only)\")\n"
        "print(db.sql('select count(*), min(value), max(value) from ore.mart_big').fetchone())"
    )
    assert done.stdout.strip() == f"({ROWS}, 1, 1)", done.stderr


def test_a_reader_never_mixes_two_releases(tmp_path: Path) -> None:
    pytest.importorskip("duckdb_extension_httpfs", reason="the wheel of DuckDB's HTTP extension is not installed")
    release(tmp_path, 1)
    first = current(tmp_path).version
    with serving(tmp_path, "-v") as server:
        code = (
            "import sys\n"
            "def ask(path):\n"
            "    try:\n"
            f'        return db.sql("select min(value), max(value) from \'http://127.0.0.1:{server.port}/" + path + '
            '"/mart_big.parquet\'").fetchone()\n'
            "    except duckdb.Error as error:\n"
            "        return str(error)\n"
            "while True:\n"
            f"    print(ask('{first}'), '|', ask('current'), flush=True)\n"
            "    if sys.stdin.readline() == '': break\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", LOAD + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as elsewhere:
            assert elsewhere.stdin
            assert elsewhere.stdout
            for value in range(1, 6):
                if value > 1:
                    release(tmp_path, value)
                    elsewhere.stdin.write("again\n")
                    elsewhere.stdin.flush()
                pinned, _, moving = elsewhere.stdout.readline().strip().partition(" | ")
                assert pinned == "(1, 1)"
                assert moving == f"({value}, {value})"
            elsewhere.stdin.close()


def test_ranges_before_and_after_a_publish_are_of_one_file_or_refused(tmp_path: Path) -> None:
    release(tmp_path, 1)
    with serving(tmp_path) as server:
        whole = (current(tmp_path).folder / "mart_big.parquet").read_bytes()
        status, headers, _ = server.ask("/current/mart_big.parquet")
        assert (status, headers["cache-control"]) == (307, "no-store")
        address = headers["location"]
        half = len(whole) // 2
        status, headers, start = server.ask(address, headers={"Range": f"bytes=0-{half - 1}"})
        assert (status, headers["content-range"]) == (206, f"bytes 0-{half - 1}/{len(whole)}")
        release(tmp_path, 2)
        status, _, rest = server.ask(address, headers={"Range": f"bytes={half}-", "If-Range": headers["etag"]})
        assert status == 206
        assert start + rest == whole
        moved = server.ask("/current/mart_big.parquet")[1]["location"]
        assert moved != address
        asked = {"Range": f"bytes={half}-", "If-Range": headers["etag"]}
        assert server.ask(moved, headers=asked)[0] == 200, "the rest of another file is no rest"
        assert server.ask(moved, headers={"If-Match": headers["etag"]})[0] == 412


def test_the_tag_of_a_file_is_its_hash_and_saves_a_second_download(home: Path, server: Server) -> None:
    path = current(home).folder / "mart_big.parquet"
    address = f"/{current(home).version}/mart_big.parquet"
    status, headers, body = server.ask(address, "HEAD")
    assert (status, body) == (200, b"")
    assert headers["etag"] == f'"{sha256_of(path)}"'
    assert headers["content-length"] == str(path.stat().st_size)
    assert headers["accept-ranges"] == "bytes"
    assert "immutable" in headers["cache-control"]
    status, _, body = server.ask(address, headers={"If-None-Match": headers["etag"]})
    assert (status, body) == (304, b"")
    assert server.ask(address, headers={"Range": "bytes=999999999-"})[0] == 416


OUTSIDE = [
    "/../candidate.duckdb", "/%2e%2e/candidate.duckdb", "/..%2fcandidate.duckdb", "/%252e%252e/candidate.duckdb",
    "/{v}/../../../candidate.duckdb", "/{v}/%2e%2e/%2e%2e/%2e%2e/candidate.duckdb",
    "/{v}/..%2f..%2f..%2fcandidate.duckdb",
    "/{v}/..\\..\\candidate.duckdb", "/{v}/%5c..%5c..%5ccandidate.duckdb", "/{v}//etc/passwd", "//etc/passwd",
    "/{v}/%00", "/{v}/link.txt", "/{v}/folder_link/secret.txt", "/{v}/.hidden", "/.partial-1/mart_big.parquet",
    "/{v}/mart_big.parquet/", "/{v}/mart_big.parquet/..", "/./{v}/mart_big.parquet", "/{v}/" + "a" * 5000,
    "/current/../../candidate.duckdb", "/current/%2e%2e/%2e%2e/candidate.duckdb", "/releases/{v}/mart_big.parquet",
]  # fmt: skip


def test_nothing_outside_the_releases_can_be_had(tmp_path: Path) -> None:
    version = release(tmp_path, 1)
    folder = tmp_path / "warehouse" / "releases" / version
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "secret.txt").write_text("candidate")
    (folder / "link.txt").symlink_to(tmp_path / "secrets" / "secret.txt")
    (folder / "folder_link").symlink_to(tmp_path / "secrets")
    (folder / ".hidden").write_text("candidate")
    (folder.parent / ".partial-1").mkdir()
    (folder.parent / ".partial-1" / "mart_big.parquet").write_text("candidate")
    (folder.parent / "linked").symlink_to(tmp_path / "secrets")
    with serving(tmp_path) as server:
        for pattern in [*OUTSIDE, "/linked/secret.txt"]:
            status, headers, body = server.ask(pattern.replace("{v}", version))
            if status == 307:  # to a path that is then refused as well
                status, _, body = server.ask(headers["location"])
            if pattern.endswith("mart_big.parquet/"):
                continue  # the file itself, whatever slash
            assert status in (400, 404), pattern
            assert b"candidate" not in body.replace(b"candidate.duckdb", b""), pattern
        assert server.ask(f"/{version}/mart_big.parquet")[0] == 200


def test_only_reading_is_possible_and_only_under_its_own_name(home: Path, server: Server) -> None:
    address = f"/{current(home).version}/mart_big.parquet"
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert server.ask(address, method)[0] == 405, method
    assert server.ask(address, "HEAD", {"Host": "evil.test"})[0] == 400
    status, headers, _ = server.ask(address, "HEAD", {"Origin": "https://evil.test"})
    assert status == 200
    assert "access-control-allow-origin" not in headers
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "server" not in headers


def test_pages_of_other_origins_may_read_where_that_is_asked_for(home: Path) -> None:
    with serving(home, "--cors") as server:
        address = f"/{current(home).version}/mart_big.parquet"
        asked = {"Origin": "https://a.test", "Range": "bytes=0-3"}
        status, headers, body = server.ask(address, headers=asked)
        assert (status, body, headers["access-control-allow-origin"]) == (206, b"PAR1", "*")
        assert "Content-Range" in headers["access-control-expose-headers"]
        asked = {"Origin": "https://a.test", "Access-Control-Request-Method": "GET"}
        assert server.ask(address, "OPTIONS", {**asked, "Access-Control-Request-Headers": "Range"})[0] == 200


def test_the_list_of_releases_and_the_files_of_one_can_be_looked_through(home: Path, server: Server) -> None:
    version = current(home).version
    listed = json.loads(server.ask("/releases.json")[2])
    assert listed["current"] == version
    assert [item["version"] for item in listed["releases"]] == [version]
    status, headers, _ = server.ask("/")
    assert (status, headers["location"]) == (307, f"/{version}/")
    page = server.ask(f"/{version}/")[2].decode()
    links = re.findall(r'href="\./([^"]+)"', page)
    assert "mart_big.parquet" in links
    for name in links:
        assert server.ask(f"/{version}/{name}", "HEAD")[0] == 200, name


def test_a_site_in_the_release_is_what_the_front_door_leads_to(tmp_path: Path) -> None:
    version = release(tmp_path, 1)
    site = tmp_path / "warehouse" / "releases" / version / "site"
    site.mkdir()
    (site / "index.html").write_text("<title>overview</title>")
    with serving(tmp_path) as server:
        assert server.ask("/")[1]["location"] == f"/{version}/site/"
        assert server.ask(f"/{version}/site")[1]["location"] == f"/{version}/site/"
        status, headers, body = server.ask(f"/{version}/site/")
        assert (status, body) == (200, b"<title>overview</title>")
        assert headers["content-type"].startswith("text/html")


def test_it_is_quiet_and_ends_cleanly(home: Path) -> None:
    server = Server(home)
    server.ask("/releases.json")
    assert server.end(signal.SIGINT) == 0
    lines = server.log.read_text().splitlines()
    assert lines == [f"http://127.0.0.1:{server.port}/ (Ctrl-C ends)"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--host", "0.0.0.0"], "--expose"),  # noqa: S104
        (["--host", "nowhere.invalid", "--expose"], "cannot listen on nowhere.invalid"),
    ],
)
def test_an_address_that_cannot_or_should_not_be_had_is_told_in_one_line(
    home: Path, options: list[str], says: str
) -> None:
    done = command(home, *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_and_an_empty_home_are_told_in_one_line(home: Path, server: Server, tmp_path: Path) -> None:
    taken = command(home, "--port", str(server.port))
    assert (taken.returncode, taken.stderr.count("\n")) == (2, 1)
    assert f"--port {server.port + 1}" in taken.stderr
    empty = command(tmp_path)
    assert (empty.returncode, empty.stderr.count("\n")) == (2, 1)
    assert "oretrace run" in empty.stderr


def test_a_taken_port_ends_the_ui_before_anything_starts(server: Server, tmp_path: Path) -> None:
    done = command(tmp_path / "new", "--port", str(server.port), name="ui")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"oretrace ui --port {server.port + 1}" in done.stderr
    assert not (tmp_path / "new").exists()


def command(home: Path, *options: str, name: str = "serve") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ORETRACE), name, *options], env={**os.environ, "ORETRACE_HOME": str(home)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
