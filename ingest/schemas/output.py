"""Column contracts of what is made, held and relied on: output, salient statistics, secondary supply, stocks.

What belongs here: columns, keys and required columns. What does not: how rows are made.
"""

from __future__ import annotations

from ingest.schemas.base import PROVENANCE, B, F, N, S, Table

OUTPUT: dict[str, Table] = {
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
            **PROVENANCE,
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
            **PROVENANCE,
        },
        ("commodity", "statistic", "detail", "unit", "year", "source", "vintage"),
        ("evidence",),
        nullable_key=("unit",),
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
            **PROVENANCE,
        },
        ("commodity", "detail", "year", "source", "vintage"),
        ("trivial", "columns_used", "evidence"),
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
            **PROVENANCE,
        },
        ("material", "stage", "form", "iso3", "year"),
        ("source", "vintage", "evidence"),
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
            **PROVENANCE,
        },
        ("material", "stage", "form", "scope", "iso3", "last_year", "source", "vintage"),
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
            **PROVENANCE,
        },
        ("holder", "material", "form", "measure", "year", "source", "vintage"),
        ("evidence",),
    ),
    # Targets of state stocks in days of need. `status`: in_force | announced.
    "stock_target": Table(
        {
            "holder": S,
            "material": S,
            "status": S,
            "days": F,
            "confidence": S,
            "note": S,
            "reference": S,
            "evidence": S,
        },
        ("holder", "material", "status"),
        ("days", "confidence", "reference", "evidence"),
    ),
    # Reserve programmes announced. `material` may be `all`; `announced` is a day or a month.
    "announced_reserve": Table(
        {
            "holder": S,
            "material": S,
            "programme": S,
            "announced": S,
            "year": N,
            "value_usd": F,
            "quantity_t": F,
            "confidence": S,
            "note": S,
            "reference": S,
            "evidence": S,
        },
        ("holder", "material", "year"),
        ("announced", "confidence", "reference", "evidence"),
    ),
}
