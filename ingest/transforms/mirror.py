"""Mirror reconciliation: from both reports of each flow to one value and one quantity.

What belongs here: pairing the sides, the weighted mean, interval and flags. What does not: reading
reports (``mirror_reports.py``), reliability (``mirror_weights.py``), quantities
(``mirror_quantity.py``), editions of the nomenclature (``mirror_revisions.py``), and any parameter
(``reference/mirror_parameters.csv``). Method and evidence: ``docs/reconciliation.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl

from ingest.transforms.mirror_parameters import Parameters, parameters
from ingest.transforms.mirror_quantity import with_believed_weights, with_quantity
from ingest.transforms.mirror_reports import DROPPED_SCHEMA, split, usable_reports
from ingest.transforms.mirror_weights import Reliability, reliability

FLOW_SCHEMA = {
    "year": pl.Int32(),
    "exporter": pl.String(),
    "importer": pl.String(),
    "hs6": pl.String(),
    "value_usd": pl.Float64(),
    "quantity_t": pl.Float64(),
    "value_low_usd": pl.Float64(),
    "value_high_usd": pl.Float64(),
    "reports": pl.String(),
    "flags": pl.String(),
}
KEY = ["year", "exporter", "importer", "hs6"]
SET_ASIDE = "exporter off by more than the fold that establishes a flow, and the importer, who reports, has none"


@dataclass(frozen=True)
class Reconciled:
    """Flows and what stands behind them.

    Attributes:
        flows: ``FLOW_SCHEMA``, one row per year, exporter, importer and code.
        dropped: ``reason, rows, value_usd`` of the report rows that reached no flow.
        reporters: ``year, iso3, side, compared_flows, log_error, set_aside``: how each country's reports
            as exporter and as importer differ from its partners' (standard error of the logarithm), and
            whether flows that it alone reports are set aside where the partner reports too.
        markup: ``year, markup, compared_flows, estimated, typical_fold``: CIF mark-up and median
            disagreement of the two sides.
    """

    flows: pl.DataFrame
    dropped: pl.DataFrame
    reporters: pl.DataFrame
    markup: pl.DataFrame


def reconcile(
    reports: pl.DataFrame, *, target_edition: str = "HS2017", given: Parameters | None = None
) -> pl.DataFrame:
    """Reconcile both reports of each flow; see ``reconcile_with_counts``.

    Returns:
        ``FLOW_SCHEMA``, one row per year, exporter, importer and code, sorted.
    """
    return reconcile_with_counts(reports, target_edition=target_edition, given=given).flows


def reconcile_with_counts(
    reports: pl.DataFrame, *, target_edition: str = "HS2017", given: Parameters | None = None
) -> Reconciled:
    """Reconcile the reports of exporters and importers (methods, section 4; Gaulier & Zignago 2010).

    Args:
        reports: ``year, reporter, partner, hs6, flow, value_usd, net_weight_kg`` as Comtrade gives them
            (M49 codes; USD; kg), in any order; repeated breakdown rows may be among them. Used where
            they are there: ``is_net_weight_estimated``, ``hs_edition`` or ``classification``,
            ``partner2``, ``customs``, ``mot``. Other columns are ignored.
        target_edition: edition the codes are brought to, where the reports name theirs.
        given: parameters in place of those on file.

    Returns:
        The flows: ``value_usd`` at the valuation of the reports, ``quantity_t`` gross tonnes (null where no
        weight and no unit value is known), an interval with low <= value <= high, ``reports`` both,
        exporter or importer, ``flags`` joined by ``;``: ``sides_disagree``, ``one_sided``,
        ``imputed_weight``, ``odd_unit_value``, ``no_weight``, ``split_code``.

    Raises:
        BadInput: a column is missing or holds what it cannot hold.
        UnmappedValue: a flow or country code that no reference file covers.
    """
    given = given or parameters()
    sides, dropped = usable_reports(reports, target_edition)
    believed = with_believed_weights(sides, given)
    paired = _paired(believed)
    trust = reliability(paired, given)
    reporters = _with_verdict(trust, given)
    kept, unseen = _without_unseen(_weighted(paired, trust, given), reporters, believed)
    value = _mean(pl.col("export_usd"), pl.col("import_usd") / _removed(given), given)
    valued = kept.with_columns(value_usd=pl.coalesce(value, "export_usd", pl.col("import_usd") / _removed(given)))
    weight = _mean(pl.col("export_kg"), pl.col("import_kg"), given)
    weighed = with_quantity(valued, weight, believed, given)
    counted = pl.concat([pl.DataFrame(schema=DROPPED_SCHEMA), *dropped, *unseen])
    return Reconciled(
        flows=_with_flags(_with_interval(weighed, given), given),
        dropped=counted.group_by("reason").agg(pl.col("rows", "value_usd").sum()).sort("reason"),
        reporters=reporters.sort("year", "side", "iso3"),
        markup=trust.markup,
    )


def _paired(sides: pl.DataFrame) -> pl.DataFrame:
    """Put the two reports of a flow into one row; a silent side is null."""
    names = {"X": "export", "M": "import"}
    halves = [
        sides.filter(pl.col("side") == side).select(
            *KEY,
            pl.col("value_usd").alias(f"{name}_usd"),
            pl.col("weight_kg").alias(f"{name}_kg"),
            pl.col("odd_weight").alias(f"{name}_odd"),
            pl.col("split_code").alias(f"{name}_split"),
        )
        for side, name in names.items()
    ]
    return halves[0].join(halves[1], on=KEY, how="full", coalesce=True, validate="1:1").sort(KEY)


def _with_verdict(trust: Reliability, given: Parameters) -> pl.DataFrame:
    off = pl.col("log_error") >= math.log(given.set_aside_fold)
    return trust.reporters.with_columns(set_aside=off & (pl.col("side") == "exporter"))


def _weighted(paired: pl.DataFrame, trust: Reliability, given: Parameters) -> pl.DataFrame:
    """Add the year's mark-up and ``export_weight``: inverse variances, the shares of the prior where unknown."""
    errors = trust.reporters.select("year", "iso3", "side", variance=pl.col("log_error") ** 2)
    frame = paired.join(trust.markup, on="year", how="left", maintain_order="left")
    for side in ("exporter", "importer"):
        known = errors.filter(pl.col("side") == side).select("year", pl.col("iso3").alias(side), "variance")
        frame = frame.join(known, on=["year", side], how="left", maintain_order="left").rename(
            {"variance": f"{side}_v"}
        )
    share = pl.col("importer_v") / (pl.col("exporter_v") + pl.col("importer_v"))
    return frame.with_columns(export_weight=share.fill_null(1 - given.exporter_variance_share))


def _without_unseen(
    paired: pl.DataFrame, reporters: pl.DataFrame, sides: pl.DataFrame
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Set flows aside that only an unreliable exporter claims, to a country that itself reports imports."""
    reports_imports = sides.filter(pl.col("side") == "M").select("year", "importer", heard=pl.lit(True)).unique()
    off = reporters.filter("set_aside").select("year", exporter="iso3", off=pl.lit(True))
    marked = paired.join(reports_imports, on=["year", "importer"], how="left", maintain_order="left").join(
        off, on=["year", "exporter"], how="left", maintain_order="left"
    )
    unseen = pl.col("import_usd").is_null() & pl.col("heard") & pl.col("off")
    kept, gone = split(marked.with_columns(value_usd=pl.col("export_usd")), (unseen, SET_ASIDE))
    return kept.drop("heard", "off", "value_usd"), gone


def _removed(given: Parameters) -> pl.Expr:
    return pl.col("markup") ** given.markup_removed


def _mean(ours: pl.Expr, theirs: pl.Expr, given: Parameters) -> pl.Expr:
    """Weighted power mean of the export and the import report; null where one is."""
    weight, power = pl.col("export_weight"), given.mean_power
    if power == 0:
        return (weight * ours.log() + (1 - weight) * theirs.log()).exp()
    return (weight * ours**power + (1 - weight) * theirs**power) ** (1 / power)


def _with_interval(flows: pl.DataFrame, given: Parameters) -> pl.DataFrame:
    """Span both reports; around a single one, the year's median disagreement (with half of the flows inside)."""
    deflated = pl.col("import_usd") / _removed(given)
    both = pl.col("export_usd").is_not_null() & pl.col("import_usd").is_not_null()
    value, fold = pl.col("value_usd"), pl.col("typical_fold")
    return flows.with_columns(
        both=both,
        value_low_usd=pl.when(both).then(pl.min_horizontal("export_usd", deflated, value)).otherwise(value / fold),
        value_high_usd=pl.when(both).then(pl.max_horizontal("export_usd", "import_usd", value)).otherwise(value * fold),
    )


def _with_flags(flows: pl.DataFrame, given: Parameters) -> pl.DataFrame:
    apart = pl.max_horizontal("export_usd", "import_usd") / pl.min_horizontal("export_usd", "import_usd")
    weightless = pl.col("quantity_t").is_null()
    flags = {
        "sides_disagree": pl.col("both") & (apart > given.disagree_fold),
        "one_sided": ~pl.col("both"),
        "imputed_weight": pl.col("imputed") & ~weightless,
        "odd_unit_value": pl.col("export_odd").fill_null(False) | pl.col("import_odd").fill_null(False),
        "no_weight": weightless,
        "split_code": pl.col("export_split").fill_null(False) | pl.col("import_split").fill_null(False),
    }
    marks = [pl.when(condition).then(pl.lit(name)) for name, condition in flags.items()]
    alone = pl.when(pl.col("import_usd").is_null()).then(pl.lit("exporter")).otherwise(pl.lit("importer"))
    return (
        flows.with_columns(
            reports=pl.when("both").then(pl.lit("both")).otherwise(alone),
            flags=pl.concat_str(marks, separator=";", ignore_nulls=True),
        )
        .select(pl.col(name).cast(kind) for name, kind in FLOW_SCHEMA.items())
        .sort(KEY)
    )
