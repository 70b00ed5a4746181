"""Data scripts of the site hold once what comes back, and lose nothing."""

from __future__ import annotations

from website.packing import many, one, table

ROW = "<tr><th>Mine</th><td>–</td><td>–</td></tr>"


def test_pieces_that_come_back_are_held_once_and_the_html_can_be_put_together_again() -> None:
    html = ROW + ROW.replace("Mine", "Metal") + "<p>after"
    file = one({"html": html})
    assert "".join(file["shared"][place] for place in file["part"]["html"]) == html
    assert len(set(file["shared"])) == len(file["shared"]) < len(file["part"]["html"])


def test_importers_of_a_file_share_pieces_years_and_notes() -> None:
    series = {"mine": {"y": [2023, 2024], "s": [["CHN", [1.0, None]]], "note": "by value"}}
    file = many({"DEU": {"html": ROW, "series": series}, "FRA": {"html": ROW, "series": series}})
    assert file["parts"]["DEU"] == file["parts"]["FRA"]
    packed = file["parts"]["FRA"]["series"]["mine"]
    assert file["shared"][packed["y"]] == [2023, 2024]
    assert file["shared"][packed["note"]] == "by value"
    assert packed["s"] == series["mine"]["s"]


def test_a_chart_names_its_columns_once_and_keeps_what_is_missing() -> None:
    assert table({"rows": [{"a": 1}, {"a": None, "b": 2}], "domain": ["x"]}) == {
        "columns": ["a", "b"], "rows": [[1, None], [None, 2]], "domain": ["x"],
    }  # fmt: skip
    assert table({"rows": []}) == {"rows": []}
    assert table({"sellers": [["CHN", 1, 1]]}) == {"sellers": [["CHN", 1, 1]]}
