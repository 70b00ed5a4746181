"""Net import reliance recomputed from its own terms."""

from __future__ import annotations

import polars as pl
import pytest

from ingest.errors import UnmappedValue
from ingest.schemas import CANONICAL
from ingest.transforms.nir_identity import build, identities, recompute_nir

Term = tuple[str, str, float | None]
COPPER: list[Term] = [
    ("production", "refinery_primary", 850_000.0),
    ("production", "post_consumer", 150_000.0),
    ("production", "mine", 1_100_000.0),
    ("apparent_consumption", "all", 1_800_000.0),
]


def us_salient(
    terms: list[Term],
    printed: tuple[str, float | None, float | None, float | None],
    commodity: str = "copper",
    detail: str = "all",
    vintage: str = "2025",
) -> pl.DataFrame:
    """One commodity in 2024: terms in tonnes and the printed reliance (token, value, low, high)."""
    token, value, low, high = printed
    rows: list[tuple[object, ...]] = [
        (commodity, statistic, line, "t", amount, amount, amount, None) for statistic, line, amount in terms
    ]
    rows.append((commodity, "net_import_reliance", detail, "percent", value, low, high, token))
    names = ["commodity", "statistic", "detail", "unit", "value", "value_low", "value_high", "token"]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        material=pl.lit(commodity),
        stage=pl.lit(None, dtype=pl.String),
        year=pl.lit(2024),
        basis=pl.lit(None, dtype=pl.String),
        source=pl.lit("usgs_mcs"),
        vintage=pl.lit(vintage),
        evidence=pl.lit("reported"),
    )
    return frame.select(pl.col(name).cast(kind) for name, kind in CANONICAL["us_salient"].columns.items())


def only(frame: pl.DataFrame) -> dict[str, object]:
    table, _ = build({"us_salient": frame})
    assert table.height == 1
    return table.row(0, named=True)


def test_reliance_is_one_less_the_share_of_the_recorded_production_in_apparent_consumption() -> None:
    row = only(us_salient(COPPER, ("45", 45.0, 45.0, 45.0)))
    assert row["production_t"] == 1_000_000.0
    assert row["recomputed_pct"] == pytest.approx(44.444, abs=1e-3)
    assert row["difference_pp"] == pytest.approx(-0.556, abs=1e-3)
    assert (row["within"], row["trivial"], row["evidence"]) == (True, False, "derived")
    assert row["columns_used"] == "production:refinery_primary+production:post_consumer / apparent_consumption:all"


@pytest.mark.parametrize(("printed", "holds"), [(45.9, True), (46.0, False), (42.9, False), (43.0, True)])
def test_a_print_holds_within_one_point_and_the_half_point_of_its_rounding(printed: float, holds: bool) -> None:
    assert only(us_salient(COPPER, (str(printed), printed, printed, printed)))["within"] is holds


@pytest.mark.parametrize(
    ("token", "low", "high", "holds"),
    [(">25", 25.0, 100.0, True), (">50", 50.0, 100.0, False), ("<25", 0.0, 25.0, False), ("E", None, 0.0, False)],
)
def test_a_censored_print_holds_inside_its_bounds_and_makes_the_series_trivial(
    token: str, low: float | None, high: float, holds: bool
) -> None:
    row = only(us_salient(COPPER, (token, None, low, high)))
    assert (row["within"], row["trivial"]) == (holds, True)


def test_a_series_that_is_always_one_hundred_is_trivial() -> None:
    terms: list[Term] = [("production", "mine", 0.0), ("apparent_consumption", "all", 770.0)]
    row = only(us_salient(terms, ("100", 100.0, 100.0, 100.0), commodity="tantalum"))
    assert (row["recomputed_pct"], row["within"], row["trivial"]) == (100.0, True, True)


def test_a_withheld_line_is_left_out_and_not_named_as_used() -> None:
    terms: list[Term] = [
        ("production", "smelter_primary", None),
        ("production", "smelter_secondary", 3_500.0),
        ("apparent_consumption", "all", 24_000.0),
    ]
    row = only(us_salient(terms, ("85", 85.0, 85.0, 85.0), commodity="antimony"))
    assert row["columns_used"] == "production:smelter_secondary / apparent_consumption:all"
    assert row["recomputed_pct"] == pytest.approx(85.417, abs=1e-3)


def test_nothing_is_judged_where_apparent_consumption_is_withheld() -> None:
    terms = [(s, d, None if s == "apparent_consumption" else v) for s, d, v in COPPER]
    row = only(us_salient(terms, ("45", 45.0, 45.0, 45.0)))
    assert (row["recomputed_pct"], row["within"]) == (None, None)


def test_a_series_that_cannot_be_tested_is_counted_with_its_reason() -> None:
    table, dropped = build({"us_salient": us_salient([], (">50", None, 50.0, 100.0), commodity="tungsten")})
    assert table.is_empty()
    assert dropped.select("reason", "rows").rows() == [("output or apparent consumption is withheld", 1)]


def test_a_printed_series_that_no_row_covers_stops_the_run() -> None:
    with pytest.raises(UnmappedValue, match=r"unobtainium.*nir_identity\.csv"):
        build({"us_salient": us_salient([], ("7", 7.0, 7.0, 7.0), commodity="unobtainium")})


def test_another_identity_gives_another_figure() -> None:
    identity = identities().filter(pl.col("vintage") == "2025", pl.col("commodity") == "copper")
    mine = identity.with_columns(production_lines=pl.lit("production:mine"))
    row = recompute_nir(us_salient(COPPER, ("45", 45.0, 45.0, 45.0)), mine).row(0, named=True)
    assert (row["within"], round(row["recomputed_pct"], 1)) == (False, 38.9)


def test_every_series_has_lines_or_a_reason() -> None:
    table = identities()
    assert table.filter(pl.col("production_lines").is_null() & pl.col("reason").is_null()).is_empty()
    assert table.filter(pl.col("production_lines").is_null() != pl.col("consumption_line").is_null()).is_empty()
