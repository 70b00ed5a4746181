"""Column contracts of what criticality and policy rest on: scores, uses, governance, economies, restrictions.

What belongs here: columns, keys and required columns. What does not: how rows are made.
"""

from __future__ import annotations

from ingest.schemas.base import PROVENANCE, D, F, N, S, Table

ASSESSMENT: dict[str, Table] = {
    # Published criticality scores (EU supply risk, economic importance).
    "criticality_score": Table(
        {"material": S, "assessment_year": N, "indicator": S, "value": F, "token": S, **PROVENANCE},
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
            **PROVENANCE,
        },
        ("economy", "material", "application", "sector", "source", "vintage"),
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
            **PROVENANCE,
        },
        ("authority_no", "material", "stage", "source", "vintage"),
        ("evidence",),
        nullable_key=("stage",),
    ),
    # Acts, controls, lists, agreements, reserves, one row per event and material (`all`, `none` where it names no
    # single one). Lists in a cell have `;` between them; stages null = every stage, supplier null = the lead supplier.
    "policy_event": Table(
        {
            "event": S,
            "event_date": D,
            "date_precision": S,
            "effective": D,
            "suspended": D,
            "suspended_until": D,
            "jurisdiction": S,
            "counterparty": S,
            "kind": S,
            "instrument": S,
            "statement": S,
            "material": S,
            "measured_material": S,
            "stages": S,
            "supplier": S,
            "importers": S,
            "authority_no": S,
            "citation": S,
            "url": S,
            "confidence": S,
            "listed_in": S,
            "evidence": S,
        },
        ("event", "material"),
        (
            "event_date",
            "date_precision",
            "jurisdiction",
            "kind",
            "instrument",
            "statement",
            "importers",
            "citation",
            "url",
            "confidence",
            "listed_in",
            "evidence",
        ),
    ),
    "governance": Table(
        {"iso3": S, "year": N, "indicator": S, "estimate": F, "std_error": F, **PROVENANCE},
        ("iso3", "year", "indicator", "source", "vintage"),
        ("evidence",),
    ),
    "economy": Table(
        {"iso3": S, "year": N, "gdp_usd": F, **PROVENANCE},
        ("iso3", "year", "source", "vintage"),
        ("gdp_usd", "evidence"),
    ),
    # Parameters of methods section 5. economy EUU | USA | all; material a slug or `all`. Shares and rates 0..1,
    # indices without unit. `confidence` high | medium | low says how sure the figure is, `reference` where it stands.
    "criticality_parameter": Table(
        {
            "economy": S,
            "material": S,
            "parameter": S,
            "value": F,
            "confidence": S,
            "note": S,
            "reference": S,
            "evidence": S,
        },
        ("economy", "material", "parameter"),
        ("value", "confidence", "reference", "evidence"),
    ),
    # Whom an importer counts as an ally, from the year `since`; EUU stands for every member. `origin` reference | user.
    "ally": Table(
        {"importer": S, "ally": S, "since": N, "origin": S, "reference": S, "evidence": S},
        ("importer", "ally"),
        ("since", "origin", "reference", "evidence"),
    ),
    # Disruptions to run (methods section 6). material null = every one, stage null = every one. `mechanism`: ban
    # (actor exports nothing) | output_lost | closure (ships on nothing). `stopped_share` 0..1 of that; `target`: the
    # only importer hit (null: all). Dates and status of announcements; `n_minus_1_ratio` of N-1 rows, without unit.
    "scenario": Table(
        {
            "scenario": S,
            "kind": S,
            "mechanism": S,
            "title": S,
            "actor": S,
            "material": S,
            "stage": S,
            "stopped_share": F,
            "target": S,
            "authority_no": S,
            "announced": D,
            "effective": D,
            "status": S,
            "suspended": D,
            "n_minus_1_ratio": F,
            "confidence": S,
            **PROVENANCE,
        },
        ("scenario", "material", "stage"),
        ("kind", "mechanism", "title", "actor", "stopped_share", "confidence", "source", "vintage", "evidence"),
        nullable_key=("material", "stage"),
    ),
}
