"""The files in deploy/: read by the programs they are for."""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import DagsterInvalidConfigError
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.workspace.load_target import WorkspaceFileTarget
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.conftest import PROJECT
from tests.pipeline.instance import free_port, wait_for

DEPLOY = PROJECT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
needs_nginx = pytest.mark.skipif(
    not shutil.which("nginx", path="/usr/sbin:/usr/bin"), reason="nginx is not installed (Debian package nginx-light)"
)


def settings(path: Path = DEPLOY / "oretrace.env.example") -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_every_variable_of_the_instance_and_workspace_is_in_the_example_settings() -> None:
    def wanted(part: Any) -> set[str]:
        if isinstance(part, dict):
            return (
                {part["env"]} if part.keys() == {"env"} else {name for item in part.values() for name in wanted(item)}
            )
        return {name for item in part for name in wanted(item)} if isinstance(part, list) else set()

    for file in ("dagster.yaml", "workspace.yaml"):
        assert wanted(yaml.safe_load((DEPLOY / file).read_text())) <= settings().keys()


@pytest.fixture
def dagster_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
    return tmp_path


def test_dagster_reads_the_instance_and_the_workspace_as_they_are_meant(dagster_home: Path) -> None:
    ref = InstanceRef.from_dir(str(dagster_home))  # refuses every key and type that Dagster does not know
    assert ref.storage_data is not None
    assert (ref.storage_data.module_name, ref.storage_data.class_name) == ("dagster_postgres", "DagsterPostgresStorage")
    assert isinstance(ref.run_coordinator, QueuedRunCoordinator)
    logs = ref.compute_log_manager
    assert isinstance(logs, LocalComputeLogManager) and logs._base_dir == str(dagster_home / "storage")
    read = ref.settings
    assert read["telemetry"] == {"enabled": False} and read["nux"] == {"enabled": False}
    assert read["run_monitoring"]["enabled"] and read["freshness"]["enabled"]
    assert read["concurrency"]["pools"] == {"granularity": "run", "default_limit": 1}
    assert read["retention"]["sensor"]["purge_after_days"]["skipped"] == 7
    (origin,) = WorkspaceFileTarget([str(DEPLOY / "workspace.yaml")]).create_origins()
    assert isinstance(origin, GrpcServerCodeLocationOrigin) and origin.socket == settings()["ORETRACE_CODE_SOCKET"]


@pytest.mark.parametrize("key", ["retention", "concurrency", "run_monitoring", "run_retries", "schedules"])
def test_dagster_would_refuse_a_misspelt_setting(dagster_home: Path, key: str) -> None:
    content = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    content[key]["mispelt"] = 1
    (dagster_home / "dagster.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(DagsterInvalidConfigError, match="mispelt"):
        InstanceRef.from_dir(str(dagster_home))


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        # Commands are looked for where this clone is.
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/oretrace", str(PROJECT)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir())],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "oretrace" in line]
    assert done.returncode == 0 and said == []


@needs_systemd
def test_systemd_counts_each_service_as_well_confined() -> None:
    for unit in SERVICES:
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(unit)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_services_run_as_their_own_user_with_secrets_from_a_file_and_what_they_may_write_named() -> None:
    assert {unit.stem.removeprefix("oretrace-") for unit in SERVICES} == {
        "backup", "code", "daemon", "watch", "webserver", "webserver-readonly", "worker",
    }  # fmt: skip
    for unit in SERVICES:
        text = unit.read_text()
        for line in ("User=oretrace", "EnvironmentFile=/etc/oretrace/oretrace.env", "NoNewPrivileges=yes",
                     "ProtectSystem=strict", "CapabilityBoundingSet="):  # fmt: skip
            assert f"\n{line}\n" in text, (unit.name, line)
        assert re.search(r"^ReadWritePaths=/var/lib/oretrace( /var/backups/oretrace)?$", text, re.MULTILINE)
        assert "PASSWORD" not in text
        if "webserver" in unit.name:
            assert "--host 127.0.0.1" in text
            assert ("--read-only" in text) == ("readonly" in unit.name)
    assert "KillMode=mixed" in (DEPLOY / "systemd" / "oretrace-code.service").read_text()


def test_containers_publish_nothing_beyond_loopback_wait_for_each_other_and_hold_no_secret() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports and all(str(port).startswith("127.0.0.1:") for port in ports)
    assert {name for name, one in services.items() if "ports" in one} == {"webserver", "analysts"}
    for name, service in services.items():
        for other, condition in service.get("depends_on", {}).items():
            healthy = condition == {"condition": "service_healthy"}
            assert other in services and ("healthcheck" in services[other]) == healthy, name
        if name != "postgres":
            assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["env_file"] == ["oretrace.env"]
            assert service["environment"].keys() <= settings().keys()
            named = {volume.split(":")[0] for volume in service["volumes"] if not volume.startswith(".")}
            assert named <= compose["volumes"].keys()
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${ORETRACE_PG_PASSWORD:?")
    # The same commands as under systemd.
    code = next(
        line for line in (DEPLOY / "systemd" / "oretrace-code.service").read_text().splitlines() if "grpc" in line
    )
    assert services["code"]["command"][3:5] == ["--socket", settings()["ORETRACE_CODE_SOCKET"]]
    assert " ".join(services["code"]["command"][5:]) in code
    assert "--read-only" in services["analysts"]["command"] and "--read-only" not in services["webserver"]["command"]


def test_the_example_settings_hold_no_real_secret() -> None:
    secrets = {name: value for name, value in settings().items() if re.search("PASSWORD|KEY|WEBHOOK", name)}
    assert set(secrets.values()) <= {"", "change-me"}


class Proxy:
    """nginx with the example configuration, before two real webservers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.analysts = folder, free_port(), free_port()
        self.servers = {self.port: free_port(), self.analysts: free_port()}
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        (self.folder / "empty.py").write_text("import dagster as dg\n\ndefs = dg.Definitions()\n")
        for (_, port), options in zip(self.servers.items(), ([], ["--read-only"]), strict=True):
            home = (
                self.folder / f"dagster-{port}"
            )  # two servers that make one SQLite home at once get in each other's way
            home.mkdir()
            (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
            words = [str(Path(sys.executable).with_name("dagster-webserver")), "-h", "127.0.0.1", "-p", str(port)]
            self._start([*words, "-f", str(self.folder / "empty.py"), *options], DAGSTER_HOME=str(home))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=oretrace",
             "-addext", "subjectAltName=DNS:dagster.example.org,DNS:analysts.example.org",
             "-keyout", self.folder / "privkey.pem", "-out", self.folder / "fullchain.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
        for file, name in (("oretrace.htpasswd", "operator"), ("oretrace-analysts.htpasswd", "analyst")):
            hashed = subprocess.run(
                ["openssl", "passwd", "-6", f"{name}-word"], check=True, capture_output=True, text=True
            )
            (self.folder / file).write_text(f"{name}:{hashed.stdout.strip()}\n")
        (self.folder / "nginx.conf").write_text(self._settings())
        self._start(["/usr/sbin/nginx", "-e", "error.log", "-p", str(self.folder), "-c", "nginx.conf"])

    def _settings(self) -> str:
        """The example in a server that needs nothing outside the folder, whoever runs it."""
        user = f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};" if os.geteuid() == 0 else ""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = " ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)
        return (
            f"daemon off; {user} pid {self.folder}/pid; error_log {self.folder}/error.log; events {{}}\n"
            f"http {{ access_log off; {places} {self._example()} }}\n"
        )

    def _example(self) -> str:
        """The example, with this test's ports and places; its directives stay as they are."""
        text = (DEPLOY / "nginx" / "oretrace.conf").read_text()
        text = text.replace("/etc/ssl/oretrace/", f"{self.folder}/").replace("/etc/nginx/", f"{self.folder}/")
        text = text.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
        for port, old in ((self.port, 3000), (self.analysts, 3001)):
            text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;", 1)
            text = text.replace(f"127.0.0.1:{old};", f"127.0.0.1:{self.servers[port]};")
        return text

    def _start(self, words: list[str], **environment: str) -> None:
        log = (self.folder / "log").open("ab")
        self.started.append(
            subprocess.Popen(words, env={**os.environ, **environment}, stdout=log, stderr=log, start_new_session=True)
        )

    def stop(self) -> None:
        for process in self.started:
            process.terminate()
        for process in self.started:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def ask(self, query: str, *, port: int, word: str | None, origin: str | None = None) -> tuple[int, str]:
        """Return the status and body of a GraphQL request through the proxy."""
        headers = {"Content-Type": "application/json", "Host": "dagster.example.org", **login(word)}
        headers |= {"Origin": origin} if origin else {}
        request = urllib.request.Request(
            f"https://127.0.0.1:{port}/graphql", json.dumps({"query": query}).encode(), headers
        )
        try:
            with self.opener().open(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def answers(self, port: int, word: str) -> bool:
        """Whether the server behind a port answers; what ended, or answers otherwise, is told with its log."""
        status, body = self.ask("{version}", port=port, word=word)
        ended = [str(process.args) for process in self.started if process.poll() is not None]
        if ended or status not in (0, 200, 502):
            logs = "\n".join(
                path.read_text() for path in (self.folder / "log", self.folder / "error.log") if path.exists()
            )
            raise AssertionError(f"port {port}: {status} {body}; ended: {ended}\n{logs[-3000:]}")
        return status == 200

    def opener(self) -> urllib.request.OpenerDirector:
        """What asks on loopback, whatever proxy the environment names."""
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context())
        )

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "fullchain.pem"))
        context.check_hostname = False  # the address is 127.0.0.1; the certificate is checked
        return context


def login(word: str | None) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(word.encode()).decode()}"} if word else {}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    found = Proxy(tmp_path_factory.mktemp("nginx"))
    try:
        found.start()
        for port, word in ((found.port, "operator:operator-word"), (found.analysts, "analyst:analyst-word")):
            wait_for(lambda port=port, word=word: found.answers(port, word), "the proxy", 240)
        yield found
    finally:
        found.stop()


@needs_nginx
@pytest.mark.xdist_group("proxy")
def test_the_proxy_lets_in_who_has_the_password_of_that_server_and_nobody_else(proxy: Proxy) -> None:
    for word in (None, "operator:wrong", "analyst:analyst-word"):
        assert proxy.ask("{version}", port=proxy.port, word=word)[0] == 401
    assert proxy.ask("{version}", port=proxy.analysts, word="operator:operator-word")[0] == 401
    status, body = proxy.ask("{version}", port=proxy.port, word="operator:operator-word")
    assert status == 200 and json.loads(body)["data"]["version"] == "1.13.27"


@needs_nginx
@pytest.mark.xdist_group("proxy")
def test_requests_that_another_site_makes_a_browser_send_are_refused(proxy: Proxy) -> None:
    asked = {"port": proxy.port, "word": "operator:operator-word"}
    assert proxy.ask("{version}", **asked, origin="https://elsewhere.example.com")[0] == 403
    assert proxy.ask("{version}", **asked, origin="https://dagster.example.org")[0] == 200


@needs_nginx
@pytest.mark.xdist_group("proxy")
def test_pages_follow_runs_over_a_websocket_through_the_proxy(proxy: Proxy) -> None:
    address = f"wss://127.0.0.1:{proxy.port}/graphql"
    options: dict[str, Any] = {"ssl": proxy.context(), "subprotocols": ["graphql-ws"], "proxy": None}
    with pytest.raises(InvalidStatus) as refused:
        connect(address, **options).close()
    assert refused.value.response.status_code == 401
    with connect(address, **options, additional_headers=login("operator:operator-word")) as stream:
        stream.send(json.dumps({"type": "connection_init", "payload": {}}))
        assert json.loads(stream.recv(timeout=20))["type"] == "connection_ack"


@needs_nginx
@pytest.mark.xdist_group("proxy")
def test_analysts_can_look_and_launch_nothing(proxy: Proxy) -> None:
    asked = "{ permissions { permission value } }"
    allowed = {}
    for port, word in ((proxy.port, "operator:operator-word"), (proxy.analysts, "analyst:analyst-word")):
        _, body = proxy.ask(asked, port=port, word=word)
        found = {item["permission"]: item["value"] for item in json.loads(body)["data"]["permissions"]}
        allowed[port] = {name for name, value in found.items() if value}
    assert "launch_pipeline_execution" in allowed[proxy.port]
    assert allowed[proxy.analysts] == set()
