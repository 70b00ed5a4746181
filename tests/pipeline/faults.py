"""Faults on purpose: small and read-only disks, readers that never stop, parts of the job by themselves.

``python -m tests.pipeline.faults NAME ...`` loads the real definitions, and for every line that it reads runs the named
assets (and the gate) as job ``refresh``, tells of it as the sensors do, and prints how it ended.
"""

# No `from __future__ import annotations`: Dagster reads annotations of definitions as classes.
import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest

from orchestration.certificate import CERTIFICATE, write_certificate
from orchestration.publish import current_release, list_releases, verify
from tests.conftest import PROJECT

SPAWN = multiprocessing.get_context("spawn")
ENDED = "ended "
SEEN = "select count(*), min(claim), max(claim), sum(hash(claim, verdict, recomputed)) from mart_claims"


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a disk of its own; skip where one may not mount."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "oretrace-test", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk of its own cannot be mounted here (that takes root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a mounted disk read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


@contextmanager
def filled(folder: Path, *, free: float) -> Iterator[None]:
    """Fill a disk up to so many free megabytes."""
    filler = folder / "filler"
    left = shutil.disk_usage(folder).free - int(free * 1e6)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(left, 1))
    try:
        yield
    finally:
        filler.unlink()


@dataclass
class Watched:
    """What a reader that never stopped saw.

    Attributes:
        reads: how many times it opened the published file and read from it.
        errors: what went wrong.
        seen: release to the digests of what was read from it; more than one is a torn read.
    """

    reads: int = 0
    errors: list[str] = field(default_factory=list)
    seen: dict[str, set[str]] = field(default_factory=dict)


def _read_for_ever(link: str, begun: Any, stop: Any, answers: Any) -> None:
    watched = Watched()
    while not stop.wait(0.2):
        try:
            path = Path(link).resolve(strict=True)
            with duckdb.connect(str(path), read_only=True) as db:
                row = db.execute(SEEN).fetchone()
            digest = hashlib.sha256(repr(row).encode()).hexdigest()
            watched.seen.setdefault(path.parent.name, set()).add(digest)
            watched.reads += 1
        except Exception as error:
            watched.errors.append(f"{type(error).__name__}: {error}")
        begun.set()
    answers.put(watched)


@contextmanager
def reader(home: Path) -> Iterator[Watched]:
    """Read the published file in a loop, in another process, from before the block begins until it ends."""
    watched, begun, stop, answers = Watched(), SPAWN.Event(), SPAWN.Event(), SPAWN.Queue()
    file = str(home / "warehouse" / "oretrace.duckdb")
    process = SPAWN.Process(target=_read_for_ever, args=(file, begun, stop, answers))
    process.start()
    try:
        assert begun.wait(120), "the reader does not start"  # a refusal may take less time than its start
        yield watched
    finally:
        stop.set()
        watched.__dict__.update(answers.get(timeout=60).__dict__)
        process.join(60)


@dataclass(frozen=True)
class Published:
    """What readers see, to be compared later."""

    version: str
    releases: frozenset[str]
    content: str

    @classmethod
    def of(cls, home: Path) -> "Published":
        """Look at the warehouse of a home."""
        release = current_release(home / "warehouse")
        assert release is not None
        content = hashlib.sha256(release.database.read_bytes()).hexdigest()
        return cls(release.version, frozenset(item.version for item, _ in list_releases(home / "warehouse")), content)

    def check(self, home: Path) -> None:
        """Nothing that was published is lost, changed or damaged."""
        assert Published.of(home) == self
        assert verify(home / "warehouse")[1] == []

    def check_or_next(self, home: Path) -> "Published":
        """Nothing is lost, changed or damaged, though one more release may have been published whole."""
        after = Published.of(home)
        assert after == self or after.releases == self.releases | {after.version}
        assert verify(home / "warehouse")[1] == []
        return after


def certify_anew(home: Path) -> None:
    """Change a word in the candidate and certify it, so that there is something new to publish."""
    candidate, certificate = home / "build" / "candidate.duckdb", home / "build" / CERTIFICATE
    with duckdb.connect(str(candidate)) as db:
        db.execute("update mart_claims set statement = statement || ' (in other words)'")
    old = json.loads(certificate.read_text())
    kept = {name: old[name] for name in ("run_id", "vintages", "sources", "inputs")}
    write_certificate(certificate, candidate, report=old["gate"], **kept)


@contextmanager
def parts(
    home: Path, *names: str, environment: Mapping[str, str] | None = None, prefix: Sequence[str] = ()
) -> Iterator[Callable[[], str]]:
    """Give a function that runs parts of the real job, in another process, and says how it ended."""
    settings = {**os.environ, "ORETRACE_HOME": str(home), **(environment or {})}
    command = [*prefix, sys.executable, "-m", "tests.pipeline.faults", *names]
    with subprocess.Popen(
        command, cwd=PROJECT, env=settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def run() -> str:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("run\n")
            process.stdin.flush()
            return next((line for line in process.stdout if line.startswith(ENDED)), "").removeprefix(ENDED).strip()

        yield run
        assert process.stdin is not None
        process.stdin.close()


def _job(names: Sequence[str]) -> Any:
    """Make job ``refresh`` of a few assets, and the gate, out of the real definitions."""
    import dagster as dg

    from orchestration.definitions import defs

    chosen = dg.AssetSelection.assets(*(name.split("/") for name in names if name != "gate"))
    checks = dg.AssetSelection.checks(
        *(key for key in defs.resolve_asset_graph().asset_check_keys if key.name == "gate")
    )
    selection = (chosen.without_checks() | checks) if "gate" in names else chosen.without_checks()
    return dg.Definitions(
        assets=defs.assets,
        asset_checks=defs.asset_checks,
        resources=defs.resources,
        jobs=[dg.define_asset_job("refresh", selection=selection)],
        executor=dg.in_process_executor,
    ).resolve_job_def("refresh")


def run_once(names: Sequence[str]) -> int:
    """Run parts of the job once, in this process, under the locks of a run; print which step starts; tell of it.

    Returns:
        0 when that went well.
    """
    import dagster as dg

    from ingest.home import Home
    from orchestration.alerting.desk import Desk
    from orchestration.alerting.incident import incident_of
    from orchestration.instance import dagster_instance
    from orchestration.locks import forget_run, hold_build, hold_run

    home, run_id = Home.from_environment(), str(uuid4())
    stderr = os.dup(2)  # Dagster lays a file of its own over it for as long as a step runs

    class Starts(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            event = getattr(record, "dagster_meta", {}).get("dagster_event")
            if event is not None and event.event_type_value == "STEP_START":
                os.write(stderr, f"{event.step_key} starts\n".encode())

    @dg.logger
    def starts(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.getLogger("oretrace.starts")
        logger.setLevel(logging.DEBUG)
        logger.handlers = [Starts()]
        return logger

    job = _job(names).with_logger_defs({"starts": starts})
    config = {"loggers": {"starts": {}}}
    with hold_build(home, run_id=run_id), hold_run(home, run_id), dagster_instance(home) as instance:
        job.execute_in_process(instance=instance, run_id=run_id, run_config=config, raise_on_error=False)
        incident = incident_of(instance, run_id)
        assert incident is not None
        Desk(home).finished(incident)
    forget_run(home, run_id)
    return 0 if incident.ok else 1


def _main(names: Sequence[str]) -> None:
    from ingest.home import Home
    from orchestration.alerting.desk import Desk
    from orchestration.alerting.incident import incident_of, incident_of_error
    from orchestration.instance import dagster_instance

    home = Home.from_environment()
    job = _job(names)
    for _ in sys.stdin:
        run_id = str(uuid4())
        with dagster_instance(home) as instance:
            try:
                job.execute_in_process(instance=instance, run_id=run_id, raise_on_error=False)
                incident = incident_of(instance, run_id)
            except Exception as error:  # Dagster's own storage is on the disk too
                incident = incident_of_error(run_id, "refresh", error)
        assert incident is not None
        Desk(home).finished(incident)
        ended = "ok" if incident.ok else f"{incident.kind}: {' | '.join(incident.reasons)}"
        # A full disk cuts off what a step printed in mid-line.
        print(f"\n{ENDED}{ended}", flush=True)


if __name__ == "__main__":
    _main(sys.argv[1:])
