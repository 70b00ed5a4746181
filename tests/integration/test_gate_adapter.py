"""What must fail does fail: the adapter against real DuckDB files and the real Great Expectations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.adapter import run_suites
from expectations.report import FAILED, PASSED, SKIPPED, GateReport, Outcome
from expectations.rules import BadSuite, Check, Suite
from ingest.errors import OretraceError

MART = """
    create table mart_x as select * from (values
        ('cobalt', 'COD', 2024, 0.6, 0.55, 0.65), ('cobalt', 'IDN', 2024, 0.4, 0.35, 0.45),
        ('nickel', 'IDN', 2024, 1.0, 0.95, 1.00)
    ) t(material, country, year, share, share_low, share_high)
"""
BETWEEN: Mapping[str, Any] = {"column": "share", "min_value": 0, "max_value": 1}


def database(path: Path, *statements: str) -> Path:
    """A DuckDB file after these statements."""
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A candidate whose only mart holds plausible shares."""
    return database(tmp_path / "candidate.duckdb", MART)


def check(expect: str, arguments: Mapping[str, Any], **others: Any) -> Check:
    """A check on shares."""
    settings = {"name": "the_check", "reason": "because it is so", "key": ("material", "country", "year"), **others}
    return Check(expect=expect, arguments=arguments, **settings)


def run(candidate: Path, *checks: Check, previous: Path | None = None) -> GateReport:
    """Run checks as the suite of mart_x."""
    return run_suites(candidate, [Suite("mart_x", checks)], previous)


def only(report: GateReport) -> Outcome:
    """The one outcome of a report."""
    (outcome,) = report.outcomes
    return outcome


def test_a_rule_that_holds_passes_and_says_on_how_many_rows(good: Path) -> None:
    report = run(good, check("ExpectColumnValuesToBeBetween", BETWEEN))
    assert report.passed
    assert (only(report).status, only(report).rows, only(report).sample) == (PASSED, 3, ())


def test_a_share_of_1_7_fails_naming_mart_expectation_row_value_and_reason(tmp_path: Path) -> None:
    bad = database(tmp_path / "c.duckdb", MART, "update mart_x set share = 1.7 where country = 'COD'")
    report = run(bad, check("ExpectColumnValuesToBeBetween", BETWEEN, reason="A share is a part of a whole."))
    outcome = only(report)
    assert not report.passed
    assert outcome.sample == ({"material": "cobalt", "country": "COD", "year": 2024, "share": 1.7},)
    for part in ("mart_x", "the_check", "ExpectColumnValuesToBeBetween", "COD", "1.7", "A share is a part of a whole."):
        assert part in outcome.message


def test_the_false_comparison_that_passes_through_sqlalchemy_fails_here(good: Path) -> None:
    query = "select 1000000 as found, 7 as wanted"
    equal = check("ExpectColumnPairValuesToBeEqual", {"column_A": "found", "column_B": "wanted"}, query=query, key=())
    outcome = only(run(good, equal))
    assert outcome.status == FAILED
    assert "found=1000000" in outcome.message


def test_a_wrong_sum_fails_with_the_sum_as_observed_value(good: Path) -> None:
    outcome = only(run(good, check("ExpectColumnSumToBeBetween", {"column": "share", "min_value": 5, "max_value": 6})))
    assert (outcome.status, outcome.observed) == (FAILED, 2.0)
    assert "found 2.0." in outcome.message


@pytest.mark.parametrize(
    ("expect", "arguments"),
    [
        ("ExpectCompoundColumnsToBeUnique", {"column_list": ["material", "year"]}),
        ("ExpectColumnValuesToNotBeNull", {"column": "empty"}),
        ("ExpectTableRowCountToBeBetween", {"min_value": 4}),
        ("ExpectColumnValuesToBeInSet", {"column": "country", "value_set": ["COD"]}),
        ("ExpectColumnPairValuesAToBeGreaterThanB", {"column_A": "share_low", "column_B": "share", "or_equal": True}),
        ("ExpectColumnValuesToMatchRegex", {"column": "country", "regex": "^[a-z]{3}$"}),
    ],
)
def test_each_kind_of_rule_the_suites_use_can_fail(tmp_path: Path, expect: str, arguments: Mapping[str, Any]) -> None:
    candidate = database(tmp_path / "c.duckdb", MART, "alter table mart_x add column empty varchar")
    assert only(run(candidate, check(expect, arguments))).status == FAILED


def test_an_expectation_that_raises_fails_with_what_was_raised(good: Path) -> None:
    outcome = only(run(good, check("ExpectColumnValuesToBeBetween", {"column": "material", "max_value": 1})))
    assert outcome.status == FAILED
    assert "could not be evaluated" in outcome.message


def test_a_missing_column_fails_and_the_other_checks_on_the_frame_are_still_judged(good: Path) -> None:
    lost = check("ExpectColumnValuesToBeBetween", {"column": "nowhere", "max_value": 1}, name="lost")
    report = run(good, lost, check("ExpectColumnValuesToBeBetween", BETWEEN))
    assert [outcome.status for outcome in report.outcomes] == [FAILED, PASSED]
    assert '"nowhere"' in report.failures[0].message


def test_a_missing_mart_and_a_broken_query_fail_every_check_that_reads_them(good: Path) -> None:
    report = run_suites(good, [Suite("mart_absent", (check("ExpectColumnValuesToBeBetween", BETWEEN),))])
    assert "mart_absent" in only(report).found
    broken = check("ExpectColumnValuesToBeBetween", BETWEEN, query="select share from mart_x where nonsense")
    assert "could not be read" in only(run(good, broken)).message


def test_the_same_rule_on_two_frames_is_judged_on_each(good: Path) -> None:
    checks = [
        check("ExpectColumnValuesToBeBetween", BETWEEN, name=name, query=f"select {share} as share", key=())
        for name, share in (("first", 0.5), ("second", 1.7), ("third", 0.6))
    ]
    assert [outcome.status for outcome in run(good, *checks).outcomes] == [PASSED, FAILED, PASSED]


def test_rules_met_by_no_row_fail_unless_none_is_allowed(tmp_path: Path) -> None:
    empty = database(tmp_path / "c.duckdb", MART, "delete from mart_x")
    outcome = only(run(empty, check("ExpectColumnValuesToBeBetween", BETWEEN)))
    assert outcome.status == FAILED
    assert "saw 0 rows with a value and needs at least 1" in outcome.message
    assert run(empty, check("ExpectColumnValuesToBeBetween", BETWEEN, min_rows=0)).passed


def test_a_column_of_nulls_does_not_count_as_evaluated(tmp_path: Path) -> None:
    nulls = database(tmp_path / "c.duckdb", MART, "update mart_x set share = null")
    assert only(run(nulls, check("ExpectColumnValuesToBeBetween", BETWEEN))).status == FAILED


def test_rows_that_should_not_be_there_are_shown(good: Path) -> None:
    query = "select country, share from mart_x where share > 0.5"
    outcome = only(run(good, check("ExpectTableRowCountToEqual", {"value": 0}, query=query, key=(), min_rows=0)))
    assert outcome.sample == ({"country": "COD", "share": 0.6}, {"country": "IDN", "share": 1.0})
    assert outcome.failing == 2
    assert "country=COD, share=0.6 (2 of 2 rows)" in outcome.message


def test_a_sample_holds_at_most_ten_rows_and_says_how_many_there_are(tmp_path: Path) -> None:
    many = database(tmp_path / "c.duckdb", "create table mart_x as select i, 2.0 as share from range(50) t(i)")
    outcome = only(run(many, check("ExpectColumnValuesToBeBetween", BETWEEN, key=("i",))))
    assert [row["i"] for row in outcome.sample] == list(range(10))
    assert outcome.failing == 50
    assert "(50 of 50 rows)" in outcome.message


def test_a_comparison_with_the_last_release_is_made_or_skipped_never_passed_unseen(tmp_path: Path, good: Path) -> None:
    query = "select p.country from previous.mart_x p anti join mart_x c using (country)"
    lost = check("ExpectTableRowCountToEqual", {"value": 0}, query=query, key=(), min_rows=0)
    assert only(run(good, lost)).status == SKIPPED
    older = database(tmp_path / "older.duckdb", MART, "insert into mart_x values ('cobalt', 'AUS', 2024, 0, 0, 0)")
    outcome = only(run(good, lost, previous=older))
    assert (outcome.status, outcome.sample) == (FAILED, ({"country": "AUS"},))
    assert run(good, lost, previous=database(tmp_path / "same.duckdb", MART)).passed
    without = database(tmp_path / "without.duckdb", "create table other as select 1 as one")
    assert only(run(good, lost, previous=without)).status == SKIPPED


def test_a_warning_is_reported_and_does_not_stop_publication(good: Path) -> None:
    report = run(good, check("ExpectTableRowCountToEqual", {"value": 9}, severity="warning"))
    assert report.passed
    assert [outcome.severity for outcome in report.failures] == ["warning"]


@pytest.mark.parametrize(
    ("expect", "arguments", "said"),
    [
        ("ExpectTheImpossible", {}, "has no ExpectTheImpossible"),
        ("ExpectColumnValuesToBeBetween", {"column": "share", "maximum": 1}, "extra fields not permitted"),
        ("ExpectColumnValuesToBeBetween", {"min_value": 0}, "field required"),
    ],
)
def test_a_rule_great_expectations_does_not_know_stops_the_gate(
    good: Path, expect: str, arguments: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(BadSuite, match=said):
        run(good, check(expect, arguments))


def test_a_file_that_is_absent_or_no_database_is_named(tmp_path: Path, good: Path) -> None:
    rule = check("ExpectColumnValuesToBeBetween", BETWEEN)
    with pytest.raises(OretraceError, match=r"absent\.duckdb is not there"):
        run(tmp_path / "absent.duckdb", rule)
    torn = tmp_path / "torn.duckdb"
    torn.write_bytes(b"no database" * 500)
    with pytest.raises(OretraceError, match=r"torn\.duckdb cannot be opened"):
        run(torn, rule)
    with pytest.raises(OretraceError, match=r"last release .*torn\.duckdb cannot be opened"):
        run(good, rule, previous=torn)


def test_the_gate_leaves_the_candidate_as_it_was_and_open_to_a_writer(good: Path) -> None:
    before = good.read_bytes()
    run(good, check("ExpectColumnValuesToBeBetween", BETWEEN))
    assert good.read_bytes() == before
    database(good, "drop table mart_x")


def test_two_audits_of_one_file_give_the_same_report(good: Path) -> None:
    rules = (
        check("ExpectColumnValuesToBeBetween", BETWEEN),
        check("ExpectTableRowCountToEqual", {"value": 9}, name="n"),
    )
    assert run(good, *rules).to_json(timing=False) == run(good, *rules).to_json(timing=False)
