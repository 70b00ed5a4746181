"""The certificate: what the gate says of exactly one candidate file, sealed.

What belongs here: writing a certificate and refusing one that does not hold. What does not: what a
good figure is (``expectations``) and what is done with a certified candidate (``publish``).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.errors import OretraceError
from ingest.home import PROJECT
from orchestration.candidate import hash_of

CERTIFICATE = "certificate.json"
SEAL = "sealed_sha256"
NEEDED = {"passed", "candidate_sha256", "gate", SEAL}


class PublishRefused(OretraceError):
    """The candidate has no matching, passing certificate, or what is published was tampered with; it stays."""


def write_certificate(
    path: Path,
    candidate: Path,
    *,
    run_id: str,
    report: Mapping[str, Any],
    vintages: Any,
    sources: Any = None,
    inputs: Any = None,
) -> None:
    """Write the certificate of an audited candidate, atomically.

    Args:
        path: where to.
        candidate: what was audited, a DuckDB file or a folder of Parquet files; its hash is what the certificate
            vouches for.
        run_id: the run that audited it.
        report: the gate's report, with ``passed`` and the checks.
        vintages: source vintages the candidate was made of.
        sources: by source, the editions that were read, live or embedded, and what could not be fetched.
        inputs: fingerprint of all inputs and its parts; empty where they are not known.
    """
    content = {
        "candidate_sha256": hash_of(candidate),
        "passed": bool(report["passed"]),
        "run_id": run_id,
        "git_commit": _git_commit(),
        "audited": datetime.now(UTC).isoformat(timespec="seconds"),
        "vintages": vintages,
        "sources": sources or {},
        "inputs": inputs or {},
        "gate": report,
    }
    plain = json.loads(json.dumps(content, default=str))  # dates and the like as they will be read back
    partial = path.with_suffix(".partial")
    with partial.open("w") as stream:
        stream.write(json.dumps(plain | {SEAL: _seal(plain)}, indent=1) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def _seal(content: Mapping[str, Any]) -> str:
    """Hash everything that the certificate says, so that an edit of any line is noticed."""
    said = {key: value for key, value in content.items() if key != SEAL}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _git_commit() -> str | None:
    """Read the commit without calling git, which need not be installed where the job runs."""
    head = PROJECT / ".git" / "HEAD"
    if not head.is_file():
        return None
    text = head.read_text().strip()
    if not text.startswith("ref: "):
        return text
    name = text.removeprefix("ref: ")
    loose = PROJECT / ".git" / name
    if loose.is_file():
        return loose.read_text().strip()
    packed = PROJECT / ".git" / "packed-refs"
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), None)


def read_certificate(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Read a certificate once: what is checked is what is published.

    Returns:
        Its bytes and its content.

    Raises:
        PublishRefused: there is none, it is not whole, was edited, or says that the gate did not pass.
    """
    try:
        written = path.read_bytes()
        cert: dict[str, Any] = json.loads(written)
        complete = cert.keys() >= NEEDED and cert["gate"].keys() >= {"passed"}
    except FileNotFoundError:
        raise PublishRefused(
            f"refused: there is no certificate {path}: the candidate did not pass the gate. See: oretrace run"
        ) from None
    except (ValueError, AttributeError):
        complete = False
    if not complete:
        raise PublishRefused(f"refused: {path} is not a certificate. Run the gate again: oretrace run")
    if cert[SEAL] != _seal(cert):
        raise PublishRefused(f"refused: {path} was edited after the gate wrote it. Run the gate again: oretrace run")
    if cert["passed"] is not True or cert["gate"]["passed"] is not True:
        raise PublishRefused(f"refused: the certificate {path} says that the gate did not pass.")
    return written, cert
