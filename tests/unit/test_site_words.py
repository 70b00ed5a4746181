"""Figures, intervals, missing values and hostile strings as the site writes them."""

from __future__ import annotations

import json
from datetime import date

import jinja2
import pytest

from website import words
from website.cells import Reasons
from website.render import HERE, as_json, code_marks, embedded


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "–"), (0.0, "0"), (0.0004, "<0.1"), (0.004, "0.4"), (0.012, "1"), (0.766, "77"), (0.9915, "99.2"),
     (0.9996, ">99.9"), (1.0, "100")],
)  # fmt: skip
def test_a_share_is_never_rounded_to_none_or_all(share: float | None, text: str) -> None:
    assert words.percent(share) == text


def test_bounds_stand_beside_a_share_unless_they_say_the_same() -> None:
    assert words.share_with_interval(0.83, 0.73, 0.98) == "83 (73–98)"
    assert words.share_with_interval(0.83, 0.8301, 0.8302) == "83"
    assert words.share_with_interval(None, 0.1, 0.2) == "–"
    assert words.interval(0.1, None) == ""


def test_printed_tokens_stay_as_printed() -> None:
    assert words.reliance(">95", 97.0) == ">95"
    assert words.reliance("E", None) == "E (net exporter)"
    assert words.reliance(None, -3.0) == "net exporter"
    assert words.reliance(None, None) == "–"
    assert words.printed("W", None) == "W (withheld)"
    assert words.printed("<0.1%", 0.0) == "<0.1%"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (0.1234, "0.123"),
        (12.34, "12.3"),
        (0.73, "0.730"),
        (60.0, "60"),
        (0.0000123, "1.23e−05"),
        (1234.5, "1,234"),
        (-1234.5, "−1,234"),
    ],
)
def test_numbers_keep_three_digits(value: float | None, text: str) -> None:
    assert words.number(value) == text


def test_a_difference_has_a_sign_and_no_negative_zero() -> None:
    assert [words.points(value) for value in (0.206, -0.0003, -0.008, None)] == ["+21", "0", "−0.8", "–"]


def test_dates_are_written_as_far_as_they_are_known() -> None:
    moment = date(2010, 9, 7)
    assert [words.day(moment, precision) for precision in ("year", "month", "day")] == ["2010", "2010-09", "2010-09-07"]
    assert words.day(None) == ""


def test_what_holds_in_which_years_is_told_in_runs() -> None:
    assert words.runs([(2002, "value"), (2003, "value"), (2004, "tonnes")]) == "2002–2003 value; 2004 tonnes"


def test_a_name_makes_a_safe_file_name() -> None:
    assert words.slug("../../etc/passwd") == "etc-passwd"
    assert words.slug("<b>&\"'") == "b"
    assert words.slug("…") == "unnamed"


def test_reasons_are_marked_with_letters_without_end() -> None:
    reasons = Reasons()
    marks = [reasons.mark(f"reason {number}") for number in range(28)]
    assert [marks[0], marks[25], marks[26], marks[27]] == ["a", "z", "aa", "ab"]
    assert reasons.mark("reason 26") == "aa"


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028"


def test_hostile_text_cannot_leave_a_data_script() -> None:
    text = str(embedded({"name": HOSTILE}))
    assert "<" not in text
    assert json.loads(text) == {"name": HOSTILE}
    assert "\u2028" not in as_json(HOSTILE)


def test_hostile_text_is_shown_not_run() -> None:
    env = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True)
    assert "<img" not in env.from_string("{{ text }}").render(text=HOSTILE)
    assert str(code_marks("`<b>` & <i>")) == "<code>&lt;b&gt;</code> &amp; &lt;i&gt;"
