"""Runs suites with Great Expectations on frames read from the candidate.

What belongs here: evaluating expectations, and deciding whether an answer may be believed. What does not: reading
frames (``pandas_frames``, ``spark_frames``), the rules (``rules``, ``suites/``) and what follows from an outcome.

A check holds only when Great Expectations says so, nothing was raised, every row of the frame was looked at, and at
least ``min_rows`` rows had a value to judge.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from expectations import pandas_frames
from expectations.frames import Frame, Frames
from expectations.report import FAILED, PASSED, SKIPPED, GateReport, Outcome
from expectations.rules import BadSuite, Check, Suite

SAMPLE_ROWS = 10
NARROW = 10  # columns
_COLUMN_ARGUMENTS = ("column", "column_A", "column_B")


@dataclass(frozen=True)
class Evaluation:
    """The report, and per mart the results of Great Expectations for its pages."""

    report: GateReport
    results: Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class _Run:
    """What a run reads and asks: Great Expectations, its batches, the frames."""

    gx: Any
    batches: Any
    frames: Frames

    def missing_for(self, check: Check) -> tuple[str, ...]:
        """Tables of the last release that the check reads and that release does not have."""
        return tuple(name for name in check.previous_tables if name not in (self.frames.previous or ()))


@dataclass(frozen=True)
class _Seen:
    """What was counted of a frame without Great Expectations, and its rows where they are shown.

    Attributes:
        total: its rows.
        judged: of these, the rows that had a value to judge.
        first: the first rows, where there should have been none.
    """

    total: int
    judged: int
    first: tuple[Mapping[str, Any], ...] = ()


def run_suites(candidate: Path, suites: Sequence[Suite], previous: Path | None = None, remote: str = "") -> GateReport:
    """Evaluate suites on a candidate warehouse, which is opened read-only.

    Args:
        candidate: DuckDB file with the marts; with ``remote`` a folder of Parquet files.
        suites: what must hold.
        previous: the published file of the last release, or None for the first.
        remote: Spark Connect server that reads and judges; empty for this process.

    Raises:
        OretraceError: a file cannot be opened.
        BadSuite: an expectation does not exist or does not take its arguments.
    """
    return evaluate(candidate, suites, previous, remote).report


def evaluate(candidate: Path, suites: Sequence[Suite], previous: Path | None = None, remote: str = "") -> Evaluation:
    """Like ``run_suites``, keeping what Great Expectations answered."""
    started = time.perf_counter()
    gx = great_expectations()
    imported = time.perf_counter()
    outcomes: list[Outcome] = []
    results: dict[str, tuple[Any, ...]] = {}
    with _open(candidate, previous, remote) as frames:
        run = _Run(gx, frames.batches(gx), frames)
        for suite in suites:
            found = _run_suite(run, suite)
            outcomes.extend(outcome for outcome, _ in found)
            results[suite.mart] = tuple(result for _, result in found if result is not None)
        engine = f"great_expectations {gx.__version__} {frames.engine}".strip()
    seconds = {"import": imported - started, "evaluate": time.perf_counter() - imported}
    report = GateReport(
        tuple(outcomes),
        compared=previous is not None,
        engine=engine,
        seconds={step: round(value, 3) for step, value in seconds.items()},
    )
    return Evaluation(report, results)


def _open(candidate: Path, previous: Path | None, remote: str) -> AbstractContextManager[Frames]:
    if remote:
        from expectations import spark_frames  # what only a large installation needs

        return spark_frames.open_candidate(remote, candidate, previous)
    return pandas_frames.open_candidate(candidate, previous)


@cache
def great_expectations() -> Any:
    """Import Great Expectations on first use (about five seconds), analytics off."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    return gx


def _run_suite(run: _Run, suite: Suite) -> list[tuple[Outcome, Any]]:
    """Evaluate one suite; checks that read the same frame share it. Order of the suite is kept."""
    answers: dict[str, tuple[Outcome, Any]] = {}
    groups: dict[str | None, list[Check]] = {}
    for check in suite.checks:
        if missing := run.missing_for(check):
            why = "there is no earlier release." if run.frames.previous is None else f"it has no {', '.join(missing)}."
            found = f"not compared with the last release: {why}"
            answers[check.name] = (_outcome(suite.mart, check, SKIPPED, found), None)
        else:
            groups.setdefault(check.query, []).append(check)
    for query, checks in groups.items():
        try:
            answers.update(_run_group(run, suite.mart, query, checks))
        except run.frames.unreadable as error:
            found = f"its rows could not be read: {_line(error)}."
            answers.update({check.name: (_outcome(suite.mart, check, FAILED, found), None) for check in checks})
    return [answers[check.name] for check in suite.checks]


def _run_group(run: _Run, mart: str, query: str | None, checks: Sequence[Check]) -> dict[str, tuple[Outcome, Any]]:
    """Evaluate the checks of one frame.

    Rows are put in order only when some are to be shown: sorting takes longer than judging.
    """
    expectations = {check.name: build_expectation(run.gx, mart, check) for check in checks}
    sql = query.rstrip().rstrip(";") if query else _mart_query(run.frames, mart, checks)
    key = {column for check in checks for column in check.key}
    found: dict[str, tuple[Outcome, Any]] = {}
    for ordered in (False, True):
        with run.frames.read(sql, ordered=ordered) as frame:
            names = run.frames.names(frame)
            # A query of few columns is about these; of a mart the key is enough. The judged value is added anyway.
            narrow = query is not None and (len(names) <= NARROW or not key)
            shown = [column for column in names if narrow or column in key]
            results = _validate(run, mart, expectations, frame, shown)
            if not ordered and not all(result.success for result in results.values()):
                continue
            seen = _see(run.frames, frame, checks, results)
            for check in checks:
                result = results.get(check.name)
                found[check.name] = (_judge(mart, check, names, seen[check.name], result), result)
            break
    return found


def _see(frames: Frames, frame: Frame, checks: Sequence[Check], results: Mapping[str, Any]) -> dict[str, _Seen]:
    """Count the rows of a frame and those with a value to judge; keep the first where there should be none."""
    groups = [_judged_columns(check, frames.names(frame)) for check in checks]
    total, *judged = frames.counts(frame, [(), *groups])
    seen = {}
    for check, rows in zip(checks, judged, strict=True):
        result = results.get(check.name)
        unwanted = result is not None and not result.success and _expects_no_rows(check)
        seen[check.name] = _Seen(total, rows, tuple(frames.first(frame, SAMPLE_ROWS)) if unwanted else ())
    return seen


def _expects_no_rows(check: Check) -> bool:
    return check.expect == "ExpectTableRowCountToEqual" and check.arguments.get("value") == 0


def _mart_query(frames: Frames, mart: str, checks: Sequence[Check]) -> str:
    """Columns of a mart that the checks name; one that is not there is left for its check to miss."""
    there = frames.columns(mart)
    wanted = {name for check in checks for name in (*check.key, *_named_columns(check))}
    columns = [name for name in there if name in wanted] or there
    selected = ", ".join(f'"{name}"' for name in columns)
    return f'select {selected} from "{mart}"'


def _named_columns(check: Check) -> list[str]:
    """Columns an expectation judges."""
    single = [check.arguments[name] for name in _COLUMN_ARGUMENTS if name in check.arguments]
    return [*single, *check.arguments.get("column_list", ())]


def build_expectation(gx: Any, mart: str, check: Check) -> Any:
    """Make the expectation a check names.

    Raises:
        BadSuite: no such expectation, or it does not take these arguments.
    """
    where = f"{mart}.yaml: check {check.name}"
    kind = getattr(gx.expectations, check.expect, None)
    if kind is None:
        raise BadSuite(f"{where}: Great Expectations has no {check.expect}.")
    try:
        return kind(**check.arguments, meta={"check": check.name}, severity=check.severity, notes=check.reason)
    except (ValueError, TypeError) as error:
        raise BadSuite(f"{where}: {check.expect} does not take these arguments: {_line(error)}.") from None


def _validate(run: _Run, name: str, expectations: Mapping[str, Any], frame: Frame, shown: list[str]) -> dict[str, Any]:
    """Evaluate expectations on one frame; results by check name, none for a check without an answer."""
    suite = run.gx.ExpectationSuite(name)
    for expectation in expectations.values():
        suite.add_expectation(expectation)
    wanted: dict[str, Any] = {"result_format": "SUMMARY", "partial_unexpected_count": SAMPLE_ROWS}
    if shown:
        wanted["unexpected_index_column_names"] = shown
    answered = run.batches.get_batch({"dataframe": frame}).validate(suite, result_format=wanted).results
    return {result.expectation_config.meta["check"]: result for result in answered}


def _judge(mart: str, check: Check, names: Sequence[str], seen: _Seen, result: Any) -> Outcome:
    """Turn an answer of Great Expectations into an outcome, believing no more than is proven."""
    if result is None:
        return _outcome(mart, check, FAILED, "Great Expectations gave no answer.")
    if raised := _raised(result.exception_info):
        return _outcome(mart, check, FAILED, f"it could not be evaluated: {raised}.")
    answer = plain(dict(result.result))
    rows = seen.judged
    sample = _sample(check, names, seen, answer, passed=bool(result.success))
    observed = answer.get("observed_value", answer.get("unexpected_count"))
    failing = None if result.success else answer.get("unexpected_count", seen.total if sample else None)
    details = {"observed": observed, "rows": rows, "sample": sample, "failing": failing}
    if not result.success:
        return _outcome(mart, check, FAILED, _describe(observed, sample, seen.total, answer), **details)
    if rows < check.min_rows:
        found = f"it saw {rows} rows with a value and needs at least {check.min_rows}."
        return _outcome(mart, check, FAILED, found, **details)
    if answer.get("element_count", seen.total) != seen.total:
        found = f"Great Expectations looked at {answer['element_count']} of {seen.total} rows."
        return _outcome(mart, check, FAILED, found, **details)
    return _outcome(mart, check, PASSED, "", **{**details, "sample": ()})


def _outcome(mart: str, check: Check, status: str, found: str, **details: Any) -> Outcome:
    """An outcome of a check; ``details`` are observed value, rows and sample."""
    details = {"observed": None, "rows": 0, "sample": (), "failing": None, **details}
    return Outcome(
        mart=mart,
        check=check.name,
        expectation=check.wording,
        severity=check.severity,
        status=status,
        reason=check.reason,
        found=found,
        **details,
    )


def _raised(info: Mapping[str, Any]) -> str | None:
    """The first exception in a result, which holds one entry, or one per metric."""
    entries = [info] if "raised_exception" in info else [entry for entry in info.values() if isinstance(entry, dict)]
    for entry in entries:
        if entry.get("raised_exception"):
            return _line(entry.get("exception_message") or "an exception without a message")
    return None


def _judged_columns(check: Check, names: Sequence[str]) -> tuple[str, ...]:
    """Columns that must have a value for a row to be judged; none where every row is."""
    columns = tuple(_named_columns(check)) if "column_list" not in check.arguments else ()
    if check.expect == "ExpectColumnValuesToNotBeNull" or not set(columns) <= set(names):
        return ()
    return columns


def _sample(
    check: Check, names: Sequence[str], seen: _Seen, answer: Mapping[str, Any], *, passed: bool
) -> tuple[Mapping[str, Any], ...]:
    """The first offending rows; for a frame that should have had no rows, its first ones."""
    if passed:
        return ()
    if _expects_no_rows(check):
        return tuple(plain(row) for row in seen.first)
    rows = answer.get("partial_unexpected_index_list") or ()
    # The judged value beside the key: a page shows the first columns.
    order = [*check.key, *_named_columns(check), *names]
    return tuple({name: row[name] for name in dict.fromkeys(order) if name in row} for row in rows[:SAMPLE_ROWS])


def _describe(observed: object, sample: Sequence[Mapping[str, Any]], rows: int, answer: Mapping[str, Any]) -> str:
    """What was found, in words: the first offending row and how many there are."""
    if not sample:
        return f"found {_show(observed)}."
    shown = ", ".join(f"{name}={_show(value)}" for name, value in sample[0].items())
    count = answer.get("unexpected_count", rows)
    return f"found {shown} ({count} of {rows} rows)."


def _show(value: object) -> str:
    """A value in a message."""
    return f"{value:.6g}" if isinstance(value, float) and not value.is_integer() else str(value)


def plain(value: Any) -> Any:
    """Numpy and pandas values as plain Python for JSON; not-a-number and not-a-time become None."""
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(entry) for entry in value]
    if hasattr(value, "isoformat"):
        return None if str(value) == "NaT" else value.isoformat()
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _line(error: object) -> str:
    """An error text as one line without a final stop."""
    return re.sub(r"\s+", " ", str(error)).strip().rstrip(".")
