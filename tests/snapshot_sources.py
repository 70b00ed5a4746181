"""Where each raw vintage of the embedded snapshot lies in a folder of the publishers' own files."""

from __future__ import annotations

VINTAGES = [
    ("usgs_mcs", "2023", "usgs_mcs/2023"),
    ("usgs_mcs", "2024", "usgs_mcs/2024"),
    ("usgs_mcs", "2025", "usgs_mcs/2025"),
    ("usgs_mcs", "2026", "usgs_mcs/2026"),
    ("usgs_myb", "2022", "usgs_myb"),
    ("usitc", "2026", "usitc"),
    ("census", "2024", "census"),
    ("census_monthly", "2026-01-series", "census/exports_hs10_monthly"),
    ("baci", "V202601", "baci"),
    ("eu_crm", "2023", "eu_crm"),
    ("iea", "2025", "iea"),
    ("wgi", "2024", "wgi"),
    ("worldbank", "2024", "worldbank"),
    ("policy", "2025", "policy"),
    ("usgs_stockpile", "2026", "stockpile"),
]
