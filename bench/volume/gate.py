"""The gate on generated trade: every expectation but those that state who trades with whom in the real world.

What belongs here: leaving those out (``world.csv`` says why, one by one) and certifying what holds without them, in
the bench's own home. What does not: the gate, which rightly refuses such figures as they are.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from expectations.docs import begin_docs, write_index
from expectations.gate import audit_mart
from expectations.report import GateReport
from expectations.rules import load_suites
from ingest.home import Home
from ingest.live import noted
from orchestration import dbt
from orchestration.checks import docs_folder, source_vintages
from orchestration.engines.duck import candidate
from orchestration.publish import write_certificate


def left_out() -> set[tuple[str, str]]:
    """Return mart and check of the expectations that generated trade cannot keep."""
    with (Path(__file__).parent / "world.csv").open(encoding="utf-8", newline="") as stream:
        return {(row["mart"], row["check"]) for row in csv.DictReader(stream)}


def certify(home: Home) -> list[str]:
    """Audit the candidate and certify it when all that is asked holds; return what does not."""
    begin_docs(docs_folder(home))
    asked = [
        replace(suite, checks=tuple(one for one in suite.checks if (suite.mart, one.name) not in left_out()))
        for suite in load_suites()
    ]
    parts = [audit_mart(candidate(home), suite, None, docs_folder(home)) for suite in asked]
    outcomes = tuple(outcome for part in parts for outcome in part.outcomes)
    report = GateReport(outcomes, compared=False, engine=parts[0].engine)
    write_index(report, docs_folder(home))
    failed = [one.message for one in report.failures if one.severity == "critical"]
    failed += [f"dbt test: {line}" for line in dbt.failed_tests(home)]
    if not failed:
        write_certificate(
            dbt.certificate(home),
            candidate(home),
            run_id="bench",
            report=report.to_dict(),
            vintages=source_vintages(home),
            sources=noted(home),
            inputs={},
        )
    return failed
