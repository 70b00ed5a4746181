"""Tables that outgrow memory: written a year at a time, read as one, and made in pieces equal to the whole."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from ingest.chain_inputs import traced_years
from ingest.errors import SourceChanged
from ingest.schemas import CANONICAL
from ingest.sources.baci_release import read_release
from ingest.tables import parts, table_hash, write_scanned, years_together, years_written
from ingest.transforms import stage_flow, stage_production, trade_flow
from tests.baci_release import HEADER, row, trade_flows, write_release

YEARS = (2022, 2023, 2024)
FRAME = pl.DataFrame({"year": [2024, 2022, 2024, 2023], "x": [1, 2, 3, 4]}, schema={"year": pl.Int32, "x": pl.Int32})


def test_a_table_has_a_file_a_year_and_is_read_as_one(tmp_path: Path) -> None:
    path = tmp_path / "trade_flow.parquet"
    write_scanned(FRAME.lazy(), path)
    assert [part.name for part in parts(path)] == ["2022.parquet", "2023.parquet", "2024.parquet"]
    assert pl.read_parquet(path).rows() == [(2022, 2), (2023, 4), (2024, 1), (2024, 3)]
    again = tmp_path / "again" / "trade_flow.parquet"
    write_scanned(FRAME.lazy(), again)
    assert table_hash(again) == table_hash(path)
    write_scanned(FRAME.with_columns(x=pl.col("x") + 1).lazy(), again)
    assert table_hash(again) != table_hash(path)
    write_scanned(FRAME.clear().lazy(), path)
    assert pl.read_parquet(path).equals(FRAME.clear())


def test_a_write_that_breaks_off_leaves_the_table_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "trade_flow.parquet"
    write_scanned(FRAME.lazy(), path)
    before = table_hash(path)
    with pytest.raises(RuntimeError), years_written(path, FRAME.schema) as writer:
        writer.add(FRAME.filter(year=2024))
        raise RuntimeError
    assert table_hash(path) == before
    assert [item.name for item in tmp_path.iterdir()] == ["trade_flow.parquet"]
    with pytest.raises(FileExistsError), years_written(path, FRAME.schema) as writer:
        writer.add(FRAME)
        writer.add(FRAME.filter(year=2024))


def test_a_year_that_is_a_file_already_is_linked_and_not_written_again(tmp_path: Path) -> None:
    file, path = tmp_path / "2024.parquet", tmp_path / "made" / "trade_flow.parquet"
    FRAME.filter(year=2024).write_parquet(file)
    write_scanned(FRAME.lazy(), path, {2024: file})
    assert (path / "2024.parquet").samefile(file)
    assert pl.read_parquet(path).rows() == [(2022, 2), (2023, 4), (2024, 1), (2024, 3)]
    write_scanned(FRAME.filter(year=2024).lazy(), path, {2024: file})
    assert [part.name for part in parts(path)] == ["2024.parquet"], "no rows are left to be written"
    write_scanned(FRAME.filter(year=2022).lazy(), path)
    assert pl.read_parquet(file).height == 2, "what was linked stays when the table is written anew"


def test_years_are_worked_on_together_up_to_a_number_of_rows() -> None:
    assert list(years_together({1: 5, 2: 5, 3: 1, 4: 20, 5: 3}, 10)) == [[1, 2], [3], [4], [5]]
    assert list(years_together({}, 10)) == []


@pytest.fixture
def trade(tmp_path: Path) -> pl.DataFrame:
    """Three years; of one code no flow of the middle one has a weight, though the world's total has."""
    lines = {
        year: [
            row(year, 156, 842, "850511", "100", "NA" if year == 2023 else str(year - 2020)),
            row(year, 392, 842, "850511", "40", "NA" if year == 2023 else "1"),
            row(year, 156, 392, "284690", "70", "10"),
            row(year, 842, 156, "284690", "30", "NA" if year == 2024 else "2"),
        ]
        for year in YEARS
    }
    write_release(tmp_path, lines)
    baci = {
        name: frame.with_columns(source=pl.lit("baci"), vintage=pl.lit("V202601"))
        for name, frame in read_release(tmp_path, "V202601").items()
    }
    total = (pl.col("scope") == "world_total") & (pl.col("year") == 2023) & (pl.col("hs_code") == "850511")
    weight = pl.when(total).then(2.5).otherwise("quantity_gross_t")
    return trade_flows(baci)[0].with_columns(quantity_gross_t=weight)


@pytest.fixture
def _a_year_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def single(rows: dict[int, int], _: int = 0) -> Iterator[list[int]]:
        yield from ([year] for year in rows)

    for module in (trade_flow, stage_flow, stage_production):
        monkeypatch.setattr(module, "years_together", single)


@pytest.mark.usefixtures("_a_year_at_a_time")
def test_stage_flows_of_single_years_are_those_of_all_years_together(trade: pl.DataFrame) -> None:
    whole, lost = stage_flow.build({"trade_flow": trade})
    pieces = list(stage_flow.pieces({"trade_flow": trade.lazy()}))
    assert len(pieces) == len(YEARS)
    assert pl.concat([frame for frame, _ in pieces]).sort(whole.columns).equals(whole.sort(whole.columns))
    assert sum(dropped["rows"].sum() for _, dropped in pieces) == lost["rows"].sum()
    borrowed = whole.filter(year=2023, material="rare_earths", stage="component")
    assert borrowed.height == 2
    assert borrowed["quantity_t"].null_count() == 0, "weighed by unit values of the years beside it"


@pytest.mark.usefixtures("_a_year_at_a_time")
def test_output_from_trade_read_year_by_year_is_that_from_all_of_it(trade: pl.DataFrame) -> None:
    flows = stage_flow.build({"trade_flow": trade})[0]
    names = ("production", "us_salient", "supply_share")
    frames = {name: pl.DataFrame(schema=CANONICAL[name].columns) for name in names} | {"stage_flow": flows}
    whole, _ = stage_production.build(frames)
    ((piece, _),) = stage_production.pieces({name: frame.lazy() for name, frame in frames.items()})
    assert whole.filter(method="derived_balance").height > 0
    assert piece.sort(whole.columns).equals(whole.sort(whole.columns))


def test_a_release_is_read_unpacked_as_it_is_zipped(tmp_path: Path) -> None:
    lines = {year: [row(year, 156, 842), row(year, 516, 842, "999999")] for year in YEARS}
    zipped = write_release(tmp_path / "zip", lines)
    loose = tmp_path / "loose"
    loose.mkdir()
    with zipfile.ZipFile(zipped) as pack:
        pack.extractall(loose)
    for table, frame in read_release(tmp_path / "zip", "V202601").items():
        assert frame.equals(read_release(loose, "V202601")[table])
    (loose / "BACI_HS22_Y2023_V202601.csv").unlink()
    with pytest.raises(SourceChanged, match="lacks years 2023"):
        read_release(loose, "V202601")
    (loose / "BACI_HS22_Y2023_V202601.csv").write_text(f"{HEADER}\n{row(2022, 156, 842)}\n")
    with pytest.raises(SourceChanged, match="t is not 2023"):
        read_release(loose, "V202601")


def test_years_with_whole_trade_and_published_output_are_traced() -> None:
    flow = {"flow": "R", "hs_code": "850511", "source": "baci", "scope": "all_pairs"}
    rows = [
        {"year": 2019, "quantity_gross_t": 1.0, **flow},  # nobody published output
        {"year": 2020, "quantity_gross_t": 1.0, **flow},
        {"year": 2021, "quantity_gross_t": None, **flow},  # no weights, but the year before has them
        {"year": 2023, "quantity_gross_t": None, **flow},  # nor has the year beside it
        {"year": 2024, "quantity_gross_t": 1.0, **flow, "scope": "world_total"},  # no flow
        {"year": 2025, "quantity_gross_t": 1.0, **flow, "source": "comtrade"},  # no network
        *({"year": 2027, "quantity_gross_t": weight, **flow} for weight in (1.0, None, None)),  # few weights
    ]
    types = dict.fromkeys(flow, pl.String) | {"year": pl.Int32, "quantity_gross_t": pl.Float64}
    made = [(year, "reported") for year in (2018, 2020, 2021, 2022, 2023, 2024, 2025, 2026, 2027)] + [
        (2019, "derived_balance")
    ]
    output = pl.LazyFrame(made, schema={"year": pl.Int32, "method": pl.String}, orient="row")
    assert traced_years(pl.LazyFrame(rows, schema=types), output) == [2020, 2021]
