"""Column contracts of what is known of the figures themselves: dimensions, claims, dropped rows, editions used.

What belongs here: columns, keys and required columns. What does not: how rows are made.
"""

from __future__ import annotations

from ingest.schemas.base import B, F, N, S, Table

RECORD: dict[str, Table] = {
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
            "tolerance_rule": S,
            "recomputed_from": S,
            "reason": S,
            "claim_source": S,
            "claim_vintage": S,
            "citation": S,
            "citation_basis": S,
        },
        ("claim",),
        ("statement", "metric", "unit", "tolerance", "claim_source", "citation", "citation_basis"),
    ),
    # Rows dropped on purpose, counted with a reason.
    "dropped": Table(
        {"table": S, "source": S, "vintage": S, "reason": S, "rows": N},
        ("table", "source", "vintage", "reason"),
        ("rows",),
    ),
    # Editions that a run read. `origin`: live (a raw vintage) | snapshot (embedded figures).
    "vintage_used": Table(
        {
            "source": S,
            "vintage": S,
            "origin": S,
            "raw_vintage": S,
            "publisher": S,
            "title": S,
            "licence": S,
            "citation": S,
            "retrieved": S,
            "content_sha256": S,
        },
        ("source", "vintage", "origin"),
        ("licence", "citation", "content_sha256"),
    ),
}
