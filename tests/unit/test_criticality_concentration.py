"""The weighted concentration of a list and of what the list leaves out (methods sections 2 and 5)."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracing.concentration import weighted_hhi

CEILING = 15.0
CLOSE = 1e-9
some = settings(max_examples=200, deadline=None, derandomize=True)
suppliers = st.lists(
    st.tuples(st.floats(0.001, 1.0), st.floats(0.0, CEILING)),
    min_size=1,
    max_size=30,
)


def measured(rows: list[tuple[float, float | None]], **more: object) -> dict[str, float]:
    frame = pl.DataFrame(
        [("a", share, weight) for share, weight in rows],
        schema={"key": pl.String, "share": pl.Float64, "weight": pl.Float64},
        orient="row",
    )
    return weighted_hhi(frame, ["key"], ceiling=CEILING, **more).row(0, named=True)


def whole(rows: list[tuple[float, float]]) -> list[tuple[float, float]]:
    total = sum(size for size, _ in rows)
    return sorted(((size / total, weight) for size, weight in rows), reverse=True)


@some
@given(suppliers)
def test_a_full_list_has_one_exact_figure(rows):
    listed = whole(rows)
    exact = sum(share**2 * weight for share, weight in listed)
    found = measured(listed)
    assert found["hhi"] == pytest.approx(exact, abs=1e-7)
    assert found["hhi_high"] - found["hhi_low"] < 1e-6


@some
@given(suppliers, st.data())
def test_the_interval_of_a_truncated_list_contains_the_exact_figure(rows, data):
    full = whole(rows)
    kept = data.draw(st.integers(1, len(full)))
    exact = sum(share**2 * weight for share, weight in full)
    found = measured(full[:kept])
    assert found["hhi_low"] - CLOSE <= exact <= found["hhi_high"] + CLOSE
    assert found["hhi_low"] - CLOSE <= found["hhi"] <= found["hhi_high"] + CLOSE


@some
@given(suppliers, st.data())
def test_the_interval_holds_too_when_the_residual_may_be_anybody(rows, data):
    full = whole(rows)
    kept = data.draw(st.sets(st.integers(0, len(full) - 1), min_size=1))
    exact = sum(share**2 * weight for share, weight in full)
    named = [row for place, row in enumerate(full) if place in kept]
    hidden = 1 - sum(share for share, _ in named)
    # What is hidden belongs to a country that is listed already, here the largest.
    largest, weight = named[0]
    merged = sum(share**2 * w for share, w in named[1:]) + (largest + hidden) ** 2 * weight
    found = measured(named, residual="any")
    assert found["hhi_low"] - CLOSE <= min(exact, merged)
    assert max(exact, merged) <= found["hhi_high"] + CLOSE


@some
@given(suppliers, st.data())
def test_bounds_of_the_shares_enclose_every_list_between_them(rows, data):
    listed = whole(rows)
    low = [share * data.draw(st.floats(0, 1)) for share, _ in listed]
    frame = pl.DataFrame(
        {
            "key": ["a"] * len(listed),
            "share": [share for share, _ in listed],
            "share_low": low,
            "share_high": [share for share, _ in listed],
            "weight": [weight for _, weight in listed],
        }
    )
    found = weighted_hhi(frame, ["key"], ceiling=CEILING).row(0, named=True)
    drawn = sum(share**2 * weight for share, (_, weight) in zip(low, listed, strict=True))
    assert found["hhi_low"] - CLOSE <= drawn <= found["hhi_high"] + CLOSE


def test_the_residual_does_not_vanish_from_the_centre():
    found = measured([(0.5, 2.0), (0.2, 2.0)])
    assert found["hhi"] == pytest.approx(2 * (0.25 + 0.04 + 0.2**2 + 0.1**2))
    assert found["hhi_low"] == pytest.approx(2 * (0.25 + 0.04))
    assert found["hhi_high"] == pytest.approx(2 * (0.25 + 0.04) + CEILING * (0.2**2 + 0.1**2))


def test_a_country_without_governance_estimate_widens_the_interval():
    known, unknown = measured([(0.6, 5.0), (0.4, 5.0)]), measured([(0.6, 5.0), (0.4, None)])
    assert unknown["hhi_low"] == pytest.approx(0.36 * 5)
    assert unknown["hhi_high"] == pytest.approx(0.36 * 5 + 0.16 * CEILING)
    assert unknown["hhi"] == pytest.approx(known["hhi"])


@pytest.mark.parametrize("rows", [[(-0.1, 1.0), (0.5, 1.0)], [(0.5, -1.0)], [(0.5, CEILING + 1)]])
def test_a_negative_share_or_a_weight_off_the_scale_is_refused(rows):
    with pytest.raises(ValueError, match="share is negative or a weight"):
        measured(rows)


def test_an_unknown_kind_of_residual_is_refused():
    with pytest.raises(ValueError, match="neither 'smaller' nor 'any'"):
        measured([(1.0, 1.0)], residual="none")
