"""Who counts as an ally: the project's table, the user's own, and what is refused in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import BadInput
from ingest.transforms import ally, run

HEADER = "importer,ally,source,since\n"


@pytest.fixture
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORETRACE_HOME", str(tmp_path))
    (tmp_path / "user").mkdir()
    return tmp_path / "user" / "allies.csv"


def table():
    return run(ally.TRANSFORM, {})[0]


def test_the_projects_table_serves_where_the_user_has_none(own_file):
    rows = table()
    assert set(rows["origin"]) == {"reference"}
    assert {("USA", "EUU"), ("EUU", "USA"), ("USA", "JPN")} <= set(rows.select("importer", "ally").iter_rows())


def test_the_users_table_takes_the_place_of_the_projects(own_file):
    own_file.write_text(HEADER + 'USA,AUS,"treaty, of 1951",1951\n\nKOR,EUU,mine,2024\n')
    rows = table()
    assert rows.select("importer", "ally", "since").rows() == [("KOR", "EUU", 2024), ("USA", "AUS", 1951)]
    assert set(rows["origin"]) == {"user"} and set(rows["evidence"]) == {"assumed"}


def test_a_table_without_rows_means_that_nobody_is_an_ally(own_file):
    own_file.write_text(HEADER)
    assert table().height == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("importer,ally,since\nUSA,JPN,2022\n", "line 1: expected the columns importer, ally, source, since"),
        (HEADER + "USA,JPN,mine,2022\nUSA,Japan,mine,2022\n", "line 3, column ally: 'Japan'"),
        (HEADER + "WLD,JPN,mine,2022\n", "line 2, column importer: 'WLD'"),
        (HEADER + "\nUSA,JPN,mine,20.2\n", "line 3, column since: '20.2'"),
        (HEADER + 'USA,JPN,mine,"2022,0"\n', "line 2, column since: '2022,0'"),
        (HEADER + "USA,JPN,mine,-5\n", "line 2, column since: '-5'"),
        (HEADER + "USA,JPN,,2022\n", "line 2, column source: ''"),
        (HEADER + "USA,USA,mine,2022\n", "line 2, column ally: 'USA'"),
        (HEADER + "USA,JPN,mine,2022\nUSA,JPN,again,2023\n", "line 3, column ally: 'JPN'"),
        (HEADER + "USA,JPN,mine, yours,2022\n", "line 2: 5 cells, expected 4"),
        ("", "line 1: expected the columns"),
    ],
)
def test_a_bad_table_is_refused_by_file_line_and_column(own_file, text, said):
    own_file.write_text(text)
    with pytest.raises(BadInput) as refused:
        table()
    assert said in str(refused.value) and str(own_file) in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_table_in_another_encoding_is_refused(own_file):
    own_file.write_bytes((HEADER + "USA,JPN,Verträge,2022\n").encode("cp1252"))
    with pytest.raises(BadInput, match="not UTF-8"):
        table()
