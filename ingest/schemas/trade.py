"""Column contracts of trade by code, by stage, by line and by month.

What belongs here: columns, keys and required columns. What does not: how rows are made.
"""

from __future__ import annotations

from ingest.schemas.base import PROVENANCE, B, F, N, S, Table

TRADE: dict[str, Table] = {
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
            **PROVENANCE,
        },
        ("importer", "commodity", "form", "iso3", "first_year", "last_year", "source", "vintage"),
        ("evidence",),
    ),
    # Trade by commodity code, gross. hs_level 4, 6 or 10. `scope`: all_pairs | main_flows |
    # selected_partners. quantity null = not reported. One row per flow, source and vintage.
    # value_low_usd, value_high_usd: span of the two reports of a flow reconciled here, else null.
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
            **PROVENANCE,
            "value_low_usd": F,
            "value_high_usd": F,
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
            **PROVENANCE,
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
            **PROVENANCE,
        },
        ("importer", "line", "iso3", "year", "source", "vintage"),
        ("evidence",),
    ),
    # Trade of the USA by month, ten-digit line and partner. flow M | X; partner WLD is the printed total.
    # `scope`: all_countries (a whole proven month) | selected_partners. quantity null = not known.
    "trade_month": Table(
        {
            "year": N,
            "month": N,
            "flow": S,
            "hs10": S,
            "partner": S,
            "value_usd": F,
            "quantity_kg": F,
            "unit_printed": S,
            "scope": S,
            **PROVENANCE,
        },
        ("year", "month", "flow", "hs10", "partner"),
        ("value_usd", "scope", "source", "vintage", "evidence"),
    ),
    # The monitor: product lines by month and partner, beside the twelve months before. `period` is YYYY-MM.
    # Changes are relative (0.1 = 10 % more). `alerts`: slugs of monitor_rules.csv joined by `;`.
    "import_monitor": Table(
        {
            "reporter": S,
            "flow": S,
            "line": S,
            "material": S,
            "stage": S,
            "basket": B,
            "partner": S,
            "year": N,
            "month": N,
            "period": S,
            "value_usd": F,
            "quantity_kg": F,
            "unit_printed": S,
            "unit_value_usd_kg": F,
            "unit_value_12m_usd_kg": F,
            "partner_share": F,
            "partner_share_12m": F,
            "share_by_quantity": F,
            "share_reason": S,
            "is_lead_partner": B,
            "mean_12m_usd": F,
            "change_on_year": F,
            "change_on_12m_mean": F,
            "months_available": N,
            "months_traded": N,
            "alerts": S,
            "alert_reason": S,
            "scope": S,
            **PROVENANCE,
        },
        ("reporter", "flow", "line", "material", "partner", "year", "month"),
        ("stage", "basket", "period", "value_usd", "months_available", "months_traded", "scope", *PROVENANCE),
    ),
}
