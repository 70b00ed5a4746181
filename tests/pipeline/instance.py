"""A production instance on loopback: PostgreSQL and the services, started with the commands of deploy/systemd.

What belongs here: starting, stopping and asking real processes. What does not: what must hold
(``test_production_instance``).
"""

from __future__ import annotations

import json
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.conftest import PROJECT

T = TypeVar("T")
DEPLOY = PROJECT / "deploy"
PASSWORD = "a password: with/odd@signs%"  # noqa: S105  # of a server that lives as long as the test


def postgres_binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL of Debian's packages."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(ask: Callable[[], T], what: str, seconds: float = 120.0) -> T:
    """Ask until the answer is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if answer := ask():
            return answer
        time.sleep(0.25)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


class Postgres:
    """A PostgreSQL server of its own: data folder, port and password."""

    def __init__(self) -> None:
        """Make the data folder; as root, in the name of the user ``postgres``, because initdb refuses root."""
        binaries = postgres_binaries()
        assert binaries is not None
        self.binaries, self.port = binaries, free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="oretrace-postgres-"))
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self.user:
            account = pwd.getpwnam("postgres")
            for path in (self.folder, secret):
                os.chown(path, account.pw_uid, account.pw_gid)
        subprocess.run(
            [
                *(str(binaries / "initdb"), "--auth=scram-sha-256", f"--pwfile={secret}", "--username=oretrace"),
                *("--encoding=UTF8", "--locale=C.UTF-8", f"--pgdata={self.folder / 'data'}"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self.user,  # type: ignore[call-overload]
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.process = subprocess.Popen(
            [
                *(str(self.binaries / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("ab"),
            cwd=self.folder,
            **self.user,  # type: ignore[call-overload]
        )
        ready = [str(self.binaries / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
        wait_for(lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0, "PostgreSQL")

    def kill(self) -> None:
        """Kill the server without a word; its children end when they notice."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def remove(self) -> None:
        """Stop the server and remove its data."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
        shutil.rmtree(self.folder)

    def psql(self, sql: str, *, database: str = "oretrace") -> str:
        done = subprocess.run(
            [
                str(self.binaries / "psql"),
                "-h",
                "127.0.0.1",
                "-p",
                str(self.port),
                "-U",
                "oretrace",
                "-d",
                database,
                "-Atc",
                sql,
            ],
            env={**os.environ, "PGPASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()


def command(unit: str, environment: Mapping[str, str]) -> list[str]:
    """Return what a unit starts, with this clone in place of /opt/oretrace."""
    lines = (DEPLOY / "systemd" / unit).read_text().splitlines()
    (line,) = [line.removeprefix("ExecStart=") for line in lines if line.startswith("ExecStart=")]
    for name, value in environment.items():
        line = line.replace(f"${{{name}}}", value)
    return shlex.split(line.replace("/opt/oretrace", str(PROJECT)))


@dataclass
class Instance:
    """The services of deploy/systemd, as processes."""

    home: Path
    environment: dict[str, str]
    logs: Path
    port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *, prefix: tuple[str, ...] = ()) -> None:
        """Start the service of a unit, e.g. ``daemon``."""
        words = command(f"oretrace-{name}.service", self.environment)
        if "--port" in words:
            words[words.index("--port") + 1] = str(self.port)
        self.running[name] = subprocess.Popen(
            [*prefix, *words],
            cwd=PROJECT,
            env=self.environment,
            stdout=(self.logs / f"{name}.log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def stop(self, name: str, sign: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to the service's main process and wait for its end."""
        process = self.running.pop(name)
        process.send_signal(sign)
        process.wait(timeout=120)

    def stop_all(self) -> None:
        """End everything, with what it started."""
        for process in self.running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.running.clear()

    def log(self, name: str) -> str:
        return (self.logs / f"{name}.log").read_text(errors="replace")

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask the webserver, as its pages do."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        for left in reversed(range(10)):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # our own loopback address
                    found = json.load(answer)
                break
            except urllib.error.HTTPError as error:
                # A pooled connection to a PostgreSQL that was killed fails once; a visitor would reload the page.
                if error.code != 500 or not left or query.startswith("mutation"):
                    raise
        assert "errors" not in found, found
        data: dict[str, Any] = found["data"]
        return data

    def answers(self) -> bool:
        """Tell whether the webserver answers and has loaded the definitions."""
        try:
            found = self.ask(
                "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
            )
        except OSError:
            return False
        entries = found["workspaceOrError"]["locationEntries"]
        return bool(entries) and entries[0]["locationOrLoadError"]["__typename"] == "RepositoryLocation"

    def launch(self, job: str, config: Mapping[str, Any]) -> str:
        """Put a run of a job into the queue; return its id."""
        selector = {"repositoryLocationName": "oretrace", "repositoryName": "__repository__", "jobName": job}
        found = self.ask(
            "mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename "
            "... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }",
            p={"selector": selector, "runConfigData": json.dumps(config)},
        )["launchRun"]
        assert found["__typename"] == "LaunchRunSuccess", found
        return str(found["run"]["runId"])

    def runs(self) -> list[dict[str, Any]]:
        """List the runs, newest first."""
        found = self.ask(
            "{ runsOrError { ... on Runs { results { runId status jobName rootRunId parentRunId "
            "tags { key value } } } } }"
        )
        results: list[dict[str, Any]] = found["runsOrError"]["results"]
        return results

    def status(self, run_id: str) -> str:
        return next(str(run["status"]) for run in self.runs() if run["runId"] == run_id)

    def steps(self, run_id: str) -> list[str]:
        """List the steps of a run that succeeded, in order."""
        query = (
            "query($r: ID!, $c: String) { logsForRun(runId: $r, afterCursor: $c, limit: 500) { "
            "... on EventConnection { cursor hasMore "
            "events { __typename ... on ExecutionStepSuccessEvent { stepKey } } } } }"
        )
        steps, cursor, more = [], None, True
        while more:
            page = self.ask(query, r=run_id, c=cursor)["logsForRun"]
            cursor, more = page["cursor"], page["hasMore"]
            steps += [one["stepKey"] for one in page["events"] if one["__typename"] == "ExecutionStepSuccessEvent"]
        return steps
