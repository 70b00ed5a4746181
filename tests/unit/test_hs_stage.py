"""The stage map and its overrides keep their own rules."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ingest.errors import OretraceError
from ingest.home import REFERENCE
from ingest.transforms import hs_stage
from ingest.transforms.hs_stage import stage_map, stage_overrides


def test_every_row_names_its_source_and_confidence() -> None:
    for table in (stage_map(), stage_overrides()):
        for column in ("source", "confidence", "evidence"):
            assert table.filter(pl.col(column).fill_null("").str.strip_chars() == "").is_empty(), column


def test_basis_is_the_one_the_material_is_counted_in() -> None:
    basis = pl.read_csv(REFERENCE / "materials.csv").select("material", wanted="basis")
    assert stage_map().join(basis, on="material").filter(pl.col("basis") != pl.col("wanted")).is_empty()
    assert set(stage_overrides()["material"]) <= set(stage_map()["material"])


def test_baskets_without_a_documented_share_are_left_blank() -> None:
    blank = stage_map().filter(pl.col("basket_share").is_null())
    assert {"811292", "253090", "282590"} <= set(blank["hs_code"])
    assert "850511" not in set(blank["hs_code"])


def test_magnet_alloy_counts_as_oxide_equivalent_not_as_metal() -> None:
    factor = stage_map().row(
        by_predicate=(pl.col("hs_code") == "850511") & (pl.col("material") == "rare_earths"), named=True
    )
    assert factor["content_factor"] == pytest.approx(0.30 * 1.166, abs=0.005)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rare_earths,compound,284690", "unobtainium,compound,284690", "unknown material"),
        ("rare_earths,compound,284690", "rare_earths,oxide,284690", "unknown stage"),
        ("0.61,0.37,1.0,1,1,1", "0.61,0.7,1.0,1,1,1", "content_factor outside its bounds"),
    ],
)
def test_a_bad_row_is_refused_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    for name in ("materials.csv", "stages.csv", "hs_stage.csv"):
        (tmp_path / name).write_text((REFERENCE / name).read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    monkeypatch.setattr(hs_stage, "REFERENCE", tmp_path)
    with pytest.raises(OretraceError, match=message) as refused:
        stage_map.__wrapped__()
    assert "284690" in str(refused.value)
