"""The pages of ``docs/marts`` tell what the published warehouse says: every mart has one, every example is its output.

An example is a ```sql block followed by a ```text block, which holds what ``oretrace query`` prints for it. To write
the outputs of the warehouse under test into the pages, after a change that is meant to move figures, run

    ORETRACE_WRITE_PAGES=1 .venv/bin/python -m pytest tests/pipeline/test_mart_pages.py

and read the difference before it is committed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from ingest.home import PROJECT
from orchestration.query import read_sql
from orchestration.render import print_table
from tests.pipeline.conftest import oretrace

pytestmark = pytest.mark.xdist_group("pipeline")

Run = tuple[Path, subprocess.CompletedProcess[str]]

FOLDER = PROJECT / "docs" / "marts"
INDEX = "README.md"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != INDEX)
WRITE = os.environ.get("ORETRACE_WRITE_PAGES") == "1"
# The longest table on a page is the list of all materials of the EU study.
MOST_LINES = 60

_EXAMPLE = re.compile(r"^```sql\n(?P<sql>.*?)^```\n\s*^```text\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SQL = re.compile(r"^```sql$", re.MULTILINE)
_TABLE = re.compile(r"\b(?:mart|dim)_[a-z0-9_]+\b")


def examples(page: Path) -> list[tuple[str, str]]:
    """Return the SQL and the text of every example of a page."""
    return [(found["sql"], found["text"]) for found in _EXAMPLE.finditer(page.read_text())]


def plain(text: str) -> list[str]:
    """Return lines without the blanks that pad the last column."""
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def answer(sql: str) -> list[str]:
    """Return what ``oretrace query`` prints, through the same two functions."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print_table(read_sql(sql))
    return plain(out.getvalue())


def described(page: Path) -> set[str]:
    """Return the tables that a page names before its first section: in the heading or where it says what a row is."""
    return set(_TABLE.findall(page.read_text().split("\n## ")[0]))


def heading(page: Path) -> str:
    """Return the first line of a page."""
    return page.read_text().splitlines()[0]


@pytest.fixture
def published(first_run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first run's home, to which this process's queries go too."""
    monkeypatch.setenv("ORETRACE_HOME", str(first_run[0]))
    return first_run[0]


def test_every_published_table_has_a_page_and_every_page_is_of_published_tables(published: Path) -> None:
    release = (published / "warehouse" / "oretrace.duckdb").resolve().parent
    package = json.loads((release / "datapackage.json").read_text())
    tables = {Path(resource["path"]).stem for resource in package["resources"] if resource["path"].endswith(".parquet")}
    assert len(tables) > 15
    assert tables - set().union(*map(described, PAGES)) == set()
    for page in PAGES:
        named = set(_TABLE.findall(heading(page)))
        assert named, f"{page.name}: its heading names no table"
        assert named <= tables, f"{page.name}: its heading names a table that is not published"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_of_a_page_prints_what_the_page_shows(published: Path, page: Path) -> None:
    found = examples(page)
    assert found, f"{page.name} has no example"
    assert len(found) == len(_SQL.findall(page.read_text())), f"{page.name} has a query without its output"
    if WRITE:
        page.write_text(rewritten(page.read_text()))
        found = examples(page)
    for sql, text in found:
        lines = answer(sql)
        assert len(lines) <= MOST_LINES, f"{page.name}: an example this long is no example"
        assert plain(text) == lines, f"{page.name}: {sql}\nnow prints\n" + "\n".join(lines)


def rewritten(text: str) -> str:
    """Return a page with the outputs of the warehouse under test."""
    return _EXAMPLE.sub(
        lambda found: f"```sql\n{found['sql']}```\n\n```text\n" + "\n".join(answer(found["sql"])) + "\n```", text
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_asks_a_question_and_says_what_a_row_is_and_where_it_ends(page: Path) -> None:
    text = page.read_text()
    for part in ("**Question.**", "**Row.**", "## Limits", "## Inputs"):
        assert part in text, f"{page.name} has no {part}"


def test_the_index_has_a_line_for_every_page_and_nothing_that_is_not_there() -> None:
    index = FOLDER / INDEX
    lines = [f"- [{page.name}]({page.name}): {heading(page).removeprefix('# ')}" for page in PAGES]
    expected = "\n".join([index.read_text().split("\n- ")[0], *lines]) + "\n"
    if WRITE:
        index.write_text(expected)
    assert index.read_text() == expected


def test_the_command_line_prints_the_same_as_the_page(published: Path) -> None:
    page = FOLDER / "dependence_by_stage.md"
    sql, text = examples(page)[0]
    done = oretrace("query", sql, home=published)
    assert done.returncode == 0, done.stderr
    assert plain(done.stdout) == plain(text)


def test_a_changed_figure_or_a_query_without_output_is_seen(tmp_path: Path, published: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sql\nselect 1 as one\n```\n\n```text\none\n  2\n```\n\n```sql\nselect 2\n```\n")
    found = examples(page)
    assert len(found) == 1
    assert len(_SQL.findall(page.read_text())) == 2
    assert plain(found[0][1]) != answer(found[0][0])
    assert "one\n  1\n```" in rewritten(page.read_text())
