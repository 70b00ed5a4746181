"""The whole site in order: pages, data scripts, shared scripts, the audit and the dbt docs beside them.

What belongs here: what is written and from what. What does not: any page's content.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ingest.errors import BadInput
from website import (
    changes,
    claims,
    country,
    criticality,
    dictionary,
    downloads,
    material,
    overview,
    scenario,
    stockpile,
)
from website.charts import STATIC, specifications
from website.marts import Marts
from website.render import Site

DEFAULT_IMPORTER = "USA"
LOOK_THROUGH = ("mart_dependence_by_stage", "mart_supplier_exposure", "mart_exposure_via", "mart_coverage")
# A page, its title, what writes it, and the marts without which it is left out.
PAGES: tuple[tuple[str, str, Callable[[Site], None], tuple[str, ...]], ...] = (
    ("index.html", "Overview", overview.write, LOOK_THROUGH),
    ("materials.html", "Materials", material.write, LOOK_THROUGH),
    ("countries.html", "Countries", country.write, LOOK_THROUGH),
    ("criticality.html", "Criticality", criticality.write, ("mart_criticality",)),
    ("stockpile.html", "Stockpiles", stockpile.write, ("mart_stockpile_cover",)),
    ("scenarios.html", "Scenarios", scenario.write, (*LOOK_THROUGH, "mart_disruption", "dim_scenario")),
    ("claims.html", "Claims", claims.write, ("mart_claims",)),
    ("changes.html", "Changes", changes.write, ()),
    ("method.html", "Method", dictionary.write_method, ()),
    ("data.html", "Data", dictionary.write, ()),
    ("sources.html", "Sources", dictionary.write_sources, ("dim_vintage",)),
)


@dataclass(frozen=True)
class Extras:
    """What a site shows beside the marts; each is left out when None.

    Attributes:
        manifest: dbt's manifest, for the data dictionary.
        audit: folder with the pages of the gate (Data Docs).
        dbt_docs: dbt's documentation as one page.
        cache: where the charting script is kept between builds.
    """

    manifest: Path | None = None
    audit: Path | None = None
    dbt_docs: Path | None = None
    cache: Path | None = None


def build(database: Path, target: Path, extras: Extras | None = None) -> Path:
    """Write the site of a release.

    Args:
        database: the release's DuckDB file, opened read-only; its data package, certificate and comparison are
            read from beside it where they are there.
        target: folder of the site, made when absent; what an earlier build left in it is replaced.
        extras: what is shown beside the marts.

    Returns:
        Path of the first page.

    Raises:
        BadInput: the folder holds something else than a site.
    """
    extras = extras or Extras()
    _make_room(target)
    marts = Marts.opened(database)
    try:
        default = DEFAULT_IMPORTER if DEFAULT_IMPORTER in marts.importers else next(iter(marts.importers), "")
        site = Site(marts, target, release_of(database.parent), default, database.parent, manifest=extras.manifest)
        chosen = [page for page in PAGES if marts.has("dim_country", "dim_material", "dim_stage", *page[3])]
        site.nav = [(path, title) for path, title, _, _ in chosen]
        _shared(site, extras)
        _beside(site, extras)
        for _, _, write, _ in chosen:
            write(site)
        if marts.has(*LOOK_THROUGH):
            downloads.write(site)
    finally:
        marts.db.close()
    return target / "index.html"


def _make_room(target: Path) -> None:
    """Make an empty folder; remove an earlier site from it, but nothing else."""
    if target.exists():
        if not target.is_dir() or (any(target.iterdir()) and not (target / "assets" / "app.js").is_file()):
            raise BadInput(f"{target} holds something else than a site of oretrace; name a new or empty folder.")
        shutil.rmtree(target)
    target.mkdir(parents=True)


def release_of(folder: Path) -> dict[str, Any]:
    """Return what a release says of itself: version, times, sources, editions, comparison with the last."""

    def read(name: str) -> dict[str, Any]:
        path = folder / name
        found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        return found

    package, certificate = read("datapackage.json"), read("certificate.json")
    return {
        "version": package.get("version") or f"candidate {str(certificate.get('candidate_sha256', ''))[:8]}".strip(),
        "date": str(package.get("created") or certificate.get("audited") or "")[:10],
        "audited": str(certificate.get("audited") or "")[:16].replace("T", " "),
        "checks": len(certificate.get("gate", {}).get("checks", [])),
        "commit": certificate.get("git_commit"),
        "sources": {item["name"]: item for item in package.get("sources", [])},
        "diff": read("diff.json"),
        "previous": package.get("previous", {}).get("version"),
    }


def _shared(site: Site, extras: Extras) -> None:
    """Write what all pages load: style, switches, charting script, chart specifications, names."""
    assets = site.folder / "assets"
    assets.mkdir()
    for name in ("style.css", "app.js"):
        shutil.copyfile(STATIC / name, assets / name)
    charting_script(assets / "vega.js", extras.cache)
    site.script("assets/specs.js", "specs", specifications())
    site.script("assets/names.js", "names", site.marts.countries)


def _beside(site: Site, extras: Extras) -> None:
    """Put the audit and dbt's documentation beside the pages, and say so in their foot."""
    if extras.audit:
        shutil.copytree(extras.audit, site.folder / "audit")
        site.beside.append(("audit/index.html", "Audit of this release"))
    if extras.dbt_docs:
        (site.folder / "dbt").mkdir()
        shutil.copyfile(extras.dbt_docs, site.folder / "dbt" / "index.html")
        site.beside.append(("dbt/index.html", "Models and lineage (dbt)"))


def charting_script(path: Path, cache: Path | None) -> None:
    """Write Vega, Vega-Lite and Vega-Embed as one script; bundling costs seconds, so it is kept by version."""
    kept = cache / f"vega-{version('vl-convert-python')}.js" if cache else None
    if kept is None or not kept.is_file():
        import vl_convert

        text = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
        if kept is None:
            path.write_text(text, encoding="utf-8")
            return
        partial = kept.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(kept)
    shutil.copyfile(kept, path)
