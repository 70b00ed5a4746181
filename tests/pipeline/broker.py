"""A RabbitMQ of its own on loopback, and workers as processes, started with the commands of docs/fan-out.md.

What belongs here: starting, stopping and killing real processes. What does not: what must hold
(``test_fan_out``), PostgreSQL (``instance``).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.conftest import PROJECT
from tests.pipeline.instance import DEPLOY, free_port, wait_for

ORETRACE = Path(sys.executable).with_name("oretrace")
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
EPMD = shutil.which("epmd")
MISSING = None if SERVER.exists() and EPMD else "RabbitMQ is not installed (Debian package rabbitmq-server)"


class Broker:
    """A RabbitMQ with its own folder and ports; all of it on loopback."""

    def __init__(self) -> None:
        """Choose ports and write the configuration."""
        self.folder = Path(tempfile.mkdtemp(prefix="oretrace-rabbitmq-"))
        self.port, self.between, self.mapper = (free_port() for _ in range(3))
        settings = (DEPLOY / "rabbitmq.conf").read_text()
        assert "127.0.0.1:5672\n" in settings
        (self.folder / "rabbitmq.conf").write_text(settings.replace(":5672\n", f":{self.port}\n"))
        (self.folder / "plugins").write_text("[].\n")
        self.environment = {
            **os.environ,
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"oretrace-{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_DIST_PORT": str(self.between),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.mapper),
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start Erlang's port mapper and the server, and wait until it listens."""
        assert EPMD is not None
        for command in ([EPMD], [str(SERVER)]):
            self.processes.append(
                subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env=self.environment,
                    stdout=(self.folder / "out").open("ab"),
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        wait_for(self._listens, "RabbitMQ")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """End it without a word, with everything it started."""
        for process in reversed(self.processes):
            _kill_group(process)
        self.processes.clear()

    def remove(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Workers:
    """Workers as processes."""

    environment: Mapping[str, str]
    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        """Start workers, and wait until they listen."""
        for name in names:
            self.running[name] = subprocess.Popen(
                [str(ORETRACE), "worker", "--name", name],
                cwd=PROJECT,
                env=dict(self.environment),
                stdout=self._log(name).open("ab"),
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        for name in names:
            wait_for(lambda name=name: "ready." in self.log(name), f"worker {name}: {self.log(name)}")  # type: ignore[misc]

    def _log(self, name: str) -> Path:
        return self.logs / f"worker-{name}.log"

    def log(self, name: str) -> str:
        return self._log(name).read_text(errors="replace") if self._log(name).exists() else ""

    def hands(self, name: str) -> list[psutil.Process]:
        """The processes of a worker that compute."""
        return psutil.Process(self.running[name].pid).children()

    def kill(self, name: str) -> None:
        """Kill a worker and its hands, as a machine that goes down would."""
        _kill_group(self.running.pop(name))

    def stop_all(self) -> None:
        """End every worker."""
        for name in list(self.running):
            self.kill(name)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    family = [process.pid]
    if process.poll() is None:
        family += [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    for pid in family:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()
