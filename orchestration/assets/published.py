"""The published warehouse as an asset: it refuses whatever the gate did not certify.

What does not belong here: the publish protocol itself (``publish``).
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import dagster as dg

from ingest.home import Home
from ingest.sources import sources
from ingest.store import VARIABLE, configured
from ingest.vintages import sha256_of
from orchestration import dbt, site
from orchestration.assets.metadata import OWNERS, code_references
from orchestration.assets.models import POOL
from orchestration.integrity import CHECKSUMS
from orchestration.publish import Release, publish
from orchestration.resources import Builder
from orchestration.standing import published_with

KEY = dg.AssetKey(["published"])


def published(marts: Iterable[dg.AssetKey]) -> dg.AssetsDefinition:
    """Make the asset that publishes the audited candidate."""

    @dg.asset(
        key=KEY,
        deps=list(marts),
        group_name="published",
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        metadata=code_references(publish),
        pool=POOL,
        description="The audited release that readers see: DuckDB file, Parquet per mart, data package, diff, site.",
    )
    def publish_release(builder: Builder) -> dg.MaterializeResult[None]:
        home = Home.from_environment()
        release = publish_candidate(home, builder.candidate(home))
        cert = json.loads(dbt.certificate(home).read_text())
        inputs = cert.get("inputs") or {}
        published_with(home, release.version, cert["run_id"], inputs)
        changes = (release.folder / "diff.md").read_text()
        return dg.MaterializeResult(
            metadata={
                "version": release.version,
                "inputs_fingerprint": inputs.get("fingerprint", "not known: not all of it was made in one run"),
                "unchanged": release.unchanged,
                "dagster/uri": (home.warehouse / "oretrace.duckdb").absolute().as_uri(),
                "folder": dg.MetadataValue.path(str(release.folder)),
                **({"store": os.environ[VARIABLE]} if configured() else {}),
                # Kept outside the warehouse, it tells whether the list of hashes itself was ever written anew.
                "checksums_sha256": sha256_of(release.folder / CHECKSUMS),
                "diff": dg.MetadataValue.md(changes),
            }
        )

    return publish_release


def publish_candidate(home: Home, candidate: Path) -> Release:
    """Publish a candidate of ``home`` with its site and the terms of every source."""
    terms = {
        source.name: {
            "title": source.title,
            "publisher": source.publisher,
            "path": source.homepage,
            "licence": source.licence,
            "licence_path": source.licence_url,
        }
        for source in sources().values()
    }
    shelf = None
    if configured():
        from orchestration.store.shelf import Shelf

        shelf = Shelf(home)
    return publish(
        candidate,
        dbt.certificate(home),
        home.warehouse,
        licences=terms,
        dress=[site.dresser(home)],
        dressing=site.dressing(),
        shelf=shelf,
    )
