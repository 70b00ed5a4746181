"""Policy events: every compiled control once, dates with their precision, and bad rows refused by name."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from ingest.embedded import read_snapshot_table
from ingest.errors import BadInput, UnmappedValue
from ingest.mapping import reference
from ingest.schemas import conform
from ingest.transforms import policy_event
from ingest.transforms.policy_event import CONTROLS, EVENTS, KINDS, RAW


@pytest.fixture(scope="module")
def controls() -> pl.DataFrame:
    return read_snapshot_table(RAW)


@pytest.fixture(scope="module")
def events(controls: pl.DataFrame) -> pl.DataFrame:
    rows, dropped = policy_event.build({RAW: controls})
    assert dropped.height == 0
    return conform(rows, "policy_event")


def planted(monkeypatch: pytest.MonkeyPatch, controls: pl.DataFrame, planted_in: str, cells: dict[str, str]) -> None:
    """Build from the project's list with some cells of one event changed."""

    def changed(file: str) -> pl.DataFrame:
        frame = reference(file)
        if file != EVENTS:
            return frame
        assert (frame["event"] == planted_in).any()
        here = pl.col("event") == planted_in
        return frame.with_columns(
            pl.when(here).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in cells.items()
        )

    monkeypatch.setattr(policy_event, "reference", changed)
    policy_event.build({RAW: controls})


def test_every_compiled_control_and_every_decree_that_suspends_one_is_one_event(
    events: pl.DataFrame, controls: pl.DataFrame
) -> None:
    announced = {*controls["authority_no"], *controls["suspended_by"].drop_nulls()}
    assert len(announced) == 14
    found = events.filter(pl.col("listed_in") == RAW).group_by("authority_no").agg(pl.col("event").n_unique())
    assert dict(found.iter_rows()) == dict.fromkeys(announced, 1)
    # The own list holds none of them a second time.
    own = events.filter(pl.col("listed_in") == EVENTS)
    assert not own["instrument"].str.contains(r"No\. (?:23|39|33|46|10|18|55|56|58|61|62)\b").any()


def test_controls_on_equipment_and_technology_are_events_although_they_restrict_no_material(
    events: pl.DataFrame,
) -> None:
    kept = events.filter(pl.col("authority_no").str.contains(r"2025 No\. (?:55|56|62)$"))
    assert dict(kept.select("event", "material").iter_rows()) == {
        "china_2025_no_55": "none",
        "china_2025_no_56": "rare_earths",
        "china_2025_no_62": "rare_earths",
    }


def test_dates_and_suspensions_of_controls_are_those_of_the_compiled_list(
    events: pl.DataFrame, controls: pl.DataFrame
) -> None:
    columns = ["authority_no", "announced", "effective", "suspended"]
    made = events.rename({"event_date": "announced"}).filter(pl.col("kind") != "suspension", pl.col("listed_in") == RAW)
    assert set(made.select(columns).unique().iter_rows()) == set(controls.select(columns).iter_rows())
    halted = events.filter(pl.col("event") == "china_2025_no_70")
    assert halted["event_date"].unique().to_list() == [date(2025, 11, 7)]
    assert {"holmium", "lithium", "rare_earths"} <= set(halted["material"])
    assert "gallium" not in set(halted["material"])


def test_a_date_known_to_the_month_or_year_stands_on_its_first_day_and_says_so(events: pl.DataFrame) -> None:
    dates = {row["event"]: (row["event_date"], row["date_precision"]) for row in events.iter_rows(named=True)}
    assert dates["us_strategic_materials_act_1939"] == (date(1939, 6, 7), "day")
    assert dates["china_embargo_on_japan_2010"] == (date(2010, 9, 1), "month")
    assert dates["mountain_pass_closure_2002"] == (date(2002, 1, 1), "year")
    first_days = events.filter(pl.col("date_precision") != "day")
    assert (first_days["event_date"].dt.day() == 1).all()


def test_every_kind_is_defined_and_used(events: pl.DataFrame) -> None:
    assert set(events["kind"]) == set(reference(KINDS)["kind"])
    assert events["event"].n_unique() >= 80


def test_an_element_is_measured_as_its_basket_and_an_act_on_everything_as_nothing(events: pl.DataFrame) -> None:
    measured = dict(events.select("material", "measured_material").unique().iter_rows())
    assert measured["dysprosium"] == "rare_earths"
    assert measured["gallium"] == "gallium"
    assert measured["all"] is None
    assert measured["none"] is None


def test_an_announcement_that_nobody_worded_stops_the_run(controls: pl.DataFrame) -> None:
    new = controls.head(1).with_columns(authority_no=pl.lit("MOFCOM 2031 No. 1"))
    with pytest.raises(UnmappedValue, match=rf"MOFCOM 2031 No\. 1.*{CONTROLS}"):
        policy_event.build({RAW: pl.concat([controls, new])})


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ({"event_date": "7 June 1939"}, "a date to the day"),
        ({"event_date": "1939-06-31"}, "a day that exists"),
        ({"effective": "7.6.1939"}, "a day that exists"),
        ({"date_precision": "decade"}, "day, month, year"),
        ({"kind": "act"}, "stockpile_act"),
        ({"materials": "unobtainium"}, "'unobtainium'"),
        ({"stages": "smelter"}, "'smelter'"),
        ({"importers": "US"}, "'US'"),
        ({"jurisdiction": "XYZ"}, "'XYZ'"),
        ({"confidence": "certain"}, "high, medium, low"),
        ({"effective": "1938-01-01"}, "not before"),
        ({"event": "us_stock_piling_act_1946"}, "listed once"),
    ],
)
def test_a_bad_row_is_named_with_its_column(
    monkeypatch: pytest.MonkeyPatch, controls: pl.DataFrame, cells: dict[str, str], says: str
) -> None:
    with pytest.raises(BadInput, match=rf"{EVENTS}: .*{says}"):
        planted(monkeypatch, controls, "us_strategic_materials_act_1939", cells)
