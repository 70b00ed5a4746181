"""The audit of dependencies, against an advisory service on loopback that speaks as OSV does."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).resolve().parents[2] / ".ci" / "audit.py"
ADVISORY = {
    "id": "GHSA-xxxx-yyyy-zzzz",
    "aliases": ["CVE-2099-0001"],
    "summary": "templates run what they should print",
    "modified": "2099-01-01T00:00:00Z",
    "published": "2099-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}],
        }
    ],
}


class Osv(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        vulnerable = asked["package"]["name"] == "jinja2"
        body = json.dumps({"vulns": [ADVISORY]} if vulnerable else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def osv() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Osv) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
        server.shutdown()


def audit(tmp_path: Path, service: str, packages: list[str], accepted: str = "") -> subprocess.CompletedProcess[str]:
    lock, listed = tmp_path / "requirements.lock", tmp_path / "accepted.csv"
    lock.write_text("".join(f"{package} --hash=sha256:{'0' * 64}\n" for package in packages))
    listed.write_text(f"id,package,reason,expires\n{accepted}")
    command = [sys.executable, str(AUDIT), "--requirements", str(lock), "--accepted", str(listed)]
    return subprocess.run([*command, "--osv-url", service], capture_output=True, text=True, timeout=120, check=False)


def test_requirements_without_advisory_pass_and_say_how_many_were_audited(osv: str, tmp_path: Path) -> None:
    done = audit(tmp_path, osv, ["polars==2.1.0", "duckdb==1.5.5"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 packages audited" in done.stdout


def test_a_known_vulnerability_fails_and_is_named(osv: str, tmp_path: Path) -> None:
    done = audit(tmp_path, osv, ["polars==2.1.0", "jinja2==3.1.6"])
    assert done.returncode == 1
    assert "VULNERABLE: jinja2 3.1.6: " in done.stdout
    assert "fixed in: 99" in done.stdout


@pytest.mark.parametrize("name", ["GHSA-xxxx-yyyy-zzzz", "CVE-2099-0001"])
def test_a_finding_is_accepted_with_a_reason_until_its_date(osv: str, tmp_path: Path, name: str) -> None:
    done = audit(tmp_path, osv, ["jinja2==3.1.6"], f"{name},jinja2,only our own templates,2999-01-01\n")
    assert done.returncode == 0, done.stdout
    assert "accepted: jinja2" in done.stdout
    done = audit(tmp_path, osv, ["jinja2==3.1.6"], f"{name},jinja2,only our own templates,2020-01-01\n")
    assert done.returncode == 1
    done = audit(tmp_path, osv, ["jinja2==3.1.6"], f"{name},jinja2,,2999-01-01\n")
    assert done.returncode == 1


def test_where_no_service_answers_it_says_that_nothing_was_audited(tmp_path: Path) -> None:
    done = audit(tmp_path, "http://127.0.0.1:9/v1/query", ["jinja2==3.1.6"])
    assert done.returncode == 0
    assert "NOTHING WAS AUDITED" in done.stdout
    assert "VULNERABLE" not in done.stdout
