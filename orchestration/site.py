"""The site of a release as publication and the command line ask for it.

What belongs here: what goes beside the pages (audit, dbt docs) and where it comes from. What does not: pages
(``website``), and the publish protocol (``publish``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import website
from ingest.home import Home
from orchestration import dbt
from orchestration.dbt_docs import write_page
from orchestration.publish import LINK

FOLDER = "site"


def dresser(home: Home) -> Callable[[Path], None]:
    """Return what writes the site into the folder of a release that is being published."""

    def dress(release: Path) -> None:
        write_site(home, release / LINK, release / FOLDER)

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
    home.build.mkdir(parents=True, exist_ok=True)
    manifest = dbt.target(home) / "manifest.json"
    audit = home.build / "data_docs"
    page = None
    if manifest.is_file():
        page = write_page(manifest, dbt.target(home) / "compiled", database, dbt.target(home) / "docs" / "index.html")
    extras = website.Extras(
        manifest=manifest if manifest.is_file() else None,
        audit=audit if audit.is_dir() else None,
        dbt_docs=page,
        cache=home.build,
    )
    return website.build(database, target, extras)


def fingerprint() -> str:
    """Return a hash of what makes the site besides the marts, so that new pages make a new release."""
    digest = hashlib.sha256(website.fingerprint().encode())
    digest.update(Path(__file__).with_name("dbt_docs.py").read_bytes())
    return digest.hexdigest()
