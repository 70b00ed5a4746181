"""A real S3 server for tests: Ceph's gateway with one monitor and one storage daemon in memory, on loopback.

It is what Debian packages of production S3 servers (``ceph-mon ceph-osd radosgw``). Where it is not installed, tests
that need it are skipped and say so.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
PATIENCE = 300.0  # a few seconds where the machine has nothing else to do
CONFIG = """[global]
fsid = {fsid}
mon_host = v1:127.0.0.1:{monitor}
mon_initial_members = a
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr2 = false
# One copy of everything, in memory.
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
# Its place in the map is given below: the daemon, asking for one too early, now and then ends itself.
osd_crush_update_on_start = false
osd_class_update_on_start = false
osd_objectstore = memstore
memstore_device_bytes = 2147483648
mon_allow_pool_size_one = true
mon_data = {folder}/mon
mon_data_avail_crit = 0
# Changes of the cluster are agreed on at once, for there is nobody to agree with.
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
osd_data = {folder}/osd
run_dir = {folder}
admin_socket = {folder}/$name.asok
pid_file = {folder}/$name.pid
log_file = {folder}/$name.log
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1
rgw_data = {folder}/rgw
rgw_enable_gc_threads = false
rgw_enable_lc_threads = false
"""


@dataclass(frozen=True)
class Server:
    """A running server and the keys of its one user."""

    endpoint: str
    identity: str
    secret: str

    def environment(self, endpoint: str = "") -> dict[str, str]:
        """Return the variables by which programs find it, or a proxy before it."""
        return {
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ACCESS_KEY_ID": self.identity,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, bucket: str) -> Any:
        """Return a client of our own for a bucket, to look and to damage."""
        from obstore.store import S3Store

        return S3Store(
            bucket,
            endpoint=self.endpoint,
            access_key_id=self.identity,
            secret_access_key=self.secret,
            region="us-east-1",
            client_options={"allow_http": True},
        )

    def make_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        import obstore

        name = f"trial-{uuid4().hex[:12]}"
        address = obstore.sign(self.client(name), "PUT", "", timedelta(minutes=1))
        with urllib.request.urlopen(urllib.request.Request(address, method="PUT"), timeout=30) as answer:  # noqa: S310
            assert answer.status == 200
        return name


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ceph(folder: Path) -> Iterator[Server]:
    """Start the server in an empty folder and end it afterwards; skip where it is not installed."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no S3 server here: {', '.join(missing)} not installed (Debian: ceph-mon ceph-osd radosgw)")
    fsid, gateway = str(uuid4()), free_port()
    # Sockets have short paths only, which those of pytest's folders are not.
    (folder / "rgw").mkdir(parents=True)
    (folder / "mon").mkdir()
    (folder / "osd").mkdir()
    config = folder / "ceph.conf"
    monitor = free_port()
    config.write_text(CONFIG.format(fsid=fsid, monitor=monitor, gateway=gateway, folder=folder))
    running: list[subprocess.Popen[bytes]] = []

    def run(*command: str) -> str:
        done = subprocess.run([*command], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def ask(*command: str) -> str:
        """Give the monitor a command that may be given twice: a client that is too quick is told "wrong fsid"."""
        for _ in range(4):
            with suppress(AssertionError):
                return run("ceph", "-c", str(config), *command)
            time.sleep(0.2)
        return run("ceph", "-c", str(config), *command)

    def start(*command: str) -> None:
        with (folder / f"{command[0]}.out").open("wb") as out:
            running.append(subprocess.Popen([*command, "-f", "-c", str(config)], stdout=out, stderr=out))

    try:
        run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v1:127.0.0.1:{monitor}]", f"{folder}/monmap")
        run("ceph-mon", "-c", str(config), "-i", "a", "--mkfs", "--monmap", f"{folder}/monmap")
        start("ceph-mon", "-i", "a")
        disk = str(uuid4())
        ask("osd", "new", disk)
        ask("osd", "crush", "add", "osd.0", "1.0", "root=default", "host=here")
        run("ceph-osd", "-c", str(config), "-i", "0", "--mkfs", "--osd-uuid", disk)
        start("ceph-osd", "-i", "0")
        wait(lambda: "1 up" in ask("osd", "stat"), running)
        start("radosgw", "-n", "client.rgw")
        server = Server(f"http://127.0.0.1:{gateway}", f"AK{secrets.token_hex(8)}", secrets.token_hex(16))
        wait(lambda: answers(gateway), running)
        keys = (f"--access-key={server.identity}", f"--secret={server.secret}")
        user = ("--uid=trial", "--display-name=trial", *keys)
        run("radosgw-admin", "-c", str(config), "-n", "client.rgw", "user", "create", *user)
        yield server
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGKILL)
            process.wait()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
            return True
    except OSError:
        return False


def wait(until: Callable[[], bool], running: list[subprocess.Popen[bytes]]) -> None:
    end = time.monotonic() + PATIENCE
    while not until():
        ended = [process.args for process in running if process.poll() is not None]
        assert not ended, f"ended at once: {ended}"
        assert time.monotonic() < end, "the server did not come up"
        time.sleep(0.3)


def without_keys() -> dict[str, str]:
    """Return this process's environment without anything that names a store or its keys."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ORETRACE_STORE"))}
