"""Machines that share an object store: small homes, publications and commands for the tests of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from ingest import fingerprint
from ingest.home import PROJECT, Home
from orchestration.certificate import write_certificate
from orchestration.publish import Release, publish
from orchestration.store.shelf import Shelf
from tests.candidates import PASSING, build
from tests.ceph import Server, without_keys

FIGURE = "select top_supplier_import_share as share from mart_dependence_by_stage"


@dataclass(frozen=True)
class Place:
    """A store: the server that has it and its address."""

    server: Server
    bucket: str
    url: str

    def environment(self, endpoint: str = "") -> dict[str, str]:
        return {"ORETRACE_STORE": self.url, **self.server.environment(endpoint)}

    def key(self, name: str) -> str:
        """Return the name of an object as the server has it."""
        return f"{self.url.removeprefix(f's3://{self.bucket}/')}/{name}"

    def names(self, below: str = "") -> list[str]:
        """List the objects as the server has them, below the store's folder."""
        import obstore

        top = self.key("")
        pages = obstore.list(self.server.client(self.bucket), prefix=top.rstrip("/"))
        found = sorted(item["path"].removeprefix(top) for page in pages for item in page)
        return [name for name in found if name.startswith(below)]

    def overwrite(self, name: str, content: bytes) -> None:
        import obstore

        obstore.put(self.server.client(self.bucket), self.key(name), content)

    def remove(self, name: str) -> None:
        import obstore

        obstore.delete(self.server.client(self.bucket), self.key(name))

    def read(self, name: str) -> bytes:
        import obstore

        return bytes(obstore.get(self.server.client(self.bucket), self.key(name)).bytes())


def machine(folder: Path, name: str) -> Home:
    """Return the home of a machine that has never run."""
    return Home(folder / name).create()


def ready(home: Home, value: float) -> tuple[Path, Path]:
    """Put an audited candidate and a canonical table into a home, as a run leaves them before it publishes."""
    pl.DataFrame({"importer": ["USA"], "share": [value]}).write_parquet(home.canonical / "trade_flow.parquet")
    candidate = build(home.build, value)
    inputs = present_inputs()
    write_certificate(
        home.build / "certificate.json",
        candidate,
        run_id=f"run-{value:g}",
        report=PASSING,
        vintages={},
        sources={},
        inputs={"fingerprint": fingerprint.fingerprint(inputs), "parts": inputs},
    )
    return candidate, home.build / "certificate.json"


@cache
def present_inputs() -> fingerprint.Parts:
    """Return what a home without files of its own is made from, hashed once."""
    return fingerprint.parts(Home(Path("/nowhere")), "snapshot", {})


def released(home: Home, value: float) -> Release:
    """Publish a release of one figure from a home, through the store that the environment names."""
    candidate, certificate = ready(home, value)
    return publish(candidate, certificate, home.warehouse, shelf=Shelf(home))


def publisher(home: Home, value: float, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a process that publishes, for tests that kill it."""
    code = (
        "import sys; from pathlib import Path; from ingest.home import Home; from tests.shelves import released; "
        "released(Home(Path(sys.argv[1])), float(sys.argv[2]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(home.root), str(value)],
        cwd=PROJECT,
        env=without_keys() | dict(environment),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    out: str
    err: str
    code: int


def command(home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *words: str) -> Said:
    """Run ``oretrace`` with these words on a machine, in this process, as its console script would."""
    from orchestration.cli import main

    monkeypatch.setenv("ORETRACE_HOME", str(home.root))
    monkeypatch.setattr(sys, "argv", ["oretrace", *words])
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capfd.readouterr()
    return Said(printed.out, printed.err, int(ended.value.code or 0))
