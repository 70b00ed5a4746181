"""The gate as the rest of the program sees it: audit a candidate, get a report.

What belongs here: the public entry. What does not: what to do with the answer; publishing refuses
without a passing certificate (``orchestration``).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter

from expectations.adapter import evaluate
from expectations.report import GateReport
from expectations.rules import SUITES, load_suites


def audit(
    candidate: Path, previous: Path | None = None, docs_folder: Path | None = None, suites_folder: Path = SUITES
) -> GateReport:
    """Hold a candidate warehouse to every suite; the file is opened read-only and closed again.

    Args:
        candidate: DuckDB file with the marts.
        previous: published file of the last release; None on the first release, or to accept a
            change that the comparison with the last release would stop.
        docs_folder: where Data Docs go; None writes none.
        suites_folder: where the suites are.

    Returns:
        The report; ``report.passed`` when every critical check holds.

    Raises:
        OretraceError: a file cannot be opened, or a suite is malformed.
    """
    evaluation = evaluate(candidate, load_suites(suites_folder), previous)
    report = evaluation.report
    if docs_folder is not None:
        from expectations.docs import write_docs

        started = perf_counter()
        write_docs(evaluation, docs_folder)
        report = replace(report, seconds={**report.seconds, "docs": round(perf_counter() - started, 3)})
    return report
