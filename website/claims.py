"""The ledger of claims: published figures beside what comes out when they are recomputed.

What belongs here: choosing rows. What does not: verdicts (a mart).
"""

from __future__ import annotations

from collections import Counter

from website.render import Site


def write(site: Site) -> None:
    """Write ``claims.html``."""
    rows = site.marts.rows(
        "select claim, statement, year, material, published, published_low, published_high, published_token, unit, "
        "tolerance, recomputed, recomputed_from, difference, verdict, reason, claim_source, claim_vintage, citation, "
        "citation_basis, inputs from mart_claims order by verdict = 'reproduced', verdict, claim_source, claim"
    )
    verdicts = site.marts.rows(
        "select verdict, count(*) as claims from mart_claims group by verdict order by claims desc, verdict"
    )
    counted = Counter((row["claim_source"], row["verdict"]) for row in rows)
    sources = sorted({row["claim_source"] for row in rows if row["claim_source"]})
    site.page("claims.html", "claims.html", rows=rows, verdicts=verdicts, sources=sources, counted=counted)
