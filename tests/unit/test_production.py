"""World tables become tonnes contained, with bounds, evidence and the rounding of the print."""

from __future__ import annotations

import polars as pl
import pytest

from ingest.errors import OretraceError, SourceChanged, UnmappedValue
from ingest.mapping import reference
from ingest.sources.usgs_mcs_world import WORLD_TABLES
from ingest.transforms.production import RAW, TRANSFORM, rounding_of
from ingest.transforms.world_totals import GROUP, require_known_gaps, world_gaps

RARE_EARTHS = {
    "source": "usgs_mcs", "vintage": "2026", "commodity": "Rare Earths", "label": "Mine production",
    "measure": "production", "year": 2025, "unit_printed": "metric tons", "estimated": True,
}  # fmt: skip


def _build(*rows: dict[str, object]) -> tuple[pl.DataFrame, pl.DataFrame]:
    raw = pl.DataFrame([RARE_EARTHS | row for row in rows], schema=dict(WORLD_TABLES[RAW]))
    return TRANSFORM.build({RAW: raw})


def _one(**row: object) -> dict[str, object]:
    return _build(row)[0].row(0, named=True)


@pytest.mark.parametrize(
    ("token", "half_width"),
    [
        ("390,000", 5_000),
        ("376,000", 500),
        ("300,000", 5_000),
        ("41,600", 50),
        ("25476", 0.5),
        ("80", 0.5),
        ("5", 0.5),
        ("1.4", 0.05),
        ("e20,000", 500),
        ("0", 0),
        ("—", 0),
        ("W", 0),
    ],
)
def test_rounding_is_half_the_last_significant_digit_but_two_digits_always_count(token: str, half_width: float) -> None:
    assert rounding_of(token) == pytest.approx(half_width)


def test_a_figure_keeps_token_unit_basis_and_evidence() -> None:
    row = _one(country="China", printed="270,000")
    assert (row["material"], row["stage"], row["form"], row["iso3"]) == ("rare_earths", "mine", "all", "CHN")
    assert (row["quantity_t"], row["rounding_t"], row["token"]) == (270_000, 5_000, "270,000")
    assert (row["basis"], row["evidence"], row["unit_printed"]) == ("REO", "estimated", "metric tons")


@pytest.mark.parametrize(
    ("line", "tonnes"),
    [
        (("Rhenium", "Mine production", "kilograms"), 1.0),
        (("Zinc", "Mine production", "thousand metric tons"), 1_000_000),
        (("Alumina", "Alumina, refinery production", "thousand metric dry tons"), 529_300),
        (("Strontium", "Mine production", "metric tons"), 477),
    ],
)
def test_units_and_compounds_become_tonnes_of_the_basis(line: tuple[str, str, str], tonnes: float) -> None:
    commodity, label, unit = line
    row = _one(country="China", printed="1,000", commodity=commodity, label=label, unit_printed=unit)
    assert row["quantity_t"] == pytest.approx(tonnes)


def test_a_withheld_figure_is_never_zero() -> None:
    row = _one(country="United States", printed="W")
    assert [row[name] for name in ("quantity_t", "quantity_t_low", "quantity_t_high", "token")] == [None] * 3 + ["W"]


def test_a_bound_stays_a_bound() -> None:
    row = _one(country="World total", printed=">75,000,000", measure="reserves", label="Reserves: rounded")
    assert (row["quantity_t"], row["quantity_t_low"], row["quantity_t_high"]) == (None, 75e6, None)
    assert row["iso3"] == "WLD"


def test_footnote_and_estimate_marks_glued_to_names_are_known_names() -> None:
    rows, _ = _build(*({"country": name, "printed": "1"} for name in ("Japane", "United States1", "New Caledonia11")))
    assert set(rows["iso3"]) == {"JPN", "USA", "NCL"}


def test_an_unknown_country_names_the_file_that_needs_a_row() -> None:
    with pytest.raises(UnmappedValue, match=r"'Atlantis'.*country_aliases.csv"):
        _build({"country": "Atlantis", "printed": "1"})


def test_an_unknown_line_names_the_file_that_needs_a_row() -> None:
    with pytest.raises(UnmappedValue, match=r"Rare Earths \| Sea-bed output.*mcs_world_map.csv"):
        _build({"country": "China", "printed": "1", "label": "Sea-bed output"})


def test_what_is_not_critical_or_blank_is_dropped_and_counted() -> None:
    rows, dropped = _build(
        {"country": "China", "printed": "1"},
        {"country": "Peru", "printed": None},
        {"country": "China", "printed": "1", "commodity": "Gold"},
    )
    assert rows.height == 1
    assert set(dropped.select("reason", "rows").rows()) == {
        ("the publisher left the cell blank", 1),
        ("not on the US 2025 or EU 2023 list of critical minerals", 1),
    }


HELIUM = {
    "commodity": "Helium", "label": "Production, helium gas content", "vintage": "2025", "year": 2024,
    "unit_printed": "million cubic meters",
}  # fmt: skip


def test_two_lines_of_one_country_under_different_names_are_added() -> None:
    rows, _ = _build(
        HELIUM | {"country": "United States (extracted from natural gas)", "printed": "68"},
        HELIUM | {"country": "United States (from Cliffside Field)", "printed": "13"},
    )
    assert rows.select("iso3", "token").rows() == [("USA", "68 + 13")]
    assert rows["quantity_t"][0] == pytest.approx(81 * 169.3)


def test_one_name_printed_twice_stops_the_run() -> None:
    with pytest.raises(OretraceError, match=r"key .* repeats"):
        _build({"country": "China", "printed": "1"}, {"country": "China", "printed": "2"})


def _table(china: str, world: str, withheld: bool = False) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {"country": "China", "printed": china},
        {"country": "United States", "printed": "W" if withheld else "51,000"},
        {"country": "World total", "printed": world, "label": "Mine production: rounded"},
    ]
    return rows


def test_countries_make_up_the_world_total_within_the_rounding_of_all() -> None:
    assert world_gaps(_build(*_table("270,000", "320,000"))[0]).is_empty()
    assert world_gaps(_build(*_table("270,000", "330,000"))[0]).is_empty()


@pytest.mark.parametrize(("china", "withheld"), [("540,000", False), ("27,000", False), ("540,000", True)])
def test_a_country_doubled_or_in_another_unit_stops_the_run(china: str, withheld: bool) -> None:
    with pytest.raises(SourceChanged, match=r"not made up by their countries.*known_total_gaps.csv"):
        _build(*_table(china, "320,000", withheld))


def test_a_withheld_country_counts_for_nothing_in_the_total() -> None:
    assert world_gaps(_build(*_table("270,000", "270,000", withheld=True))[0]).is_empty()


def test_a_known_gap_that_has_closed_stops_the_run() -> None:
    rows, _ = _build(*_table("270,000", "320,000"))
    group = rows.filter(pl.col("iso3") == "WLD").select(GROUP)
    recorded = group.with_columns(printed_world=pl.lit(320_000.0), sum=pl.lit(591_000.0), reason=pl.lit("doubled"))
    with pytest.raises(SourceChanged, match="no longer as recorded"):
        require_known_gaps(rows, recorded)


def test_every_mapped_line_has_a_known_material_stage_and_factor() -> None:
    lines = reference("mcs_world_map.csv")
    mapped = lines.filter(pl.col("drop_reason").is_null())
    assert set(mapped["material"]) <= set(reference("materials.csv")["material"])
    assert set(mapped["stage"]) <= set(reference("stages.csv")["stage"])
    assert mapped.select(pl.col("content_factor").cast(pl.Float64).is_between(0, 1, closed="right").all()).item()
    assert mapped.select(pl.all_horizontal(pl.col("form", "basis").is_not_null()).all()).item()
    assert not lines.select("commodity", "label", "measure").is_duplicated().any()
