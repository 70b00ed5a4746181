"""What is no network is refused, and the message shows the row."""

from __future__ import annotations

import math

import polars as pl
import pytest

from tracing import InvalidNetwork, look_through, monte_carlo, processed_at, via

MADE = pl.DataFrame({"stage": ["mine", "metal"], "country": ["AUS", "CHN"], "quantity_t": [5.0, 4.0]})
MOVED = pl.DataFrame({"stage": ["mine"], "exporter": ["AUS"], "importer": ["CHN"], "quantity_t": [4.0]})


def changed(frame, column, value):
    """The frame with another value in its first row."""
    first = pl.int_range(pl.len()) == 0
    return frame.with_columns(pl.when(first).then(pl.lit(value)).otherwise(pl.col(column)).alias(column))


@pytest.mark.parametrize("function", [look_through, via, monte_carlo])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (-1.0, "negative"),
        (math.nan, "not a finite"),
        (math.inf, "not a finite"),
        (-math.inf, "not a finite"),
        (None, "null"),
    ],
)
@pytest.mark.parametrize("frame", ["production", "flows", "secondary"])
def test_impossible_tonnes(function, frame, value, reason):
    frames = {"production": MADE, "flows": MOVED, "secondary": MADE}
    with pytest.raises(InvalidNetwork, match=f"^{frame}: quantity_t is {reason}.*'stage': 'mine'"):
        function(**{**frames, frame: changed(frames[frame], "quantity_t", value)})


@pytest.mark.parametrize("column", ["stage", "exporter", "importer"])
def test_null_names(column):
    with pytest.raises(InvalidNetwork, match=f"flows: {column} is null in 1 row"):
        look_through(MADE, changed(MOVED, column, None))


@pytest.mark.parametrize("stage", ["magnet", "secondary", "Mine"])
def test_unknown_stage(stage):
    with pytest.raises(InvalidNetwork, match=f"production: unknown stage.*'stage': '{stage}'"):
        look_through(changed(MADE, "stage", stage), MOVED)


def test_stage_outside_the_given_order():
    with pytest.raises(InvalidNetwork, match=r"production: unknown stage.*'CHN'"):
        look_through(MADE, MOVED, stages=["mine"])


def test_stage_order_that_names_a_stage_twice():
    with pytest.raises(InvalidNetwork, match="must name each stage once"):
        look_through(MADE, MOVED, stages=["mine", "metal", "mine"])


def test_repeated_keys():
    with pytest.raises(InvalidNetwork, match=r"production: the key repeats in 1 row\(s\).*'AUS'"):
        look_through(pl.concat([MADE, MADE[:1]]), MOVED)
    with pytest.raises(InvalidNetwork, match=r"flows: the key repeats.*'CHN'"):
        look_through(MADE, pl.concat([MOVED, MOVED]))
    with pytest.raises(InvalidNetwork, match=r"flows: the key repeats.*'CHN', 'importer': 'CHN'"):
        look_through(MADE, pl.concat([changed(MOVED, "exporter", "CHN")] * 2))


def test_the_same_key_in_two_years_is_no_repeat():
    years = [frame.join(pl.DataFrame({"year": [2023, 2024]}), how="cross") for frame in (MADE, MOVED)]
    assert look_through(*years)["year"].unique().to_list() == [2023, 2024]


@pytest.mark.parametrize("name", ["SECONDARY", "UNEXPLAINED"])
def test_reserved_names(name):
    with pytest.raises(InvalidNetwork, match=f"country bears a reserved name.*{name}"):
        look_through(changed(MADE, "country", name), MOVED)


def test_missing_column():
    with pytest.raises(InvalidNetwork, match=r"flows: columns \['importer'\] are missing"):
        look_through(MADE, MOVED.drop("importer"))


def test_tonnes_as_text():
    with pytest.raises(InvalidNetwork, match="production: quantity_t is String"):
        look_through(MADE.with_columns(pl.col("quantity_t").cast(pl.String)), MOVED)


def test_batch_keys_that_differ():
    with pytest.raises(InvalidNetwork, match=r"production carries the batch keys \['year'\] and flows \[\]"):
        look_through(MADE.with_columns(year=2024), MOVED)
    with pytest.raises(InvalidNetwork, match=r"secondary: columns \['year'\] are missing"):
        look_through(MADE.with_columns(year=2024), MOVED.with_columns(year=2024), secondary=MADE)
    with pytest.raises(InvalidNetwork, match="not of one type"):
        look_through(MADE.with_columns(year=2024), MOVED.with_columns(year=pl.lit("last")))


FEED = pl.DataFrame({"stage": ["metal"], "from_stage": ["mine"], "weight": [1.0]})


@pytest.mark.parametrize(
    ("feed", "reason"),
    [
        (FEED.drop("weight"), r"columns \['weight'\] are missing"),
        (changed(FEED, "weight", -1.0), "weight is negative"),
        (changed(FEED, "weight", math.nan), "weight is negative or not finite"),
        (changed(FEED, "weight", None), "weight is null"),
        (changed(FEED, "weight", 0.0), "add to nothing.*'metal'"),
        (changed(FEED, "from_stage", "ore"), "unknown from_stage"),
        (changed(FEED, "from_stage", "metal"), "does not come before"),
        (changed(FEED, "from_stage", "alloy"), "does not come before"),
        (pl.concat([FEED, FEED]), "the key repeats"),
        (FEED.with_columns(year=2024), "which production and flows do not"),
        (FEED.with_columns(weight=pl.lit("half")), "weight is String"),
    ],
)
def test_impossible_feed(feed, reason):
    with pytest.raises(InvalidNetwork, match=f"^feed: .*{reason}"):
        look_through(MADE, MOVED, feed=feed)


def test_unknown_rule_and_unknown_stage_asked_for():
    with pytest.raises(ValueError, match="'stirred' is not one of well_mixed, domestic_first, hub_only"):
        look_through(MADE, MOVED, mixing="stirred")
    with pytest.raises(InvalidNetwork, match="unknown stage 'magnet'"):
        processed_at(MADE, MOVED, at="magnet")


@pytest.mark.parametrize(
    ("low", "high", "reason"),
    [
        (6.0, 9.0, "do not enclose"),
        (1.0, 4.9, "do not enclose"),
        (-1.0, 9.0, "quantity_t_low is negative"),
        (math.nan, 9.0, "quantity_t_low is not a finite"),
        (1.0, math.inf, "quantity_t_high is not a finite"),
    ],
)
def test_impossible_bounds(low, high, reason):
    bounded = MADE.with_columns(quantity_t_low=pl.col("quantity_t"), quantity_t_high=pl.col("quantity_t"))
    bounded = changed(changed(bounded, "quantity_t_low", low), "quantity_t_high", high)
    with pytest.raises(InvalidNetwork, match=f"production: .*{reason}.*'AUS'"):
        monte_carlo(bounded, MOVED)


@pytest.mark.parametrize("settings", [{"draws": 0}, {"seed": -1}, {"distribution": "normal"}])
def test_impossible_settings_of_the_draws(settings):
    with pytest.raises(ValueError, match="monte_carlo: draws"):
        monte_carlo(MADE, MOVED, **settings)


def test_refusals_are_value_errors():
    assert issubclass(InvalidNetwork, ValueError)
