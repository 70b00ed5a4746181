"""UN Comtrade's part of ``trade_flow``: both reports of each flow made one.

What belongs here: handing the reports to the reconciliation and bringing its flows to the table's
columns. What does not: the reconciliation (``mirror.py``), which source serves a code (``stage_flow.py``).
"""

from __future__ import annotations

import polars as pl

from ingest.transforms.mirror import reconcile_with_counts

RAW = "raw_comtrade__trade"
# The edition of BACI V202601, so that both sources and the map speak of the same codes.
EDITION = "HS2017"
HEADING = "heading: its six-digit codes hold the same trade"
COLUMNS: dict[str, pl.DataType] = {
    "year": pl.Int32(),
    "exporter": pl.String(),
    "importer": pl.String(),
    "hs_code": pl.String(),
    "hs_level": pl.Int32(),
    "hs_edition": pl.String(),
    "flow": pl.String(),
    "value_usd": pl.Float64(),
    "quantity_gross_t": pl.Float64(),
    "scope": pl.String(),
    "source": pl.String(),
    "vintage": pl.String(),
    "evidence": pl.String(),
    "value_low_usd": pl.Float64(),
    "value_high_usd": pl.Float64(),
}
COUNTED: dict[str, pl.DataType] = {
    "source": pl.String(),
    "vintage": pl.String(),
    "reason": pl.String(),
    "rows": pl.Int32(),
}


def flows(raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Reconcile the reports, vintage by vintage (methods, section 4).

    Args:
        raw: ``raw_comtrade__trade``; may be empty.

    Returns:
        ``COLUMNS``: USD with the span of the two reports, gross tonnes, ``flow`` R, ``scope`` all_pairs,
        evidence estimated; and report rows that reached no flow, ``COUNTED``.

    Raises:
        UnmappedValue: a country code that no reference file covers.
    """
    done = [_vintage(part) for part in raw.partition_by("source", "vintage", maintain_order=True)]
    made = pl.concat([pl.DataFrame(schema=COLUMNS), *[rows for rows, _ in done]])
    return made, pl.concat([pl.DataFrame(schema=COUNTED), *[lost for _, lost in done]])


def _vintage(raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    codes = pl.col("hs6").str.len_chars() == 6
    headings = raw.filter(~codes)
    found = reconcile_with_counts(
        raw.filter(codes).select(
            "year",
            "hs6",
            "flow",
            "value_usd",
            "net_weight_kg",
            "hs_edition",
            reporter="reporter_m49",
            partner="partner_m49",
            is_net_weight_estimated="net_weight_estimated",
        ),
        target_edition=EDITION,
    )
    imputed = pl.col("flags").str.split(";").list.contains("imputed_weight")
    origin = {name: pl.lit(raw[name][0]) for name in ("source", "vintage")}
    rows = found.flows.with_columns(
        hs_code="hs6",
        # Null is a weight that nobody reported; ``unit_value`` imputes it with bounds, as for every source.
        quantity_gross_t=pl.when(~imputed.fill_null(False)).then("quantity_t"),
        hs_level=pl.lit(6),
        hs_edition=pl.lit(EDITION),
        flow=pl.lit("R"),
        scope=pl.lit("all_pairs"),
        evidence=pl.lit("estimated"),
        **origin,
    )
    lost = pl.concat(
        [found.dropped.select("reason", "rows"), pl.DataFrame({"reason": [HEADING], "rows": [headings.height]})]
    )
    return _typed(rows, COLUMNS), _typed(lost.filter(pl.col("rows") > 0).with_columns(**origin), COUNTED)


def _typed(frame: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.items())
