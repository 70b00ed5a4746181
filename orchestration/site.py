"""The site of a release as publication and the command line ask for it.

What belongs here: what goes beside the pages (audit, dbt docs) and where it comes from. What does not: pages
(``website``), and the publish protocol (``publish``).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from ingest.home import PROJECT, Home
from orchestration import dbt, dbt_docs
from orchestration.publish import fingerprint
from orchestration.releases import LINK, SITE


def dresser(home: Home) -> Callable[[Path], None]:
    """Return what writes the site into the folder of a release that is being published."""

    def dress(release: Path) -> None:
        write_site(home, release / LINK, release / SITE)

    return dress


def write_site(home: Home, database: Path, target: Path) -> Path:
    """Write the site of a release, with the audit and dbt docs of the last run beside it.

    Args:
        home: where the last run's manifest and audit are.
        database: DuckDB file of the release.
        target: folder of the site.

    Returns:
        The first page.
    """
    import website  # its charts are slow to import, and every process of Dagster loads this module

    home.build.mkdir(parents=True, exist_ok=True)
    manifest = dbt.target(home) / "manifest.json"
    audit = home.build / "data_docs"
    page = None
    if manifest.is_file():
        page = dbt_docs.write_page(
            manifest, dbt.target(home) / "compiled", database, dbt.target(home) / "docs" / "index.html"
        )
    extras = website.Extras(
        manifest=manifest if manifest.is_file() else None,
        audit=audit if audit.is_dir() else None,
        dbt_docs=page,
        cache=home.build,
    )
    return website.build(database, target, extras)


def dressing() -> str:
    """Return a fingerprint of what makes the site besides the marts, so that new pages make a new release."""
    made_of = fingerprint(PROJECT / "website", dbt.DBT_PROJECT / "models", Path(dbt_docs.__file__))
    return f"{made_of} altair {version('altair')} vl-convert {version('vl-convert-python')}"
