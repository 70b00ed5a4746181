"""What a suite file may say, and what is said to whoever writes a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.rules import SUITES, BadSuite, load_suite, load_suites

GOOD = """
mart: mart_x
key: [material, year]
checks:
  - name: share_within_0_and_1
    expect: ExpectColumnValuesToBeBetween
    with: {min_value: 0, max_value: 1}
    columns: [share, share_low]
    severity: critical
    reason: >
      A share is a part
      of a whole.
  - name: nothing_lost
    query: select * from previous.mart_x anti join mart_x using (material, year)
    key: [material]
    expect: ExpectTableRowCountToEqual
    with: {value: 0}
    min_rows: 0
    severity: warning
    reason: Coverage never shrinks.
"""


def write(folder: Path, text: str, name: str = "mart_x.yaml") -> Path:
    """Put a suite file into a folder."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_suite_file_gives_one_check_per_column_and_keeps_reason_and_severity(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, GOOD))
    assert [check.name for check in suite.checks] == [
        "share_within_0_and_1.share",
        "share_within_0_and_1.share_low",
        "nothing_lost",
    ]
    first, _, last = suite.checks
    assert first.arguments == {"column": "share", "min_value": 0, "max_value": 1}
    assert (first.reason, first.key, first.min_rows) == ("A share is a part of a whole.", ("material", "year"), 1)
    assert (last.severity, last.key, last.min_rows) == ("warning", ("material",), 0)


def test_a_check_knows_which_tables_of_the_last_release_it_reads(tmp_path: Path) -> None:
    first, _, last = load_suite(write(tmp_path, GOOD)).checks
    assert first.previous_tables == ()
    assert last.previous_tables == ("mart_x",)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("severity: warning", "severity: fatal", "'fatal' is not one of critical, warning"),
        ("    reason: Coverage never shrinks.", "", "check nothing_lost: missing reason"),
        ("reason: Coverage never shrinks.", "reason: ' '", "reason is empty"),
        ("min_rows: 0", "min_row: 0", "unknown min_row"),
        ("min_rows: 0", "min_rows: none", "min_rows must be a int"),
        ("min_rows: 0", "min_rows: true", "min_rows must be a int, found True"),
        ("min_rows: 0", "min_rows: -1", "min_rows is negative"),
        ("with: {value: 0}", "with: 0", "with must be a dict"),
        ("expect: ExpectTableRowCountToEqual", "expect: table_row_count", "not the name of an expectation"),
        ("name: nothing_lost", "name: share_within_0_and_1.share", "appears twice"),
        ("columns: [share, share_low]", "columns: [share, share]", "appears twice"),
        ("{min_value: 0, max_value: 1}", "{column: share, max_value: 1}", "both `columns` and `with.column`"),
        ("mart: mart_x", "mart: mart_y", "must be named after its mart"),
        ("mart: mart_x", "mart: mart_x\nmart: mart_x", "not valid YAML"),
        ("mart: mart_x", "", "missing mart"),
    ],
)
def test_a_wrong_suite_file_is_refused_with_file_and_fault(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(BadSuite) as refused:
        load_suite(write(tmp_path, GOOD.replace(old, new, 1)))
    assert "mart_x.yaml" in str(refused.value)
    assert said in str(refused.value)


def test_two_checks_that_expect_the_same_are_refused(tmp_path: Path) -> None:
    twice = GOOD + GOOD[GOOD.index("  - name: nothing_lost") :].replace("nothing_lost", "nothing_lost_again")
    with pytest.raises(BadSuite, match="'nothing_lost' and 'nothing_lost_again' expect the same of the same rows"):
        load_suite(write(tmp_path, twice))


def test_an_empty_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSuite, match="a gate without rules would let everything pass"):
        load_suites(tmp_path)
    with pytest.raises(BadSuite, match="expected a mapping"):
        load_suite(write(tmp_path, ""))


def test_every_suite_stops_something_guards_its_key_and_gives_its_reasons() -> None:
    suites = load_suites(SUITES)
    for suite in suites:
        assert any(check.severity == "critical" for check in suite.checks), suite.mart
        # Large marts look for repeated keys with a query, so that not every row has to be read into a frame.
        assert any(
            check.expect.endswith("ToBeUnique")
            or (
                check.expect == "ExpectTableRowCountToEqual"
                and "group by all having count(*) > 1" in " ".join((check.query or "").split())
            )
            for check in suite.checks
        ), suite.mart
        for check in suite.checks:
            assert len(check.reason) > 20, (suite.mart, check.name)
