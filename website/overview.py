"""The first page: how dependent an importer is at every stage of every material, and on whom.

What belongs here: choosing what the page shows. What does not: HTML, SQL of other pages.
"""

from __future__ import annotations

from typing import Any

from website.cells import arrows, heat_map, hidden_exposures
from website.packing import one
from website.render import Site


def write(site: Site) -> None:
    """Write ``index.html`` and one data script per importer."""
    for code in site.marts.importers:
        site.script(f"data/importer/{code}.js", f"importer/{code}", one(part(site, code)))
    shown = part(site, site.default)
    site.page("index.html", "overview.html", part=shown, coverage=coverage(site), page={
        "importer": site.default, "charts": shown["charts"],
    })  # fmt: skip


def part(site: Site, importer: str) -> dict[str, Any]:
    """Return what the first page shows of one importer: HTML, and rows of its chart."""
    if importer not in site.parts:
        hidden = hidden_exposures(site.marts, importer)
        heat = heat_map(site.marts, importer)
        html = site.fragment("_importer.html", importer=importer, heat=heat, hidden=hidden, year=site.marts.year)
        charts = {"hidden": {"rows": arrows(site.marts, hidden, "material")}}
        site.parts[importer] = {"html": html, "charts": charts, "counts": heat.counts, "hidden": hidden}
    shown = site.parts[importer]
    return {"html": shown["html"], "charts": shown["charts"]}


def coverage(site: Site) -> dict[str, int]:
    """Count what is known of the year on show."""
    row = site.marts.rows(
        """
        select count(*) as cells, count(distinct material) as materials,
            count(*) filter (status <> 'missing') as with_output, count(*) filter (has_trade) as with_trade,
            count(*) filter (chain_status = 'closed') as closed, count(*) filter (chain_status = 'blind') as blind
        from mart_coverage where year = $year
        """,
        {"year": site.marts.year},
    )[0]
    return {**row, "importers": len(site.marts.importers)}
