"""The report says what failed and why, and survives being written as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from expectations.report import FAILED, PASSED, SKIPPED, GateReport, Outcome

HELD = Outcome(
    mart="mart_a",
    check="share_within_0_and_1",
    expectation="ExpectColumnValuesToBeBetween(column=share, min_value=0, max_value=1)",
    severity="critical",
    status=PASSED,
    observed=0,
    rows=12,
    sample=(),
    reason="A share is a part of a whole.",
)
BROKEN = replace(
    HELD,
    status=FAILED,
    observed=1,
    sample=({"material": "cobalt", "share": 1.7},),
    found="found share=1.7 (1 of 12 rows).",
)
WARNED = replace(BROKEN, mart="mart_b", severity="warning")
SKIPPED_ONE = replace(HELD, mart="mart_b", check="nothing_lost", status=SKIPPED, found="no earlier release.")


def report(*outcomes: Outcome) -> GateReport:
    """A report of outcomes."""
    return GateReport(outcomes, compared=False, engine="engine 1", seconds={"evaluate": 1.5})


def test_a_critical_failure_stops_publication_and_a_warning_or_a_skipped_check_does_not() -> None:
    assert report(HELD).passed
    assert not report(HELD, BROKEN).passed
    assert report(HELD, WARNED, SKIPPED_ONE).passed
    assert report(HELD, WARNED).failures == (WARNED,)


def test_a_report_without_outcomes_has_not_passed() -> None:
    assert not report().passed


def test_a_failure_names_mart_check_expectation_value_and_reason() -> None:
    headline, line = report(HELD, BROKEN).summary_lines()
    assert headline == "gate refused: 2 checks on 1 marts, 1 hold, 1 do not (1 critical)."
    for part in ("mart_a", "share_within_0_and_1", "ExpectColumnValuesToBeBetween", "share=1.7", HELD.reason):
        assert part in line


def test_critical_failures_come_first() -> None:
    assert report(WARNED, BROKEN).failures == (BROKEN, WARNED)


def test_outcomes_are_grouped_by_mart() -> None:
    assert report(HELD, WARNED, SKIPPED_ONE).by_mart() == {"mart_a": [HELD], "mart_b": [WARNED, SKIPPED_ONE]}


def test_a_report_read_back_from_json_is_equal() -> None:
    first = report(HELD, BROKEN, SKIPPED_ONE)
    assert GateReport.from_json(first.to_json()) == first


def test_passed_is_recomputed_when_a_report_is_read() -> None:
    forged = json.loads(report(BROKEN).to_json())
    forged["passed"] = True
    assert not GateReport.from_dict(forged).passed


def test_timing_is_no_part_of_a_report_s_identity() -> None:
    slow = replace(report(HELD), seconds={"evaluate": 99.0})
    assert slow == report(HELD)
    assert slow.to_json(timing=False) == report(HELD).to_json(timing=False)
    assert slow.to_json() != report(HELD).to_json()
