"""Canonical table ``policy_event``: dated acts, controls, lists, agreements and reserves since 1939.

What belongs here: bringing the project's own list (``policy_events.csv``) and the compiled export controls into one
shape, one row per event and material. What does not: the events themselves, which are data, and how dependent
anybody was at the time (``mart_policy_timeline``).

An export control is taken from the compiled list alone, with its dates, and worded in ``policy_controls.csv``; so is
the decree that suspends it. None can be lost or stand twice: an announcement without a row there is an error.
"""

from __future__ import annotations

import polars as pl

from ingest.countries import countries
from ingest.errors import BadInput
from ingest.mapping import reference, with_mapping
from ingest.schemas import CANONICAL
from ingest.transforms.base import Frames, Transform, nothing_dropped

TABLE = "policy_event"
EVENTS, CONTROLS, KINDS = "policy_events.csv", "policy_controls.csv", "policy_kinds.csv"
COVERAGE, MEASURED = "export_control_map.csv", "policy_measured_as.csv"
RAW = "raw_policy__export_controls"
CONFIDENCE = ("high", "medium", "low")
# A date known to the month or year stands on its first day.
DATE_FORMS = {"day": r"^\d{4}-\d\d-\d\d$", "month": r"^\d{4}-\d\d$", "year": r"^\d{4}$"}
_FIRST_DAY = {"day": "", "month": "-01", "year": "-01-01"}
# An event without one material (`all`), or whose goods are no material of this warehouse (`none`).
NO_MATERIAL = ("all", "none")


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row per event and material (``all``: no single one; ``none``: no material of this warehouse).

    Raises:
        BadInput: a date, kind, country, material, stage or grade of confidence that is not known, or an event twice.
        UnmappedValue: an announcement or a decree of suspension that ``policy_controls.csv`` does not word.
    """
    controls = frames[RAW]
    rows = pl.concat([_own(), _controls(controls), _suspensions(controls)], how="diagonal")
    _hold(rows)
    measured = reference(MEASURED).select("material", "measured_material")
    rows = rows.join(measured, on="material", how="left", validate="m:1").with_columns(
        measured_material=pl.when(~pl.col("material").is_in(NO_MATERIAL)).then(
            pl.coalesce("measured_material", "material")
        )
    )
    return rows.select(list(CANONICAL[TABLE].columns)), nothing_dropped()


def _own() -> pl.DataFrame:
    """Return the project's own list, a row per event and material."""
    rows = reference(EVENTS)
    for precision, form in DATE_FORMS.items():
        odd = rows.filter(pl.col("date_precision") == precision, ~pl.col("event_date").str.contains(form))
        _refuse(odd, "event_date", f"a date to the {precision}")
    _refuse(rows.filter(~pl.col("date_precision").is_in(list(DATE_FORMS))), "date_precision", "day, month, year")
    first = pl.col("event_date") + pl.col("date_precision").replace_strict(_FIRST_DAY)
    for column, text in {"event_date": first, "effective": pl.col("effective")}.items():
        unreal = text.is_not_null() & text.str.to_date("%Y-%m-%d", strict=False).is_null()
        _refuse(rows.filter(unreal), column, "a day that exists, as YYYY-MM-DD")
    return rows.with_columns(
        first.str.to_date("%Y-%m-%d"),
        pl.col("effective").str.to_date("%Y-%m-%d"),
        pl.col("materials").str.split(";").alias("material"),
        listed_in=pl.lit(EVENTS),
        # What is taken from press reports or from one secondary account is not the act itself.
        evidence=pl.when(pl.col("confidence") == "high").then(pl.lit("reported")).otherwise(pl.lit("estimated")),
    ).explode("material")


def _controls(controls: pl.DataFrame) -> pl.DataFrame:
    """Return every compiled announcement, a row per material, from the map of what each covers."""
    worded = with_mapping(controls, CONTROLS, ["authority_no"], "announcement")
    covered = with_mapping(worded, COVERAGE, ["authority_no"], "announcement", many=True)
    position = reference("stages.csv").select("stage", pl.col("position").cast(pl.Int32))
    rows = covered.with_columns(material=pl.coalesce("materials", "material")).join(position, on="stage", how="left")
    return (
        rows.sort("position")
        .group_by("event", "material", maintain_order=True)
        .agg(
            pl.exclude("stage", "position", "hs_codes", "evidence", "drop_reason").first(),
            # No stage in the map: every stage.
            stages=pl.when(pl.col("stage").is_not_null().all()).then(pl.col("stage").str.join(";")),
            evidence=pl.col("evidence").first().fill_null("reported"),
        )
        .with_columns(
            event_date="announced",
            date_precision=pl.lit("day"),
            jurisdiction=pl.lit("CHN"),
            supplier=pl.lit("CHN"),
            listed_in=pl.lit(RAW),
        )
    )


def _suspensions(controls: pl.DataFrame) -> pl.DataFrame:
    """Return one event per decree of suspension, with the materials and stages of what it suspends."""
    halted = controls.filter(pl.col("suspended_by").is_not_null())
    covered = _controls(halted).filter(pl.col("material") != "none")
    decrees = covered.group_by("suspended_by", "material").agg(
        pl.col("suspended").min().alias("event_date"),
        pl.col("suspended_until").max(),
        stages=pl.when(pl.col("stages").is_not_null().all()).then(pl.col("stages").unique().sort().str.join(";")),
        # In alphabetical order the weaker of reported and derived comes first.
        evidence=pl.col("evidence").min(),
    )
    worded = with_mapping(
        decrees.rename({"suspended_by": "authority_no"}), CONTROLS, ["authority_no"], "decree of suspension"
    )
    return worded.with_columns(
        date_precision=pl.lit("day"), jurisdiction=pl.lit("CHN"), supplier=pl.lit("CHN"), listed_in=pl.lit(RAW)
    )


def _hold(rows: pl.DataFrame) -> None:
    """Hold the rows to the words the reader knows."""
    known = {
        "kind": reference(KINDS)["kind"].to_list(),
        "confidence": list(CONFIDENCE),
        "material": [*reference("materials.csv")["material"].to_list(), *NO_MATERIAL],
    }
    for column, values in known.items():
        odd = rows.filter(~pl.col(column).is_in(values) | pl.col(column).is_null())
        _refuse(odd, column, "one of " + ", ".join(values))
    lists = {
        "jurisdiction": countries()["iso3"].to_list(),
        "counterparty": countries()["iso3"].to_list(),
        "supplier": countries()["iso3"].to_list(),
        "importers": countries()["iso3"].to_list(),
        "stages": reference("stages.csv")["stage"].to_list(),
    }
    for column, values in lists.items():
        odd = rows.filter(~pl.col(column).str.split(";").list.eval(pl.element().is_in(values)).list.all())
        _refuse(odd, column, "known codes with ';' between them")
    _refuse(rows.filter(pl.struct("event", "material").is_duplicated()), "event", "an event listed once")
    early = rows.filter(pl.col("effective") < pl.col("event_date"))
    _refuse(early, "effective", "a day not before the event's own")


def _refuse(odd: pl.DataFrame, column: str, expected: str) -> None:
    if odd.height:
        row = odd.row(0, named=True)
        file = CONTROLS if row.get("listed_in") == RAW else EVENTS
        raise BadInput(f"ingest/reference/{file}: {row['event']} has {column} {row[column]!r}; expected {expected}.")


TRANSFORM = Transform(
    table=TABLE,
    inputs=(RAW,),
    build=build,
    description="Dated policy events since 1939, one row per event and material: jurisdiction, kind, instrument, "
    "stages, date with its precision, citation and confidence.",
)
