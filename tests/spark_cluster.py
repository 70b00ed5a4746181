"""A real Spark standalone cluster on loopback: master, two workers and a Spark Connect server from the pyspark wheel.

What belongs here: starting it, seeing its workers, killing one, ending it. What does not: what is asked of it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

LOCAL = "127.0.0.1"
WORKERS = 2
START_S = 240.0  # two loaded cores start four JVMs


class Cluster:
    """Processes of a cluster and their addresses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(("master", "ui", "connect"), _free_ports(3), strict=True))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def remote(self) -> str:
        return f"sc://{LOCAL}:{self.ports['connect']}"

    def begin(self, name: str, *command: str, **environment: str) -> None:
        """Start one process; its words go to a file."""
        spec = find_spec("pyspark")
        assert spec is not None and spec.origin is not None
        home = Path(spec.origin).parent
        settings = {**os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": LOCAL, "PYSPARK_PYTHON": sys.executable}
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [str(home / "bin" / command[0]), *command[1:]],
                env={**settings, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )

    def state(self) -> dict[str, Any]:
        """What the master says of its workers and applications."""
        with urllib.request.urlopen(f"http://{LOCAL}:{self.ports['ui']}/json/", timeout=10) as answer:
            said: dict[str, Any] = json.load(answer)
        return said

    def alive(self) -> int:
        """How many workers the master counts."""
        return int(self.state()["aliveworkers"])

    def kill_worker(self, place: int) -> None:
        """End a worker as a machine that loses its power; its executor goes with it."""
        os.killpg(self.processes[f"worker{place}"].pid, signal.SIGKILL)

    def wait(self, what: str, holds: Callable[[], bool], seconds: float = START_S) -> None:
        """Wait until something holds; tell the last words of all processes where it does not come to that."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if holds():
                    return
            except (OSError, ValueError, KeyError):
                pass
            time.sleep(0.5)
        words = "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in self.folder.glob("*.log"))
        raise AssertionError(f"{what} did not happen in {seconds:.0f} s.\n{words}")

    def end(self) -> None:
        """End every process that was started, with its children."""
        for process in self.processes.values():
            for sign in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, sign)
                    process.wait(10)
                except ProcessLookupError:
                    break
                except subprocess.TimeoutExpired:
                    continue
                break
            process.wait(30)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a cluster, each part when the one before it is there; 1 GB for each worker, all on loopback."""
    made = Cluster(folder)
    daemon = {"SPARK_DAEMON_MEMORY": "256m"}
    try:
        at = f"spark://{LOCAL}:{made.ports['master']}"
        address = ("--host", LOCAL, "--port", str(made.ports["master"]), "--webui-port", str(made.ports["ui"]))
        made.begin("master", "spark-class", "org.apache.spark.deploy.master.Master", *address, **daemon)
        made.wait("the master's answer", lambda: made.alive() == 0)
        for place in range(WORKERS):
            own = ("--host", LOCAL, "--webui-port", "0", "-c", "1", "-m", "1g", "-d", str(folder / f"worker{place}"))
            made.begin(f"worker{place}", "spark-class", "org.apache.spark.deploy.worker.Worker", *own, at, **daemon)
        made.wait("the second worker", lambda: made.alive() == WORKERS)
        made.begin("connect", *_connect_server(at, made.ports["connect"], folder))
        made.wait("the Connect server's answer", lambda: _listens(made.ports["connect"]))
        yield made
    finally:
        made.end()


def _connect_server(master: str, port: int, folder: Path) -> list[str]:
    settings: Mapping[str, str] = {
        "spark.connect.grpc.binding.address": LOCAL,
        "spark.connect.grpc.binding.port": str(port),
        "spark.driver.host": LOCAL,
        "spark.driver.bindAddress": LOCAL,
        "spark.executor.memory": "768m",
        "spark.sql.catalogImplementation": "in-memory",
        # Made for hundreds of cores; here each task of the tests' tables would cost more than its rows.
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.warehouse.dir": str(folder / "tables"),
        "spark.ui.enabled": "false",
    }
    told = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    server = ("--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "--driver-memory", "1g")
    return ["spark-submit", *server, "--master", master, *told, "spark-internal"]


def needed() -> None:
    """Skip, with the reason, where the cluster cannot be started."""
    if find_spec("pyspark") is None or find_spec("pyspark.sql.connect") is None:
        pytest.skip("pyspark is not installed: make scale installs the extra 'spark'")
    java = shutil.which("java")
    if java is None:
        pytest.skip("Java is not installed: apt-get install openjdk-17-jre-headless")


def _listens(port: int) -> bool:
    with socket.create_connection((LOCAL, port), 2):
        return True


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for taken in sockets:
            taken.bind((LOCAL, 0))
        return [int(taken.getsockname()[1]) for taken in sockets]
    finally:
        for taken in sockets:
            taken.close()
