"""Small audited candidates for the tests of publication."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from orchestration.certificate import write_certificate

PASSING = {"passed": True, "checks": []}


def build(folder: Path, value: float = 71.0, name: str = "candidate.duckdb") -> Path:
    """Build a candidate of two marts; ``value`` is the one figure in it."""
    path = folder / name
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as db:
        db.execute("create table mart_claims (claim varchar, verdict varchar)")
        db.execute("insert into mart_claims values ('a', 'reproduced'), ('b', 'differs')")
        db.execute(
            "create table mart_dependence_by_stage (importer varchar, material varchar, stage varchar, year int, "
            "nir_pct double, top_supplier_import_share double)"
        )
        db.execute(f"insert into mart_dependence_by_stage values ('USA','rare_earths','compound',2024,53,{value}/100)")
    return path


def certify(candidate: Path, report: Mapping[str, object] | None = None) -> Path:
    """Write the certificate of a candidate beside it."""
    path = candidate.parent / "certificate.json"
    write_certificate(path, candidate, run_id="r", report=report or PASSING, vintages={"usgs_mcs": ["2026"]})
    return path


def published_value(target: Path) -> float:
    """Read the one figure as any reader would, through the published link."""
    with duckdb.connect(str(target / "oretrace.duckdb"), read_only=True) as db:
        row = db.execute("select top_supplier_import_share from mart_dependence_by_stage").fetchone()
    assert row is not None
    return float(row[0])
