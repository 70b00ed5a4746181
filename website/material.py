"""A page per material: the chain from mine to product, and an importer's way through it.

What belongs here: choosing what a material's page and its data script show. What does not: HTML, downloads.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from website import words
from website.acts import Acts
from website.cells import arrows, lead, processor_of, seller_of
from website.marts import NEWEST_LISTS, Row, by
from website.packing import many
from website.render import Site
from website.series import import_series, sellers_and_ways

LARGEST_PRODUCERS = 6
COMPARED = 15


def write(site: Site) -> None:
    """Write ``materials.html``, and per material a page and a data script with every importer."""
    marts = site.marts
    rows: dict[str, list[Row]] = by(
        (row for mats in marts.dependence.values() for stages in mats.values() for row in stages.values()), "material"
    )
    world = _world(site)
    acts = Acts.of(site)
    covered = by(
        marts.rows("from mart_coverage where year = $year order by material, stage", {"year": marts.year}), "material"
    )
    series, flows = import_series(marts), sellers_and_ways(marts)
    for material in marts.materials:
        own = rows.get(material, [])
        parts = {code: _part(site, material, code, found, series, flows) for code, found in by(own, "importer").items()}
        slug = words.slug(material)
        site.script(f"data/material/{slug}.js", f"material/{material}", many(parts))
        first = site.default if site.default in parts else next(iter(sorted(parts)), "")
        chain = [_stage(site, material, stage, covered.get(material, []), world) for stage in marts.stages]
        shown = parts.get(first, {"html": "", "series": {}, "charts": {}})
        charts = {
            **shown["charts"], "chain": _chain_chart(site, chain), "compared": _compared(site, own),
            "timeline": acts.timeline(material),
        }  # fmt: skip
        site.page(
            f"material/{slug}.html",
            "material.html",
            material=material,
            facts=marts.material_facts.get(material, {}),
            chain=[item for item in chain if item["coverage"] or item["world"]],
            coverage=covered.get(material, []),
            part=shown,
            first=first,
            choices={code: marts.countries.get(code, code) for code in marts.importers if code in parts},
            events=acts.events.get(material, []),
            controls=acts.controls.get(material, []),
            page={"importer": first, "charts": charts, "series": shown["series"], "stages": list(marts.stages.items())},
        )
    site.page("materials.html", "materials.html", rows=_index(site, covered, rows))


def _index(site: Site, covered: dict[str, list[Row]], rows: dict[str, list[Row]]) -> list[Row]:
    lines = []
    for material in site.marts.materials:
        traced = {row["stage"] for row in rows.get(material, []) if row["top_processor"]}
        lines.append(
            {
                "material": material,
                "facts": site.marts.material_facts.get(material, {}),
                "traced": [stage for stage in site.marts.stages if stage in traced],
                "blind": [row["stage"] for row in covered.get(material, []) if row["chain_status"] == "blind"],
                "importers": len({row["importer"] for row in rows.get(material, [])}),
            }
        )
    return lines


def _part(
    site: Site, material: str, importer: str, rows: list[Row], series: dict[Any, Any], flows: dict[Any, Any]
) -> dict[str, Any]:
    """Return what a material's page shows of one importer: HTML, rows of its charts, series by stage."""
    marts = site.marts
    order = list(marts.stages)
    rows = sorted(rows, key=lambda row: order.index(row["stage"]))
    lines = [
        {
            "row": row,
            "seller": seller_of(row),
            "processor": processor_of(row) if row["year"] == marts.year else None,
            "why_seller": marts.why_no_supplier(importer, material, row["stage"]),
            "why_processor": marts.why_not_traced(importer, material, row["stage"]),
        }
        for row in rows
    ]
    found = {}
    for row in rows:
        key = (importer, material, row["stage"])
        item = dict(series.get(key, {"y": [], "s": [], "l": [], "h": [], "note": ""}))
        if key in flows:
            item["f"] = flows[key]
        if item["y"] or key in flows:
            found[row["stage"]] = item
    traced = [row for row in rows if row["top_processor"] and row["year"] == marts.year]
    html = site.fragment("_dependence.html", importer=importer, lines=lines, year=marts.year, material=material)
    return {
        "html": html,
        "series": found,
        "charts": {"arrow": {"rows": arrows(marts, [lead(row) for row in traced], "stage")}},
    }


def _compared(site: Site, rows: list[Row]) -> dict[str, Any]:
    """Return the largest importers at the last stage that was seen through, each on its lead processor."""
    order = list(site.marts.stages)
    traced = [row for row in rows if row["top_processor"] and row["year"] == site.marts.year and row["imports_t"]]
    if not traced:
        return {"rows": []}
    last = max((row["stage"] for row in traced), key=order.index)
    chosen = sorted(
        (row for row in traced if row["stage"] == last), key=lambda row: (-row["imports_t"], row["importer"])
    )
    return {"rows": arrows(site.marts, [lead(row) for row in chosen[:COMPARED]], "importer"), "stage": last}


def _world(site: Site) -> dict[tuple[str, str], dict[str, Any]]:
    """Return world output by material and stage: newest year of the preferred source, the largest producers."""
    marts = site.marts
    if not marts.has("mart_stage_output", "mart_stage_concentration"):
        return {}
    heads = marts.rows(
        "from mart_stage_concentration where is_preferred "
        "qualify row_number() over (partition by material, stage order by year desc) = 1 order by material, stage"
    )
    output = by(
        marts.rows(
            "select material, stage, year, source, vintage, basis, country, share, production_t, production_t_low, "
            f"production_t_high, token, evidence from mart_stage_output as o join ({NEWEST_LISTS}) as k "
            "using (material, stage, year, source) where not o.is_total and o.form = 'all' "
            "order by material, stage, share desc nulls last, country"
        ),
        "material",
        "stage",
    )
    known = {(head["material"], head["stage"]) for head in heads}
    heads += [_told(rows) for place, rows in output.items() if place not in known]
    return {
        (head["material"], head["stage"]): {"head": head, "rows": output.get((head["material"], head["stage"]), [])}
        for head in heads
    }


def _told(rows: list[Row]) -> Row:
    """Return the head of a list that is made of published statements, whose concentration nobody prints."""
    named = [row for row in rows if row["country"] != "OTH"]
    return rows[0] | {
        "world_t": sum(row["production_t"] for row in rows),
        "top_country": named[0]["country"], "top_share": named[0]["share"], "hhi_low": None, "hhi_high": None,
        "evidence": max((row["evidence"] for row in rows), key=list(words.EVIDENCE).index),
    }  # fmt: skip


def _stage(
    site: Site, material: str, stage: str, covered: list[Row], world: dict[tuple[str, str], dict[str, Any]]
) -> dict[str, Any]:
    return {
        "stage": stage,
        "coverage": next((row for row in covered if row["stage"] == stage), None),
        "world": world.get((material, stage)),
    }


def _chain_chart(site: Site, chain: list[dict[str, Any]]) -> dict[str, Any]:
    """Return bars of world shares by stage: the largest producers of any stage by name, the others together."""
    marts = site.marts
    totals: dict[str, float] = defaultdict(float)
    for item in chain:
        for row in (item["world"] or {"rows": []})["rows"]:
            if row["country"] not in ("OTH", "WLD"):
                totals[row["country"]] += row["share"] or 0.0
    named = [code for code, _ in sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))][:LARGEST_PRODUCERS]
    rows = []
    for item in chain:
        if not item["world"]:
            continue
        head, at = item["world"]["head"], 0.0
        shares = {row["country"]: row["share"] or 0.0 for row in item["world"]["rows"]}
        rest = sum(share for code, share in shares.items() if code not in named)
        parts = [*((code, shares.get(code, 0.0)) for code in named), ("other", rest)]
        for code, share in parts:
            if share > 0:
                rows.append(
                    {
                        "label": f"{marts.stages[item['stage']]}|{head['year']}, {head['source']}",
                        "stage": marts.stages[item["stage"]],
                        "country": "Others" if code == "other" else marts.countries.get(code, code),
                        "code": "" if code == "other" else code,
                        "from": round(100 * at, 3), "to": round(100 * (at + share), 3), "share": round(100 * share, 2),
                        "year": head["year"], "evidence": head["evidence"],
                    }
                )  # fmt: skip
                at += share
    return {"rows": rows, "domain": [*(marts.countries.get(code, code) for code in named), "Others"]}
