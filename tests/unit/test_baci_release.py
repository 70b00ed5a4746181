"""A BACI release is read whole and proven, or refused with the place where it is not as it should be."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import SourceChanged, UnmappedValue
from ingest.sources import baci
from ingest.sources.baci_release import CHECKS, prove_release, read_release
from ingest.sources.baci_year import _repeats
from ingest.transforms import stage_flow
from tests.baci_release import COUNTRIES, row, trade_flows, write_release

YEARS = (2022, 2023, 2024)
Lines = dict[int, list[str]]


def lines(**of_2024: Any) -> Lines:
    """Three years with one flow each; the last is given."""
    return {
        2022: [row(2022, 156, 842)],
        2023: [row(2023, 156, 842)],
        2024: [row(2024, **{"i": 156, "j": 842, **of_2024})],
    }


def flows(folder: Path, years: Lines) -> pl.DataFrame:
    write_release(folder, years)
    return read_release(folder, "V202601")["raw_baci__flows"]


def canonical(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    return trade_flows(baci.SOURCE.read_vintage(folder, "V202601"))


def test_a_row_becomes_dollars_tonnes_and_the_releases_own_countries(tmp_path: Path) -> None:
    found = flows(tmp_path, lines(i=490, j=516, v="1234.567", q="8.9")).filter(year=2024)
    assert found.to_dicts() == [
        {
            "year": 2024,
            "exporter": "S19",
            "importer": "NAM",
            "hs_code": "850511",
            "value_usd": pytest.approx(1_234_567),
            "quantity_gross_t": 8.9,
            "hs_edition": "HS2022",
            "scope": "all_pairs",
        }
    ]


@pytest.mark.parametrize(
    ("printed", "tonnes"),
    [
        ("           NA", None),
        ("NA", None),
        ("", None),
        ("   ", None),
        ("   0.125", 0.125),
        ("0.000", 0.0),
        ("1e3", 1e3),
    ],
)
def test_a_missing_weight_stays_missing_and_a_padded_one_is_read(
    tmp_path: Path, printed: str, tonnes: float | None
) -> None:
    found = flows(tmp_path, lines(q=printed, v="      1.5")).filter(year=2024)
    assert found.select("value_usd", "quantity_gross_t").rows() == [(1500.0, tonnes)]


def test_only_mapped_codes_are_kept_with_their_leading_zero_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    years = lines()
    years[2024] += [row(2024, 842, 156, k) for k in ("10121", "284690", "999999")]
    assert sorted(flows(tmp_path, years).filter(year=2024)["hs_code"]) == ["284690", "850511"]
    monkeypatch.setattr("ingest.sources.baci_year.used_codes", lambda: {"010121", "2846", "2846901000"})
    assert read_release(tmp_path, "V202601")["raw_baci__flows"]["hs_code"].to_list() == ["010121"]
    years[2024][1] = row(2024, 842, 156, "010121")
    assert flows(tmp_path, years)["hs_code"].to_list() == ["010121"]


def test_two_numbers_of_one_country_are_one_country(tmp_path: Path) -> None:
    years = lines()
    years[2024] += [row(2024, 56, 842, v="1", q="2"), row(2024, 58, 842, v="3", q="4")]
    years[2024] += [row(2024, 156, 56, v="1", q="2"), row(2024, 156, 58, v="3", q="NA")]
    found = flows(tmp_path, years).filter((pl.col("exporter") == "BEL") | (pl.col("importer") == "BEL"))
    assert sorted(found.select("exporter", "value_usd", "quantity_gross_t").rows()) == [
        ("BEL", 4000.0, 6.0),
        ("CHN", 4000.0, None),
    ]


def test_totals_are_sums_of_the_flows_and_weights_of_those_that_have_one(tmp_path: Path) -> None:
    years = lines(v="1", q="2")
    years[2024] += [row(2024, 156, 392, v="2", q="NA"), row(2024, 842, 392, v="4", q="8"), row(2024, 392, 392, v="64")]
    years[2024] += [row(2024, 156, 842, "284690", v="16", q="")]
    write_release(tmp_path, years)
    totals = read_release(tmp_path, "V202601")["raw_baci__totals"].filter(year=2024)
    held = totals.select("hs_code", "role", "iso3", "value_usd", "quantity_gross_t").rows()
    assert sorted(held) == [
        ("284690", "exporter", "CHN", 16000.0, None),
        ("284690", "importer", "USA", 16000.0, None),
        ("284690", "world", "WLD", 16000.0, None),
        ("850511", "exporter", "CHN", 3000.0, 2.0),
        ("850511", "exporter", "USA", 4000.0, 8.0),
        ("850511", "importer", "JPN", 6000.0, 8.0),
        ("850511", "importer", "USA", 1000.0, 2.0),
        ("850511", "world", "WLD", 7000.0, 10.0),
    ]


def test_a_release_reaches_the_canonical_tables_without_doubling(tmp_path: Path) -> None:
    years = lines()
    years[2024] += [row(2024, 490, 842), row(2024, 156, 156)]
    write_release(tmp_path, years)
    table, dropped = canonical(tmp_path)
    pairs = table.filter(scope="all_pairs", year=2024)
    assert pairs.select("exporter", "importer", "value_usd").rows() == [
        ("CHN", "USA", 12500.0),
        ("TWN", "USA", 12500.0),
    ]
    assert dropped.select("reason", "rows").rows() == [("trade with itself", 1)]
    by_scope = table.filter(year=2024).group_by("scope").agg(pl.len(), pl.col("value_usd").sum()).sort("scope")
    assert by_scope.rows() == [("all_pairs", 2, 25000.0), ("country_total", 3, 50000.0), ("world_total", 1, 25000.0)]
    staged = stage_flow.build({"trade_flow": table})[0].filter(material="rare_earths", year=2024)
    assert staged["value_usd"].sum() == 25000.0
    assert not {"WLD", "OTH"} & (set(staged["exporter"]) | set(staged["importer"]))


def test_a_release_has_no_links_and_other_tables_may_not_be_empty(tmp_path: Path) -> None:
    write_release(tmp_path, lines())
    assert baci.SOURCE.read_vintage(tmp_path, "V202601")["raw_baci__network"].is_empty()
    write_release(tmp_path, {year: [row(year, 156, 842, "999999")] for year in YEARS})
    with pytest.raises(SourceChanged, match="no rows for raw_baci__flows"):
        baci.SOURCE.read_vintage(tmp_path, "V202601")


def test_a_territory_nobody_mapped_stops_the_run_by_name(tmp_path: Path) -> None:
    write_release(tmp_path, lines(i=849))
    with pytest.raises(UnmappedValue, match=r"'PUS'.*country_aliases\.csv"):
        canonical(tmp_path)


def test_a_proof_says_what_was_proven(tmp_path: Path) -> None:
    years = lines()
    years[2023] += [row(2023, 842, 156, "999999")]
    write_release(tmp_path, years)
    assert prove_release(tmp_path, "V202601") == {
        "hs_edition": "HS2022",
        "years": [2022, 2023, 2024],
        "rows": 4,
        "rows_by_year": {2022: 1, 2023: 2, 2024: 1},
        "countries": 8,
        "products": 4,
        "checks": list(CHECKS),
    }


NAME = "BACI_HS22_Y2024_V202601.csv"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("t,i,j,k,v,q,w\n", r"header 't,i,j,k,v,q,w', expected 't,i,j,k,v,q'"),
        ("t,i,j,k,q,v\n2024,156,842,850511,1,1\n", "header"),
        ("t,i,j,k,v,q\n", "no rows"),
        ("", "header ''"),
        ("t,i,j,k,v,q\n2024,156,842,850511,1,1\n2023,156,392,850511,1,1\n", "line 3: t is not 2024: 2023,156,392"),
        ("t,i,j,k,v,q\n2024,157,842,850511,1,1\n", "line 2: i is not in the country codes: 2024,157"),
        ("t,i,j,k,v,q\n2024,156,60000,850511,1,1\n", "line 2: j is not in the country codes: 2024,156,60000"),
        ("t,i,j,k,v,q\n2024,156,842,850519,1,1\n", "line 2: k is not in the product codes: .*850519"),
        ("t,i,j,k,v,q\n2024,156,842,85051100,1,1\n", "line 2: k is not in the product codes: .*85051100"),
        ("t,i,j,k,v,q\n2024,156,842,850511,0,1\n", "line 2: v is not a number above 0"),
        ("t,i,j,k,v,q\n2024,156,842,850511,-1,1\n", "line 2: v is not a number above 0"),
        ("t,i,j,k,v,q\n2024,156,842,850511,nan,1\n", "line 2: v is not a number above 0"),
        ("t,i,j,k,v,q\n2024,156,842,850511,inf,1\n", "line 2: v is not a number above 0"),
        ("t,i,j,k,v,q\n2024,156,842,850511,,1\n", "line 2: a field is blank"),
        ("t,i,j,k,v,q\n2024,,842,850511,1,1\n", "line 2: a field is blank: 2024,,842"),
        ("t,i,j,k,v,q\n2024,156,842,850511,1,1\n,156,392,850511,1,1\n", "line 3: a field is blank: ,156,392"),
        ("t,i,j,k,v,q\n2024,156,842,850511,NA,1\n", "could not parse `NA`"),
        ("t,i,j,k,v,q\n2024,156,842,8505AA,1,1\n", "could not parse `8505AA`"),
        ("t,i,j,k,v,q\n2024,-156,842,850511,1,1\n", "could not parse `-156`"),
        ("t,i,j,k,v,q\n2024,156,842,850511,1,1,1\n", "more fields"),
        ("t,i,j,k,v,q\n2024,156,842,850511,1,1\n2024,156,842,850511,2,2\n", "lines 2 and 3 are one flow: 2024,156,842"),
        (
            "t,i,j,k,v,q\n2024,842,156,850511,1,1\n2024,156,842,850511,1,1\n2024,842,156,850511,2,2\n",
            "lines 2 and 4 are one flow: 2024,842,156,850511",
        ),
        ("t,i,j,k,v,q\n2024,156,842,850511,1,n.a.\n", r"q is no weight in the row .*n\.a\."),
        ("t,i,j,k,v,q\n2024,156,842,850511,1,-1\n", "q is no weight"),
    ],
)
def test_a_yearly_file_that_is_not_as_it_should_be_is_refused_with_the_place(
    tmp_path: Path, text: str, reason: str
) -> None:
    archive = write_release(tmp_path, lines(), replaced={NAME: text})
    with pytest.raises(SourceChanged, match=reason) as caught:
        read_release(tmp_path, "V202601")
    assert str(archive) in str(caught.value)
    if "q is no weight" not in reason:
        assert NAME in str(caught.value)
        with pytest.raises(SourceChanged, match=reason):
            prove_release(tmp_path, "V202601")


@pytest.mark.parametrize(
    ("replaced", "reason"),
    [
        ({"BACI_HS22_Y2023_V202601.csv": None}, "lacks years 2023 of 2022-2024"),
        ({"BACI_HS22_Y2022_V202601.csv": None}, "lacks years 2022 of 2022-2024"),
        ({"BACI_HS22_Y2024_V202601.csv": None}, "lacks years 2024 of 2022-2024"),
        ({"BACI_HS22_Y2021_V202601.csv": "t,i,j,k,v,q\n"}, r"years \[2021\] before HS22 began in 2022"),
        ({"country_codes_V202601.csv": None}, r"lacks country_codes_V202601\.csv"),
        ({"product_codes_HS22_V202601.csv": None}, r"lacks product_codes_HS22_V202601\.csv"),
        ({"BACI_HS22_Y2024_V202501.csv": "t,i,j,k,v,q\n"}, r"no part of release V202601 of HS22: .*V202501\.csv"),
        ({"BACI_HS17_Y2024_V202601.csv": "t,i,j,k,v,q\n"}, r"no part of release V202601 of HS22: .*HS17"),
        ({"trade_balance.csv": "x"}, r"no part of release V202601 of HS22: trade_balance\.csv"),
        ({"country_codes_V202601.csv": COUNTRIES.replace("iso3", "alpha3")}, "has columns .*alpha3"),
        ({"country_codes_V202601.csv": COUNTRIES + "842,USA again,US,USA\n"}, "lists code 842 twice"),
        ({"country_codes_V202601.csv": COUNTRIES + "999,Nowhere,,\n"}, "no number and alpha-3 code .*Nowhere"),
        ({"country_codes_V202601.csv": ""}, r"country_codes_V202601\.csv: empty CSV"),
        ({"product_codes_HS22_V202601.csv": "code,description\n85 05,x\n"}, "none of the HS: '85 05'"),
    ],
)
def test_a_release_that_is_not_whole_is_refused(tmp_path: Path, replaced: dict[str, str | None], reason: str) -> None:
    write_release(tmp_path, lines(), replaced=replaced)
    with pytest.raises(SourceChanged, match=reason):
        prove_release(tmp_path, "V202601")


def test_a_release_under_another_vintages_name_is_refused(tmp_path: Path) -> None:
    write_release(tmp_path, lines())
    for other in ("V202501", "V2026011", "V202601b"):
        with pytest.raises(SourceChanged, match=f"release V202601, but the vintage is {other}"):
            prove_release(tmp_path, other)
    assert prove_release(tmp_path, "V202601.2")["years"] == list(YEARS)


def test_two_editions_in_one_vintage_are_refused(tmp_path: Path) -> None:
    write_release(tmp_path, lines())
    write_release(tmp_path, {year: [row(year, 156, 842)] for year in range(2017, 2025)}, hs="HS17")
    with pytest.raises(SourceChanged, match=r"expected one BACI_HSxx_V202601\.zip, found BACI_HS17.*BACI_HS22"):
        prove_release(tmp_path, "V202601")


@pytest.mark.parametrize(
    ("hs", "first", "edition"), [("HS92", 1995, "HS1992"), ("HS96", 1996, "HS1996"), ("HS02", 2002, "HS2002")]
)
def test_each_edition_begins_in_its_own_year(tmp_path: Path, hs: str, first: int, edition: str) -> None:
    years = {year: [row(year, 156, 842)] for year in range(first, 2025)}
    write_release(tmp_path, years, hs=hs)
    assert prove_release(tmp_path, "V202601")["hs_edition"] == edition
    del years[first]
    write_release(tmp_path, years, hs=hs)
    with pytest.raises(SourceChanged, match=f"lacks years {first} of {first}-2024"):
        prove_release(tmp_path, "V202601")


def test_product_codes_with_letters_are_listed_but_no_flow_bears_them(tmp_path: Path) -> None:
    codes = "code,description\n850511,Magnets\n9999AA,Not specified\n"
    write_release(tmp_path, lines(), replaced={"product_codes_HS22_V202601.csv": codes})
    assert prove_release(tmp_path, "V202601")["products"] == 1


ENDS = st.sampled_from([56, 58, 156, 392, 490, 516, 842, 849])
FLOW = st.tuples(ENDS, ENDS, st.sampled_from(["10121", "284690", "850511", "999999"]))


@given(st.lists(FLOW, min_size=1, max_size=40))
def test_a_flow_that_stands_twice_is_found_in_any_order_and_no_other(chosen: list[tuple[int, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_release(folder, lines() | {2024: [row(2024, *flow) for flow in chosen]})
        if len(set(chosen)) == len(chosen):
            assert prove_release(folder, "V202601")["rows_by_year"][2024] == len(chosen)
        else:
            with pytest.raises(SourceChanged, match="are one flow: 2024"):
                prove_release(folder, "V202601")


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.data())
def test_a_cell_met_twice_is_found_across_batches(cells: list[int], data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        cells.sort()
    cuts = sorted(data.draw(st.sets(st.integers(1, len(cells)), max_size=4)) | {len(cells)})
    batches = [np.array(cells[a:b], np.int32) for a, b in pairwise([0, *cuts])]
    assert _repeats(batches, 31) == (len(set(cells)) < len(cells))


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    write_release(tmp_path / "raw", lines())
    read_release(tmp_path / "raw", "V202601")
    write_release(tmp_path / "raw", lines(v="0"))
    with pytest.raises(SourceChanged):
        read_release(tmp_path / "raw", "V202601")
    assert not list(scratch.iterdir())
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["BACI_HS22_V202601.zip"]
