"""A month of Census trade as the interface replies, and what of it becomes trade by partner."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.countries import countries
from ingest.errors import IncompletePull, SourceChanged, UnmappedValue
from ingest.mapping import reference
from ingest.sources.census_monthly import EXPORTS, IMPORTS, SOURCE, TABLE, prove_month
from ingest.sources.census_replies import Reply
from ingest.transforms import trade_month

MAGNETS = "8505110070"
Row = dict[str, Any]


def row(code: str, usd: int | str, **other: Any) -> Row:
    kilograms = {"GEN_QY1_MO": "10", "QTY_1_MO": "10", "UNIT_QY1": "KG", "COMM_LVL": "HS10", "time": "2025-01"}
    line = {"I_COMMODITY": MAGNETS, "E_COMMODITY": MAGNETS}
    value = {"GEN_VAL_MO": str(usd), "CON_VAL_MO": str(usd), "ALL_VAL_MO": str(usd)}
    return {"CTY_CODE": code, "CTY_NAME": code, **line, **value, **kilograms, **other}


def reply(path: Path, asked: Reply, rows: Sequence[Row], *, header: Sequence[str] | None = None) -> None:
    names = list(header or (*asked.columns, "COMM_LVL", "time"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([names, *([item.get(name) for name in names] for item in rows)]))


WHOLE = (row("-", 300), row("5700", 200), row("5880", 100), row("0003", 70), row("5XXX", 300))


def month(folder: Path, imports: Sequence[Row] = WHOLE, exports: Sequence[Row] = WHOLE) -> Path:
    reply(folder / "imports-1.json", IMPORTS, imports)
    reply(folder / "exports-1.json", EXPORTS, exports)
    return folder


def read(folder: Path, edition: str = "2025-01") -> pl.DataFrame:
    return SOURCE.read_vintage(folder, edition)[TABLE]


def built(*raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return trade_month.build({TABLE: pl.concat(raw)})


def test_a_month_in_parts_is_read_and_proven(tmp_path: Path) -> None:
    other = {"I_COMMODITY": "2846902082", "GEN_QY1_MO": "", "UNIT_QY1": "X"}
    reply(tmp_path / "imports-2.json", IMPORTS, [row("-", 7, **other), row("5700", 7, **other)])
    proof = prove_month(month(tmp_path), "2025-01")
    assert proof["rows"] == 12
    assert proof["server_total"] == proof["sum_of_countries"] == 300 + 7 + 300
    assert {flow: part["lines"] for flow, part in proof["flows"].items()} == {"M": 2, "X": 1}
    frame = read(tmp_path)
    assert frame.filter(flow="M", hs10="2846902082")["quantity"].to_list() == [None, None]
    assert set(frame["scope"]) == {"all_countries"}
    assert frame.filter(flow="X")["consumption_usd"].null_count() == 5
    assert frame.select("year", "month").unique().row(0) == (2025, 1)


def test_lines_of_codes_nobody_maps_are_left_out(tmp_path: Path) -> None:
    beef = {"I_COMMODITY": "0202203550"}
    frame = read(month(tmp_path, [*WHOLE, row("-", 5, **beef), row("5700", 5, **beef)]))
    assert set(frame["hs10"]) == {MAGNETS}


def test_a_variable_that_comes_back_twice_is_one_column(tmp_path: Path) -> None:
    month(tmp_path)
    twice = [*IMPORTS.columns, "COMM_LVL", "time", "I_COMMODITY"]
    reply(tmp_path / "imports-1.json", IMPORTS, WHOLE, header=twice)
    assert read(tmp_path).filter(flow="M").height == 5
    text = json.loads((tmp_path / "imports-1.json").read_text())
    text[1][-1] = "2846902082"
    (tmp_path / "imports-1.json").write_text(json.dumps(text))
    with pytest.raises(SourceChanged, match="I_COMMODITY comes twice"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ([*IMPORTS.columns, "COMM_LVL", "time", "DISTRICT"], "DISTRICT"),
        ([name for name in (*IMPORTS.columns, "COMM_LVL", "time") if name != "CON_VAL_MO"], "CON_VAL_MO"),
    ],
)
def test_a_new_or_missing_column_is_named(tmp_path: Path, header: list[str], named: str) -> None:
    month(tmp_path)
    reply(tmp_path / "imports-1.json", IMPORTS, WHOLE, header=header)
    with pytest.raises(SourceChanged, match=named):
        read(tmp_path)


@pytest.mark.parametrize(
    ("imports", "says"),
    [
        ([row("-", 300), row("5700", 200), row("5880", 97)], f"{MAGNETS}: 2 countries sum to 297 USD.* is 300"),
        ([row("5700", 200), row("5880", 100)], "total is missing"),
        ([], "no rows for 2025-01"),
    ],
)
def test_a_month_that_does_not_add_up_is_no_vintage(tmp_path: Path, imports: list[Row], says: str) -> None:
    with pytest.raises(IncompletePull, match=says):
        prove_month(month(tmp_path, imports), "2025-01")


def test_each_country_may_be_a_rounded_dollar_off(tmp_path: Path) -> None:
    near = [row("-", 302), row("5700", 200), row("5880", 100)]
    assert prove_month(month(tmp_path, near), "2025-01")["server_total"] == 602
    with pytest.raises(IncompletePull):
        prove_month(month(tmp_path, [row("-", 303), *near[1:]]), "2025-01")


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (row("5700", 200, time="2025-02"), "2025-02"),
        (row("5700", 200, COMM_LVL="HS6"), "HS6"),
        (row("5700", "12.5"), "GEN_VAL_MO|value_usd '12.5'"),
        (row("5700", 200, GEN_VAL_MO=None), "no whole number"),
        (row("5700", 200, GEN_QY1_MO="(D)"), r"quantity '\(D\)'"),
        (row("CHN", 200), "country_code 'CHN'"),
        (row("5880", 200), "twice"),
        (row("5700", 200, I_COMMODITY="850511007"), "hs10 '850511007'"),
    ],
)
def test_a_row_of_another_form_stops_the_reading(tmp_path: Path, bad: Row, says: str) -> None:
    with pytest.raises(SourceChanged, match=says):
        prove_month(month(tmp_path, [row("-", 300), row("5880", 100), bad]), "2025-01")


@pytest.mark.parametrize("text", ["<html>busy</html>", "{}", "[]", '["a", "b"]', '[["a"], ["b", "c"]]', '[["a"], 3]'])
def test_a_reply_that_is_no_table_is_named(tmp_path: Path, text: str) -> None:
    month(tmp_path)
    (tmp_path / "imports-1.json").write_text(text)
    with pytest.raises(SourceChanged, match=r"imports-1\.json"):
        read(tmp_path)


def test_a_repeated_page_is_not_counted_twice(tmp_path: Path) -> None:
    reply(tmp_path / "imports-2.json", IMPORTS, WHOLE)
    with pytest.raises(SourceChanged, match="twice"):
        read(month(tmp_path))


def test_a_series_is_named_by_its_newest_month(tmp_path: Path) -> None:
    shown = {"CTY_NAME": "VIETNAM", "E_COMMODITY_SDESC": "MAGNETS", "COMM_LVL": "HS10", "CTY_CODE": "5520"}
    series = pl.DataFrame(
        [{**shown, "E_COMMODITY": MAGNETS, "ALL_VAL_MO": str(n), "time": f"2025-0{n}"} for n in (1, 2, 3)]
    )
    series.write_parquet(tmp_path / "5520data-combined.parquet")
    frame = read(tmp_path, "2025-03-series")
    assert frame["value_usd"].to_list() == [1, 2, 3]
    assert set(frame["scope"]) == {"selected_partners"}
    for other in ("2025-04-series", "2025-03"):
        with pytest.raises(SourceChanged, match=f"is the vintage 2025-03-series, not {other}"):
            read(tmp_path, other)


def test_groups_are_no_partners_and_the_total_is_the_world(tmp_path: Path) -> None:
    table, dropped = built(read(month(tmp_path)))
    imports = table.filter(flow="M")
    assert dict(imports.select("partner", "value_usd").iter_rows()) == {"WLD": 300, "CHN": 200, "JPN": 100}
    assert dropped.select("reason", "rows").rows() == [("a group of countries, no partner", 4)]


def test_codes_of_one_country_are_added_up(tmp_path: Path) -> None:
    parts = [row("-", 30), row("5082", 10), row("5083", 20)]
    found = built(read(month(tmp_path, parts)))[0].filter(flow="M", partner="PSE").row(0, named=True)
    assert (found["value_usd"], found["quantity_kg"], found["evidence"]) == (30, 20, "derived")


@pytest.mark.parametrize(
    ("quantity", "unit", "usd", "kilograms"),
    [
        ("10", "KG", 200, 10.0),
        ("2500", "GM", 200, 2.5),
        ("3", "T", 200, 3000.0),
        ("10", "NO", 200, None),
        ("", "KG", 200, None),
        ("0", "KG", 200, None),
        ("0", "KG", 0, 0.0),
        ("0", "X", 200, None),
    ],
)
def test_only_a_known_mass_is_kilograms(
    tmp_path: Path, quantity: str, unit: str, usd: int, kilograms: float | None
) -> None:
    rows = [row(code, usd, GEN_QY1_MO=quantity, UNIT_QY1=unit) for code in ("-", "5700")]
    found = built(read(month(tmp_path, rows)))[0].filter(flow="M", partner="CHN")
    assert found["quantity_kg"].to_list() == [kilograms]
    assert found["unit_printed"].item() == unit


@pytest.mark.parametrize(
    ("odd", "file"), [({"CTY_CODE": "4805"}, "census_countries.csv"), ({"UNIT_QY1": "BBL"}, "census_units.csv")]
)
def test_a_code_or_unit_nobody_mapped_names_the_file(tmp_path: Path, odd: Row, file: str) -> None:
    raw = read(month(tmp_path, [row("-", 200), row("5700", 200) | odd]))
    with pytest.raises(UnmappedValue, match=f"{next(iter(odd.values()))}.*{file}"):
        built(raw)


def test_a_whole_month_wins_over_selected_partners_and_then_the_newest(tmp_path: Path) -> None:
    whole = read(month(tmp_path))
    newer = whole.with_columns(pl.col("value_usd") * 2, vintage=pl.lit("2025-01-b"))
    chosen = {"scope": pl.lit("selected_partners"), "vintage": pl.lit("2026-01-series")}
    china = whole.filter(flow="X", country_code="5700")
    february = china.with_columns(**chosen, month=pl.lit(2, pl.Int32))
    japan = whole.filter(flow="X", country_code="5880").with_columns(**chosen | {"vintage": pl.lit("2025-09-series")})
    table, dropped = built(whole, newer, china.with_columns(**chosen), february, japan.with_columns(month=2))
    assert set(table.filter(month=1)["vintage"]) == {"2025-01-b"}
    assert table.filter(month=1, flow="X", partner="CHN")["value_usd"].item() == 400
    assert table.filter(month=2)["partner"].sort().to_list() == ["CHN", "JPN"]
    counted = dict(dropped.group_by("reason").agg(pl.col("rows").sum()).iter_rows())
    assert counted["a whole month of all countries holds it"] == 1
    assert counted["a newer vintage holds the month"] == whole.height


def test_every_country_code_leads_to_a_known_country() -> None:
    codes = reference("census_countries.csv")
    raw = pl.DataFrame(
        {
            "flow": "M",
            "hs10": MAGNETS,
            "country_code": codes["country_code"],
            "country": "",
            "year": 2025,
            "month": 1,
            "value_usd": 1,
            "consumption_usd": 1,
            "quantity": 1,
            "unit": "KG",
            "scope": "all_countries",
            "source": "census_monthly",
            "vintage": "2025-01",
        }
    )
    partners = built(raw)[0]["partner"]
    assert set(partners) <= set(countries()["iso3"])
    assert partners.len() > 220
    assert "USA" not in partners
