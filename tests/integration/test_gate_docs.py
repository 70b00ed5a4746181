"""The gate as its callers use it, and its pages, which must work without a network."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest

from expectations.gate import audit

SUITE = """
mart: mart_x
key: [material]
checks:
  - name: share_within_0_and_1
    expect: ExpectColumnValuesToBeBetween
    with: {column: share, min_value: 0, max_value: 1}
    severity: critical
    reason: A share is a part of a whole.
  - name: material_is_known
    expect: ExpectColumnValuesToBeInSet
    with: {column: material, value_set: [cobalt, nickel]}
    severity: warning
    reason: Only these two are <expected> & "quoted".
  - name: nothing_lost
    query: select material from previous.mart_x anti join mart_x using (material)
    expect: ExpectTableRowCountToEqual
    with: {value: 0}
    min_rows: 0
    severity: critical
    reason: Coverage never shrinks.
  - name: column_there
    expect: ExpectColumnValuesToNotBeNull
    with: {column: nowhere}
    severity: warning
    reason: A column that is not there raises.
"""


class Loaded(HTMLParser):
    """Collects what a page loads by itself (not what it links to), its tags and its text."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag != "a":
            self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: Path) -> Loaded:
    parser = Loaded()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """A candidate with one share of 1.7 and one unknown material."""
    path = tmp_path / "candidate.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create table mart_x as select * from (values ('cobalt', 1.7), ('<b>', 0.2)) t(material, share)"
        )
    return path


@pytest.fixture
def suites(tmp_path: Path) -> Path:
    """A folder with one suite."""
    folder = tmp_path / "suites"
    folder.mkdir()
    (folder / "mart_x.yaml").write_text(SUITE, encoding="utf-8")
    return folder


def test_an_audit_reports_and_writes_its_pages(tmp_path: Path, candidate: Path, suites: Path) -> None:
    report = audit(candidate, None, tmp_path / "docs", suites)
    assert not report.passed
    assert [outcome.check for outcome in report.failures] == [
        "share_within_0_and_1",
        "material_is_known",
        "column_there",
    ]
    assert sorted(path.name for path in (tmp_path / "docs").iterdir()) == ["index.html", "mart_x.html", "style.css"]
    assert report.seconds.keys() == {"import", "evaluate", "docs"}


def test_no_page_loads_anything_but_its_own_style_sheet(tmp_path: Path, candidate: Path, suites: Path) -> None:
    audit(candidate, None, tmp_path / "docs", suites)
    for page in (tmp_path / "docs").glob("*.html"):
        found = read(page)
        assert found.loads == ["style.css"], page.name
        assert not {"script", "iframe", "img"} & set(found.tags), page.name
    style = (tmp_path / "docs" / "style.css").read_text(encoding="utf-8")
    assert "url(" not in style
    assert "@import" not in style


def test_a_page_shows_status_value_and_reason_and_escapes_what_came_from_data(
    tmp_path: Path, candidate: Path, suites: Path
) -> None:
    audit(candidate, None, tmp_path / "docs", suites)
    page = read(tmp_path / "docs" / "mart_x.html")
    for part in (
        "share_within_0_and_1",
        "1.7",
        "A share is a part of a whole.",
        "skipped",
        'are <expected> & "quoted"',
    ):
        assert part in page.text
    assert "b" not in page.tags
    index = read(tmp_path / "docs" / "index.html")
    assert "gate refused" in index.text
    assert "share=1.7" in index.text


def test_pages_of_an_earlier_run_do_not_stay(tmp_path: Path, candidate: Path, suites: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "mart_gone.html").write_text("old", encoding="utf-8")
    audit(candidate, None, docs, suites)
    assert not (docs / "mart_gone.html").exists()


def test_an_audit_against_the_last_release_compares_and_one_without_skips(
    tmp_path: Path, candidate: Path, suites: Path
) -> None:
    previous = tmp_path / "previous_release.duckdb"
    with duckdb.connect(str(previous)) as connection:
        connection.execute("create table mart_x as select 'tin' as material, 0.5 as share")
    against = {outcome.check: outcome for outcome in audit(candidate, previous, None, suites).outcomes}
    assert against["nothing_lost"].status == "failed"
    assert "tin" in against["nothing_lost"].message
    alone = {outcome.check: outcome for outcome in audit(candidate, None, None, suites).outcomes}
    assert alone["nothing_lost"].status == "skipped"
