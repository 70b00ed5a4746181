"""The user's stock file is read whole or refused whole, with file, line and column."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ingest.errors import BadInput
from ingest.home import Home
from ingest.user_stock import path_of, read_user_stock
from tests.pipeline.conftest import oretrace

HEADER = "holder,material,form,quantity,unit,as_of,source,basis,note"
GOOD = "JPN,rare_earths,compound,1200,t,2025-03-31,own estimate,REO,"


def _home(folder: Path, text: str | bytes) -> Home:
    home = Home(folder)
    path_of(home).parent.mkdir(parents=True)
    path_of(home).write_bytes(text if isinstance(text, bytes) else text.encode())
    return home


def _refusal(folder: Path, text: str | bytes) -> str:
    home = _home(folder, text)
    with pytest.raises(BadInput) as caught:
        read_user_stock(home)
    message = str(caught.value)
    assert str(path_of(home)) in message
    assert caught.value.exit_code == 2
    return message


def test_without_a_file_the_user_holds_nothing(tmp_path: Path) -> None:
    assert read_user_stock(Home(tmp_path)).is_empty()


def test_a_good_file_becomes_tonnes_with_the_user_as_source(tmp_path: Path) -> None:
    rows = read_user_stock(_home(tmp_path, f"{HEADER}\n{GOOD}\nKOR,gallium,metal,2500,kg,2024-12-31,press,,a note\n"))
    assert rows.select("holder", "material", "form", "quantity_t", "as_of").rows() == [
        ("JPN", "rare_earths", "compound", 1200.0, date(2025, 3, 31)),
        ("KOR", "gallium", "metal", 2.5, date(2024, 12, 31)),
    ]
    assert rows.select("source", "vintage", "reference", "evidence").row(1) == (
        "user",
        "2024-12-31",
        "press",
        "reported",
    )


def test_a_byte_order_mark_blank_lines_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf" + f"{HEADER}\r\n\r\n{GOOD}\r\n".encode()
    assert read_user_stock(_home(tmp_path, text)).height == 1


def test_basis_and_note_may_be_left_out(tmp_path: Path) -> None:
    text = "quantity,unit,holder,material,form,as_of,source\n0,t,EUU,tin,metal,2025-01-01,x\n"
    assert read_user_stock(_home(tmp_path, text))["quantity_t"].to_list() == [0.0]


@pytest.mark.parametrize(
    ("cell", "wrong", "column", "expected"),
    [
        ("1200", "-5", "quantity", "at least 0"),
        ("1200", '"1,5"', "quantity", "decimal point"),
        ("1200", '"1,200.5"', "quantity", "a number such as"),
        ("1200", "nan", "quantity", "a number such as"),
        ("1200", "", "quantity", "a number such as"),
        ("1200", "9" * 400, "quantity", "a number such as"),
        ("compound", "oxide", "form", "a stage: mine, intermediate, compound"),
        ("rare_earths", "unobtainium", "material", "materials.csv"),
        ("JPN", "Japan", "holder", "alpha-3"),
        ("JPN", "WLD", "holder", "alpha-3"),
        (",t,", ",lb,", "unit", "one of t, kg"),
        ("2025-03-31", "31.03.2025", "as_of", "YYYY-MM-DD"),
        ("2025-03-31", "2025-02-30", "as_of", "YYYY-MM-DD"),
        ("own estimate", "", "source", "where the figure is from"),
        ("REO", "gross", "basis", "'REO'"),
    ],
)
def test_a_bad_cell_is_refused_with_line_and_column(
    tmp_path: Path, cell: str, wrong: str, column: str, expected: str
) -> None:
    message = _refusal(tmp_path, f"{HEADER}\nUSA,tin,metal,1,t,2025-01-01,x,,\n{GOOD.replace(cell, wrong, 1)}\n")
    assert f"line 3, column {column}: expected" in message
    assert expected in message
    found = wrong.strip(',"')
    assert f"found {found!r}" in message


def test_a_day_to_come_is_refused(tmp_path: Path) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    assert "not later than today" in _refusal(tmp_path, f"{HEADER}\n{GOOD.replace('2025-03-31', tomorrow)}\n")


def test_an_unquoted_decimal_comma_is_refused_as_one_cell_too_many(tmp_path: Path) -> None:
    message = _refusal(tmp_path, f"{HEADER}\n{GOOD.replace('1200', '1,5')}\n")
    assert "line 2: expected 9 cells, found 10 cells" in message
    assert "decimal point" in message


def test_a_missing_an_unknown_and_a_repeated_column_are_named(tmp_path: Path) -> None:
    message = _refusal(tmp_path, f"{HEADER.replace('quantity', 'tonnes').replace('note', 'unit')}\n{GOOD}\n")
    assert "line 1, column quantity: expected this column" in message
    assert "line 1, column 'tonnes': expected one of holder, material" in message
    assert "line 1, column unit: expected each column once" in message


def test_the_same_holder_material_and_form_twice_is_refused(tmp_path: Path) -> None:
    again = GOOD.replace("1200", "7")
    message = _refusal(tmp_path, f"{HEADER}\n{GOOD}\n{again}\n")
    assert "line 3, column holder, material, form: expected one row" in message
    assert "found that of line 2 again" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: expected the columns holder, material"),
        (f"{HEADER}\n", "line 2: expected at least one row"),
        (HEADER.replace(",", ";") + "\n", "line 1, column holder: expected this column"),
        (f'{HEADER}\n"JPN,rare_earths\n', "expected comma-separated cells"),
        (
            f"{HEADER}\n{GOOD}\n".encode().replace(b"own", b"M\xfcller"),
            "line 2: expected text in UTF-8, found byte 0xfc",
        ),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "line 1: expected text in UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str | bytes, says: str) -> None:
    assert says in _refusal(tmp_path, text)


def test_every_wrong_line_is_named_up_to_ten(tmp_path: Path) -> None:
    bad = "\n".join(f"USA,tin,metal,-{number},t,2025-01-01,x,," for number in range(1, 13))
    message = _refusal(tmp_path, f"{HEADER}\n{bad}\n")
    assert "line 2, column quantity" in message
    assert "line 5, column" in message
    assert "and 13 more" in message  # twelve quantities and eleven repeated keys, ten shown


def test_a_bad_file_stops_the_run_with_exit_code_2_before_anything_is_built(tmp_path: Path) -> None:
    home = _home(tmp_path, f"{HEADER}\n{GOOD.replace('1200', '-1')}\n")
    done = oretrace("run", home=tmp_path)
    assert done.returncode == 2
    assert "line 2, column quantity: expected a quantity of at least 0, found '-1'" in done.stderr
    assert "Traceback" not in done.stderr
    built = [path for path in tmp_path.rglob("*") if path.is_file() and path != path_of(home)]
    # What is left is the alert that nothing was built.
    assert {path.relative_to(tmp_path).parts[0] for path in built} == {"alerts"}
