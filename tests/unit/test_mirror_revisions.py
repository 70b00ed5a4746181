"""Conversion between editions of the Harmonized System."""

from __future__ import annotations

import polars as pl
import pytest

from ingest.errors import BadInput
from ingest.mapping import reference
from ingest.transforms.mirror import reconcile
from ingest.transforms.mirror_revisions import EDITIONS, FILE, to_edition


def reports(hs6: str, edition: str, value: float = 100.0, column: str = "hs_edition") -> pl.DataFrame:
    table = {"year": 2022, "reporter": 156, "partner": 392, "hs6": hs6, "flow": "X"}
    return pl.DataFrame({name: [entry] for name, entry in table.items()}).with_columns(
        pl.lit(edition).alias(column), value_usd=pl.lit(value), net_weight_kg=pl.lit(value / 10)
    )


def parts(found: pl.DataFrame) -> dict[str, float]:
    return dict(found.select("hs6", "value_usd").iter_rows())


def test_hafnium_and_rhenium_return_to_the_code_they_left() -> None:
    old = pl.concat([reports(code, "H6") for code in ("811231", "811241", "811292")])
    found = reconcile(old)
    assert found.select("hs6", "value_usd").rows() == [("811292", 300.0)]
    assert "split_code" not in found["flags"][0]


def test_the_photovoltaic_codes_of_2022_return_to_one() -> None:
    new = pl.concat([reports(code, "HS2022") for code in ("854141", "854142", "854143", "854149")])
    assert to_edition(new)["hs6"].unique().to_list() == ["854140"]


def test_germanium_and_vanadium_of_2002_are_divided_and_marked() -> None:
    found = to_edition(reports("811230", "H2"))
    assert set(parts(found)) == {"811292", "811299"}
    assert sum(parts(found).values()) == pytest.approx(100)
    assert found["split_code"].all()
    assert "split_code" in reconcile(reports("811240", "H2"))["flags"][0]


def test_a_code_of_the_first_edition_walks_through_all_steps() -> None:
    found = to_edition(reports("811291", "H0", column="classification"))
    assert set(parts(found)) == {"811292", "811251"}
    assert found["classification"].to_list() == ["HS2017", "HS2017"]


def test_a_code_without_a_row_keeps_its_number_and_value() -> None:
    found = to_edition(reports("284690", "H0"))
    assert parts(found) == {"284690": 100.0} and not found["split_code"].any()


def test_reports_of_different_editions_meet_in_one_flow() -> None:
    exported = reports("811231", "H6")
    imported = reports("811292", "H5").with_columns(flow=pl.lit("M"), reporter="partner", partner="reporter")
    found = reconcile(pl.concat([exported, imported]))
    assert found.select("hs6", "reports").rows() == [("811292", "both")]


def test_the_parts_of_every_code_add_up_to_it() -> None:
    table = reference(FILE).with_columns(pl.col("weight").cast(pl.Float64))
    whole = table.group_by("from_edition", "to_edition", "hs6").agg(pl.col("weight").sum())
    assert ((whole["weight"] - 1).abs() < 1e-9).all()
    assert table["weight"].is_between(0, 1).all()
    assert table.select("from_edition", "to_edition", "hs6", "to_hs6").is_duplicated().sum() == 0
    assert table["evidence"].is_in(["derived", "estimated", "assumed"]).all()


def test_every_step_on_file_is_between_neighbouring_editions() -> None:
    steps = reference(FILE).select("from_edition", "to_edition").unique().rows()
    assert {abs(EDITIONS.index(old) - EDITIONS.index(new)) for old, new in steps} == {1}


@pytest.mark.parametrize("target", ["HS2012", "HS1992"])
def test_a_step_that_is_not_on_file_is_refused(target: str) -> None:
    with pytest.raises(BadInput, match="no correlation from HS2017 to HS2012"):
        to_edition(reports("811292", "H5"), target)


def test_an_unknown_target_and_a_missing_column_are_refused() -> None:
    with pytest.raises(BadInput, match="target edition 'HS2030'"):
        to_edition(reports("811292", "H5"), "HS2030")
    with pytest.raises(BadInput, match="no column of"):
        to_edition(reports("811292", "H5").drop("hs_edition"))


@pytest.mark.parametrize(
    ("mapped", "old", "new"), [("HS2022", "HS2022", "HS2017"), ("HS2002-HS2017", "HS2017", "HS2022")]
)
def test_every_mapped_code_that_came_or_went_in_2022_has_a_row(mapped: str, old: str, new: str) -> None:
    stages = reference("hs_stage.csv").filter(hs_edition=mapped)["hs_code"]
    codes = set(stages.filter(stages.str.len_chars() == 6))
    # 8112.92 goes on, without what left it.
    on_file = set(reference(FILE).filter(from_edition=old, to_edition=new)["hs6"])
    assert codes and codes <= on_file
