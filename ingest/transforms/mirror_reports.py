"""Reports of trade as Comtrade gives them, made ready to be paired: one row per report.

What belongs here: columns, flow and country codes, rows that are no trade between two countries,
breakdown rows. What does not: bringing the two sides of a flow together (``mirror.py``).
"""

from __future__ import annotations

import polars as pl

from ingest.countries import countries
from ingest.errors import BadInput, UnmappedValue
from ingest.mapping import reference
from ingest.sources.comtrade import MEASURED
from ingest.transforms.mirror_revisions import edition_column, to_edition

COLUMNS = ("year", "reporter", "partner", "hs6", "flow", "value_usd", "net_weight_kg")
COUNTRY_FILE = "mirror_country_codes.csv"
FLOW_FILE = "mirror_flow_codes.csv"
DROPPED_SCHEMA = {"reason": pl.String(), "rows": pl.Int64(), "value_usd": pl.Float64()}
# Where a request did not ask for totals only, the row with these codes is the total.
_TOTALS = {"partner2": "0", "customs": "C00", "mot": "0"}
_NUMBERS = ("year", "value_usd", "net_weight_kg")
_ESTIMATED = "is_net_weight_estimated"
_SIDES = ["year", "exporter", "importer", "hs6", "side"]
Kept = tuple[pl.DataFrame, list[pl.DataFrame]]


def usable_reports(reports: pl.DataFrame, target_edition: str) -> Kept:
    """Return one row per report of a flow between two countries, and what was dropped.

    Args:
        reports: has ``COLUMNS``; M49 codes as Comtrade writes them, value in USD, net weight in kg.
            ``is_net_weight_estimated``, ``hs_edition`` or ``classification`` and ``partner2``,
            ``customs``, ``mot`` are used where they are there; any other column is ignored.
        target_edition: edition the codes are brought to, where the reports name theirs.

    Returns:
        ``year, exporter, importer, hs6, side, value_usd, weight_kg, split_code`` with ``side`` M or X
        (who reported), sorted; a weight is null where it is missing, zero or estimated; and frames
        of ``DROPPED_SCHEMA``.

    Raises:
        BadInput: a column is missing or holds what it cannot hold.
        UnmappedValue: a flow or country code that no reference file covers.
    """
    frame, dropped = _flows(_typed(reports))
    frame, foreign = _countries(frame)
    frame, worthless = split(
        frame,
        (pl.col("value_usd").is_null(), "value is missing"),
        (pl.col("value_usd") == 0, "value is zero"),
        (pl.col("reporter_iso3") == pl.col("partner_iso3"), "reporter and partner are one country"),
    )
    frame, parts = _totals(frame)
    frame = to_edition(frame, target_edition) if edition_column(frame) else frame.with_columns(split_code=pl.lit(False))
    return _by_country(frame), [*dropped, *foreign, *worthless, *parts]


def split(frame: pl.DataFrame, *reasons: tuple[pl.Expr, str]) -> Kept:
    """Take out the rows for which a condition holds, in order; return the rest and the counts."""
    counts = []
    for condition, reason in reasons:
        gone = frame.filter(condition)
        frame = frame.filter(~condition.fill_null(False))
        counts.append(_counted(gone.select("value_usd", reason=pl.lit(reason))))
    return frame, counts


def _counted(rows: pl.DataFrame) -> pl.DataFrame:
    counted = rows.group_by("reason").agg(rows=pl.len().cast(pl.Int64), value_usd=pl.col("value_usd").sum())
    return counted.select(list(DROPPED_SCHEMA))


def _used(reports: pl.DataFrame) -> pl.DataFrame:
    """Select the columns that are used: the caller's others may bear any name, also those made here."""
    if not isinstance(reports, pl.DataFrame):
        kind = type(reports).__name__
        raise BadInput(f"trade reports: a {kind}; expected a polars DataFrame (collect() a LazyFrame first).")
    missing = [name for name in COLUMNS if name not in reports.columns]
    if missing:
        raise BadInput(f"trade reports: missing columns {missing}; expected {list(COLUMNS)}, found {reports.columns}.")
    optional = [edition_column(reports), _ESTIMATED, *_TOTALS]
    return reports.select(*COLUMNS, *(name for name in optional if name in reports.columns))


def _typed(reports: pl.DataFrame) -> pl.DataFrame:
    """Hold the columns to their types; codes become text without leading zeros or blanks."""
    used = _used(reports)
    frame = used.with_columns(_number(one) if one.name in _NUMBERS else _text(one) for one in used)
    numbered = [name for name in ("reporter", "partner", "partner2", "mot") if name in frame.columns]
    codes = pl.col(numbered).str.replace(r"^0*([0-9]+)(\.0+)?$", "$1")
    # A numeric column has lost the leading zero of chapters 1 to 9.
    hs6 = pl.col("hs6").str.zfill(6) if used["hs6"].dtype.is_integer() else pl.col("hs6")
    frame = frame.with_columns(codes, pl.col("flow").str.to_lowercase(), hs6)
    year, (least, most) = pl.col("year"), MEASURED
    _hold(frame, ~(year.is_between(1000, 9999) & (year == year.floor())).fill_null(False), "year", "a whole year")
    _hold(frame, ~pl.col("hs6").str.contains(r"^[0-9]{6}$").fill_null(False), "hs6", "six digits")
    for name in ("value_usd", "net_weight_kg"):
        sound = (pl.col(name) == 0) | pl.col(name).is_between(least, most)
        _hold(frame, ~sound, name, f"a finite number, zero or from {least:g} to {most:g}")
    reported = (pl.col("net_weight_kg") > 0) & ~_estimated(frame)
    return frame.with_columns(year.cast(pl.Int32), net_weight_kg=pl.when(reported).then(pl.col("net_weight_kg")))


def _number(values: pl.Series) -> pl.Series:
    """Read numbers, also from text; nothing else (a date, true) is taken for one."""
    text = values if values.dtype.is_numeric() else _text(values)
    found = text.cast(pl.Float64, strict=False)
    _hold(text.to_frame(), found.is_null() & text.is_not_null(), values.name, "a number")
    return found


def _text(values: pl.Series) -> pl.Series:
    """Return plain values as text without blanks."""
    try:
        if not values.dtype.is_nested():
            return values.cast(pl.String).str.strip_chars()
    except pl.exceptions.PolarsError:
        pass  # bytes and the like
    raise BadInput(f"trade reports: {values.name} is of type {values.dtype}; expected plain numbers or text.")


def _estimated(frame: pl.DataFrame) -> pl.Expr:
    if _ESTIMATED not in frame.columns:
        return pl.lit(False)
    marks = pl.col(_ESTIMATED).str.to_lowercase()
    _hold(frame, ~marks.is_in(["true", "false", "1", "0", "1.0", "0.0"]), _ESTIMATED, "true or false")
    return marks.is_in(["true", "1", "1.0"]).fill_null(False)


def _hold(frame: pl.DataFrame, wrong: pl.Expr | pl.Series, column: str, expected: str) -> None:
    odd = frame.filter(wrong)[column]
    if len(odd):
        values = odd.unique().sort().to_list()[:5]
        raise BadInput(f"trade reports: {column} holds {values!r:.300} in {len(odd)} rows; expected {expected}.")


def _flows(frame: pl.DataFrame) -> Kept:
    """Name the side that reported; flows that are inside another are dropped."""
    codes = reference(FLOW_FILE).select(
        pl.col("code").str.to_lowercase(), pl.col("flow").alias("side"), pl.col("drop_reason").alias("reason")
    )
    lost = frame.join(codes, left_on="flow", right_on="code", how="anti")["flow"].unique().sort()
    if len(lost):
        raise UnmappedValue("flow code", [str(value) for value in lost], FLOW_FILE)
    return _kept(frame.join(codes, left_on="flow", right_on="code", how="left", validate="m:1"))


def _kept(frame: pl.DataFrame) -> Kept:
    """Part a frame by its ``reason``."""
    return frame.filter(pl.col("reason").is_null()).drop("reason"), [
        _counted(frame.filter(pl.col("reason").is_not_null()))
    ]


def country_codes() -> pl.DataFrame:
    """Return ``code, iso3, reason``: the publisher's own country codes, then those of M49."""
    own = reference(COUNTRY_FILE).select("code", "iso3", pl.col("drop_reason").alias("reason"))
    m49 = countries().filter(pl.col("kind") == "country", pl.col("m49").is_not_null())
    rest = m49.select(code=pl.col("m49").cast(pl.String), iso3="iso3", reason=pl.lit(None, pl.String))
    return pl.concat([own, rest.join(own, on="code", how="anti")])


def _countries(frame: pl.DataFrame) -> Kept:
    codes = country_codes()
    dropped: list[pl.DataFrame] = []
    for side in ("partner", "reporter"):
        lost = frame.join(codes, left_on=side, right_on="code", how="anti")[side].unique().sort()
        if len(lost):
            raise UnmappedValue(f"{side} code", [str(value) for value in lost], COUNTRY_FILE)
        named = codes.rename({"iso3": f"{side}_iso3"}).with_columns(reason=pl.lit(f"{side}: ") + pl.col("reason"))
        frame, gone = _kept(frame.join(named, left_on=side, right_on="code", how="left", validate="m:1"))
        dropped += gone
    return frame, dropped


def _totals(frame: pl.DataFrame) -> Kept:
    """Keep one row per report: the row of totals where it is marked, else the largest.

    Breakdown rows repeat a report by second partner, customs procedure and mode of transport; their
    total is never smaller than a part (methods, section 4).
    """
    marks = [pl.col(name).cast(pl.String) == code for name, code in _TOTALS.items() if name in frame.columns]
    total = pl.all_horizontal(marks).fill_null(False) if marks else pl.lit(False)
    key = ["year", "reporter", "partner", "hs6", "side"]
    order = ["total", "value_usd", "net_weight_kg"]
    ordered = frame.with_columns(total=total).sort(*key, *order, nulls_last=False)
    kept = ordered.unique(key, keep="last", maintain_order=True)
    # Equal rows leave one by one, so the count is a difference.
    value = frame.select(pl.col("value_usd").sum()).item() - kept.select(pl.col("value_usd").sum()).item()
    rows = frame.height - kept.height
    gone = pl.DataFrame({"reason": ["breakdown of a report that is kept"], "rows": [rows], "value_usd": [value]})
    return kept.drop("total"), [gone.cast(pl.Schema(DROPPED_SCHEMA))] if rows else []


def _by_country(frame: pl.DataFrame) -> pl.DataFrame:
    """Add up the codes and the former countries that are one now; a sum with an unknown weight has none."""
    exports = pl.col("side") == "X"
    named = frame.with_columns(
        exporter=pl.when(exports).then("reporter_iso3").otherwise("partner_iso3"),
        importer=pl.when(exports).then("partner_iso3").otherwise("reporter_iso3"),
    )
    weight = pl.col("net_weight_kg")
    return (
        named.sort(*_SIDES, "value_usd", "net_weight_kg")
        .group_by(_SIDES, maintain_order=True)
        .agg(
            value_usd=pl.col("value_usd").sum(),
            weight_kg=pl.when(weight.is_null().any()).then(None).otherwise(weight.sum()),
            split_code=pl.col("split_code").any(),
        )
    )
