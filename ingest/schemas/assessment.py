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
}
