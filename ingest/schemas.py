"""Column contracts of the canonical tables: names, types, units.

What belongs here: one polars schema per canonical table and the function that holds a frame to
it. Units are in the column names: ``_t`` tonnes contained, ``_gross_t`` tonnes gross, ``_usd``
US dollars of the year, ``_share`` 0..1, ``_pct`` printed percent. What does not: how rows are made.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ingest.errors import OretraceError

S, N, F, B, D = pl.String(), pl.Int32(), pl.Float64(), pl.Boolean(), pl.Date()

EVIDENCE = ("reported", "estimated", "derived", "assumed")


@dataclass(frozen=True)
class Table:
    """Contract of one canonical table.

    Attributes:
        columns: name to polars type, in order.
        key: columns that identify a row.
        required: columns that may not be null (key columns always).
    """

    columns: dict[str, pl.DataType]
    key: tuple[str, ...]
    required: tuple[str, ...] = ()


_PROVENANCE: dict[str, pl.DataType] = {"source": S, "vintage": S, "evidence": S}

CANONICAL: dict[str, Table] = {
    # World output by country. `measure`: production | capacity | reserves. `form` is a short slug
    # that separates lines of one stage (e.g. ilmenite, rutile); `all` where there is one.
    # iso3 WLD is the printed world total, OTH "other countries".
    "production": Table(
        {
            "material": S,
            "stage": S,
            "form": S,
            "measure": S,
            "iso3": S,
            "year": N,
            "quantity_t": F,
            "quantity_t_low": F,
            "quantity_t_high": F,
            "token": S,
            "unit_printed": S,
            "rounding_t": F,
            "basis": S,
            **_PROVENANCE,
        },
        ("material", "stage", "form", "measure", "iso3", "year", "source", "vintage"),
        ("basis", "evidence"),
    ),
    # US salient statistics. `statistic`: production | imports | exports | apparent_consumption |
    # consumption | net_import_reliance | price | stocks | shipments | employment | ...; `detail` is a
    # slug of the printed line (e.g. compounds_and_metals). Quantities in tonnes (unit "t"), percent
    # "percent", prices as printed. stage may be null where a line is no stage.
    "us_salient": Table(
        {
            "commodity": S,
            "material": S,
            "stage": S,
            "statistic": S,
            "detail": S,
            "year": N,
            "value": F,
            "value_low": F,
            "value_high": F,
            "token": S,
            "unit": S,
            "basis": S,
            **_PROVENANCE,
        },
        ("commodity", "statistic", "detail", "unit", "year", "source", "vintage"),
        ("evidence",),
    ),
    # Net import reliance recomputed as 1 - production / apparent consumption (methods, section 2), one row per
    # printed figure whose terms are printed in tonnes. `within`: null where it cannot be judged. `trivial`: the
    # edition prints this series censored in some year, or always as 100, so its bounds alone can satisfy it.
    "nir_identity": Table(
        {
            "commodity": S,
            "detail": S,
            "material": S,
            "year": N,
            "production_t": F,
            "apparent_consumption_t": F,
            "recomputed_pct": F,
            "printed_pct": F,
            "printed_low_pct": F,
            "printed_high_pct": F,
            "token": S,
            "difference_pp": F,
            "within": B,
            "trivial": B,
            "columns_used": S,
            **_PROVENANCE,
        },
        ("commodity", "detail", "year", "source", "vintage"),
        ("trivial", "columns_used", "evidence"),
    ),
    # Printed import sources (shares of imports over a window of years), importer always given.
    "import_source": Table(
        {
            "importer": S,
            "commodity": S,
            "material": S,
            "stage": S,
            "form": S,
            "iso3": S,
            "first_year": N,
            "last_year": N,
            "share": F,
            "share_low": F,
            "share_high": F,
            "token": S,
            "basis": S,
            **_PROVENANCE,
        },
        ("importer", "commodity", "form", "iso3", "first_year", "last_year", "source", "vintage"),
        ("evidence",),
    ),
    # Output by stage, one figure per cell: `method` is reported | share_x_total | published_share | derived_balance.
    # `alternatives`: what sources further down the stated order say, where they are more than 10 % off; `conflict`:
    # one of them speaks of the same year. No WLD; OTH is what no country is named for.
    "stage_production": Table(
        {
            "material": S,
            "stage": S,
            "iso3": S,
            "year": N,
            "quantity_t": F,
            "quantity_t_low": F,
            "quantity_t_high": F,
            "basis": S,
            "source": S,
            "vintage": S,
            "evidence": S,
            "method": S,
            "alternatives": S,
            "conflict": B,
        },
        ("material", "stage", "iso3", "year"),
        (
            *("quantity_t", "quantity_t_low", "quantity_t_high", "basis"),
            *("source", "vintage", "evidence", "method", "conflict"),
        ),
    ),
    # Recycled supply by the stage at which it enters the market, tonnes contained.
    "secondary_supply": Table(
        {
            "material": S,
            "stage": S,
            "form": S,
            "iso3": S,
            "year": N,
            "quantity_t": F,
            "quantity_t_low": F,
            "quantity_t_high": F,
            "token": S,
            **_PROVENANCE,
        },
        ("material", "stage", "form", "iso3", "year"),
        ("source", "vintage", "evidence"),
    ),
    # Trade by commodity code, gross. hs_level 4, 6 or 10. `scope`: all_pairs | main_flows |
    # selected_partners. quantity null = not reported. One row per flow, source and vintage.
    "trade_flow": Table(
        {
            "year": N,
            "exporter": S,
            "importer": S,
            "hs_code": S,
            "hs_level": N,
            "hs_edition": S,
            "flow": S,
            "value_usd": F,
            "quantity_gross_t": F,
            "scope": S,
            **_PROVENANCE,
        },
        ("year", "exporter", "importer", "hs_code", "flow", "source", "vintage"),
        ("scope", "evidence"),
    ),
    # Trade by material and stage, tonnes contained (low, central, high).
    "stage_flow": Table(
        {
            "year": N,
            "exporter": S,
            "importer": S,
            "material": S,
            "stage": S,
            "quantity_t": F,
            "quantity_t_low": F,
            "quantity_t_high": F,
            "value_usd": F,
            "basis": S,
            "hs_codes": S,
            **_PROVENANCE,
        },
        ("year", "exporter", "importer", "material", "stage", "source", "vintage"),
        ("basis", "evidence"),
    ),
    # US rare-earth import lines of the Minerals Yearbook, gross and REO.
    "import_line": Table(
        {
            "importer": S,
            "material": S,
            "stage": S,
            "line": S,
            "iso3": S,
            "year": N,
            "quantity_gross_t": F,
            "quantity_t": F,
            "token": S,
            **_PROVENANCE,
        },
        ("importer", "line", "iso3", "year", "source", "vintage"),
        ("evidence",),
    ),
    # Published shares of supply. `scope`: global | eu. quantity_t where the publisher gives tonnes.
    "supply_share": Table(
        {
            "material": S,
            "stage": S,
            "form": S,
            "scope": S,
            "iso3": S,
            "first_year": N,
            "last_year": N,
            "share": F,
            "share_low": F,
            "share_high": F,
            "quantity_t": F,
            "token": S,
            "trade_factor": F,
            **_PROVENANCE,
        },
        ("material", "stage", "form", "scope", "iso3", "last_year", "source", "vintage"),
        ("evidence",),
    ),
    # Published criticality scores (EU supply risk, economic importance).
    "criticality_score": Table(
        {"material": S, "assessment_year": N, "indicator": S, "value": F, "token": S, **_PROVENANCE},
        ("material", "assessment_year", "indicator", "source", "vintage"),
        ("evidence",),
    ),
    # Shares of end uses by sector, with the sector's value added.
    "end_use": Table(
        {
            "economy": S,
            "material": S,
            "application": S,
            "sector": S,
            "share": F,
            "value_added_usd": F,
            "value_added_eur": F,
            **_PROVENANCE,
        },
        ("economy", "material", "application", "sector", "source", "vintage"),
        ("evidence",),
    ),
    "stock": Table(
        {
            "holder": S,
            "material": S,
            "form": S,
            "measure": S,
            "year": N,
            "quantity_t": F,
            "quantity_t_low": F,
            "quantity_t_high": F,
            "token": S,
            "unit_printed": S,
            **_PROVENANCE,
        },
        ("holder", "material", "form", "measure", "year", "source", "vintage"),
        ("evidence",),
    ),
    # Export controls, one row per announcement and material (stage null = all stages).
    "restriction": Table(
        {
            "authority_no": S,
            "imposer": S,
            "material": S,
            "stage": S,
            "announced": D,
            "effective": D,
            "status": S,
            "suspended": D,
            "hs_codes": S,
            **_PROVENANCE,
        },
        ("authority_no", "material", "stage", "source", "vintage"),
        ("evidence",),
    ),
    "governance": Table(
        {"iso3": S, "year": N, "indicator": S, "estimate": F, "std_error": F, **_PROVENANCE},
        ("iso3", "year", "indicator", "source", "vintage"),
        ("evidence",),
    ),
    "economy": Table(
        {"iso3": S, "year": N, "gdp_usd": F, **_PROVENANCE},
        ("iso3", "year", "source", "vintage"),
        ("gdp_usd", "evidence"),
    ),
    "material": Table(
        {"material": S, "name": S, "basis": S, "critical_us_2025": B, "critical_eu_2023": B, "note": S},
        ("material",),
        ("name", "basis"),
    ),
    "stage": Table({"stage": S, "position": N, "name": S, "definition": S}, ("stage",), ("position", "name")),
    "country": Table(
        {"iso3": S, "iso2": S, "m49": N, "name": S, "kind": S, "eu_member": B}, ("iso3",), ("name", "kind")
    ),
    # Published statements to be recomputed; see transforms/claim.py for `metric`. `data_*`, `measure`, `lines`
    # and `first_year`..`year` say which canonical rows recompute it; `reason`: why it cannot be measured.
    "claim": Table(
        {
            "claim": S,
            "statement": S,
            "metric": S,
            "data_table": S,
            "data_source": S,
            "data_vintage": S,
            "measure": S,
            "lines": S,
            "importer": S,
            "material": S,
            "stage": S,
            "country": S,
            "commodity": S,
            "first_year": N,
            "year": N,
            "published": F,
            "published_low": F,
            "published_high": F,
            "published_token": S,
            "unit": S,
            "tolerance": F,
            "reason": S,
            "claim_source": S,
            "claim_vintage": S,
            "citation": S,
        },
        ("claim",),
        ("statement", "metric", "unit", "tolerance", "claim_source"),
    ),
    # Rows dropped on purpose, counted with a reason.
    "dropped": Table(
        {"table": S, "source": S, "vintage": S, "reason": S, "rows": N},
        ("table", "source", "vintage", "reason"),
        ("rows",),
    ),
}

KEY_NULLABLE = {("restriction", "stage"), ("us_salient", "unit")}


def conform(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """Hold a frame to its canonical contract: column order, types, keys, required values.

    Args:
        frame: has exactly the table's columns, in any order.
        table: name of a canonical table.

    Returns:
        The frame, columns ordered and cast, rows sorted by key.

    Raises:
        OretraceError: a column is missing or unknown, a required value is null, a key repeats,
            or ``evidence`` is not one of the four grades; the message shows the first bad row.
    """
    contract = CANONICAL[table]
    missing = [name for name in contract.columns if name not in frame.columns]
    unknown = [name for name in frame.columns if name not in contract.columns]
    if missing or unknown:
        raise OretraceError(f"canonical table {table}: missing columns {missing}, unknown columns {unknown}.")
    frame = frame.select(pl.col(name).cast(kind) for name, kind in contract.columns.items())
    for name in dict.fromkeys((*contract.key, *contract.required)):
        if (table, name) not in KEY_NULLABLE and (bad := frame.filter(pl.col(name).is_null())).height:
            raise OretraceError(
                f"canonical table {table}: {name} is null in {bad.height} rows, first {bad.row(0, named=True)}."
            )
    repeated = frame.filter(pl.struct(contract.key).is_duplicated())
    if repeated.height:
        raise OretraceError(
            f"canonical table {table}: key {contract.key} repeats in {repeated.height} rows, "
            f"first {repeated.sort(contract.key).row(0, named=True)}."
        )
    if "evidence" in contract.columns:
        odd = frame.filter(~pl.col("evidence").is_in(EVIDENCE))
        if odd.height:
            raise OretraceError(f"canonical table {table}: evidence {odd['evidence'][0]!r} is not one of {EVIDENCE}.")
    return frame.sort(contract.key)
