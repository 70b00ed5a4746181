"""Two sets of intervals are compared only where they are of the same figures; files are whole or not there."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ingest.errors import BadInput
from ingest.home import Home
from orchestration.ensemble import Cell, cells, materials, note, write_whole
from tracing.chains import KEYS
from tracing.ensemble import BOUNDS, NotComparable, compare

MEASURES = ("face_value_share", "made_in_share", "processed_in_share")


def exposure(**more: float) -> pl.DataFrame:
    """Two rows around 0.5, intervals from 0.4 to 0.6; ``more`` sets columns of the first row."""
    first: dict[str, object] = dict(zip(KEYS, ("cobalt", 2024, "metal", "DEU", "CHN"), strict=True))
    for name in MEASURES:
        first |= {name: 0.5, f"{name}_low": 0.4, f"{name}_high": 0.6}
    first |= {"processed_in_share_p05": 0.4, "processed_in_share_p95": 0.6, "mine_origin_share": 0.1}
    return pl.DataFrame([first | more, first | {"country": "COD"}])


def test_each_measure_tells_how_far_its_farther_end_moved() -> None:
    found = compare(exposure(), exposure(made_in_share_low=0.38, made_in_share_high=0.605)).rows_by_key(
        "measure", named=True
    )
    assert set(found) == set(BOUNDS)
    (moved,) = found["made_in_share"]
    assert moved["rows"] == 2
    assert moved["moved_max"] == pytest.approx(0.02)
    assert moved["moved_mean"] == pytest.approx(0.01)
    assert moved["width_mean"] == pytest.approx(0.2)
    assert moved["over_a_point"] == 1
    assert found["processed_in_share"][0]["moved_max"] == 0


@pytest.mark.parametrize("name", [*MEASURES, "mine_origin_share"])
def test_figures_that_no_draw_changes_must_be_the_same(name: str) -> None:
    with pytest.raises(NotComparable, match=name):
        compare(exposure(), exposure(**{name: 0.55}))


def test_a_figure_that_only_one_side_knows_is_no_small_difference() -> None:
    one_sided = exposure().with_columns(mine_origin_share=pl.lit(None, pl.Float64))
    with pytest.raises(NotComparable, match="mine_origin_share"):
        compare(exposure(), one_sided)


def test_other_rows_are_not_compared() -> None:
    with pytest.raises(NotComparable, match="2 rows before, 1 after"):
        compare(exposure(), exposure().head(1))


def test_a_file_says_what_it_is_of_and_a_torn_one_says_nothing(tmp_path: Path) -> None:
    path = Cell("cobalt", 2024).path(type("Place", (), {"build": tmp_path})())  # type: ignore[arg-type]
    assert note(path) == {}
    write_whole(exposure(), path, {"oretrace.inputs": "abc", "other": "x"})
    assert note(path) == {"oretrace.inputs": "abc"}
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    path.write_bytes(path.read_bytes()[:-20])
    assert note(path) == {}


def test_an_ensemble_has_the_years_that_the_last_run_traced(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.canonical.mkdir(parents=True)
    pl.DataFrame({"year": [2022, 2021, 2022]}).write_parquet(home.canonical / "traced_coverage.parquet")
    flows = pl.DataFrame({"material": ["cobalt"], "year": [2022], "quantity_t": [1.0]})
    flows.write_parquet(home.canonical / "stage_flow.parquet")
    found = cells(home)
    assert {cell.year for cell in found} == {2021, 2022}
    assert len(found) == 2 * len(materials())
    assert (found[0].material, found[0].year) == ("cobalt", 2022), "the largest first"
    with pytest.raises(BadInput, match="year 2024: not traced; one of 2021, 2022"):
        cells(home, years=[2024])
