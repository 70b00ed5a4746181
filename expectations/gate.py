"""The gate as the rest of the program sees it: audit a candidate, get a report.

What belongs here: the public entry. What does not: what to do with the answer; publishing refuses
without a passing certificate (``orchestration``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from expectations import helpers
from expectations.adapter import evaluate
from expectations.docs import begin_docs, write_index, write_page
from expectations.report import GateReport
from expectations.rules import SUITES, Suite, load_suites


def audit(
    candidate: Path,
    previous: Path | None = None,
    docs_folder: Path | None = None,
    suites_folder: Path = SUITES,
    remote: str = "",
) -> GateReport:
    """Hold a candidate warehouse to every suite; the file is opened read-only and closed again.

    Where helpers are ready they share the marts; the outcomes are the same.

    Args:
        candidate: DuckDB file with the marts; with ``remote`` a folder of Parquet files.
        previous: published file of the last release; None on the first release, or to accept a
            change that the comparison with the last release would stop.
        docs_folder: where Data Docs go; None writes none.
        suites_folder: where the suites are.
        remote: Spark Connect server that reads and judges; empty for processes here.

    Returns:
        The report; ``report.passed`` when every critical check holds.

    Raises:
        OretraceError: a file cannot be opened, or a suite is malformed.
    """
    suites = load_suites(suites_folder)
    if docs_folder is not None:
        begin_docs(docs_folder)
    if helpers.ready():
        # Most work first, so that no helper begins a long one when the others are done.
        order = sorted(range(len(suites)), key=lambda place: _work(suites[place]), reverse=True)
        tasks = [(candidate, suites[place], previous, docs_folder, remote) for place in order]
        found = dict(zip(order, helpers.spread(audit_mart, tasks), strict=True))
    else:
        found = {
            place: audit_mart(candidate, suite, previous, docs_folder, remote) for place, suite in enumerate(suites)
        }
    report = GateReport(
        tuple(outcome for place in range(len(suites)) for outcome in found[place].outcomes),
        compared=previous is not None,
        engine=found[0].engine,
        seconds=_added([report.seconds for report in found.values()]),
    )
    if docs_folder is not None:
        write_index(report, docs_folder)
    return report


def audit_mart(
    candidate: Path, suite: Suite, previous: Path | None, docs_folder: Path | None, remote: str = ""
) -> GateReport:
    """Hold one mart to its suite and write its page."""
    evaluation = evaluate(candidate, [suite], previous, remote)
    report = evaluation.report
    if docs_folder is not None:
        started = perf_counter()
        write_page(evaluation, docs_folder)
        report = replace(report, seconds={**report.seconds, "docs": round(perf_counter() - started, 3)})
    return report


def _added(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Seconds by step, of all marts together; helpers spend them side by side."""
    steps = dict.fromkeys(step for part in parts for step in part)
    return {step: round(sum(part.get(step, 0.0) for part in parts), 3) for step in steps}


def _work(suite: Suite) -> int:
    """A guess at the work: each query costs about as much as five more checks of its rows."""
    return len(suite.checks) + 5 * len({check.query for check in suite.checks})
