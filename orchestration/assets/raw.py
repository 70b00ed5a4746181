"""Raw layer: one op per publisher, one asset per source table.

In snapshot mode a source table comes from the embedded snapshot, hash by hash; in live mode the
publisher is asked first, and raw vintages go before embedded editions. What does not belong here:
what the tables mean.
"""

# No `from __future__ import annotations`: Dagster reads the context's annotation as a class.
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from ingest.clients import clients
from ingest.fingerprint import fingerprint
from ingest.home import Home
from ingest.live import choose, described, note_used, scan_tables
from ingest.sources import sources
from ingest.sources.base import Source
from ingest.tables import table_hash, write_scanned
from orchestration.assets.metadata import OWNERS, code_references, table_metadata
from orchestration.assets.vintages import vintage_key
from orchestration.resources import Publishers
from orchestration.standing import begin, settings_of


def source_table_path(home: Home, table: str) -> Path:
    """Return where this run keeps a source table for the transforms."""
    return home.build / "source_tables" / f"{table}.parquet"


def raw_assets(source: Source) -> dg.AssetsDefinition:
    """Make the op that reads one publisher's tables."""
    specs = [
        dg.AssetSpec(
            dg.AssetKey(["raw", table]),
            deps=[vintage_key(source.name)] if source.name in clients() else [],
            group_name="raw",
            kinds={"polars", "parquet"},
            owners=OWNERS,
            tags={"source": source.name, "terms": "embedded" if source.in_snapshot else "own_use"},
            metadata=code_references(source.read),
            description=f"{source.title} ({source.publisher}), as read from the publisher's files. {source.licence}.",
        )
        for table in source.tables
    ]

    @dg.multi_asset(name=f"raw_{source.name}", specs=specs)
    def read_source(context: dg.AssetExecutionContext, publishers: Publishers) -> Iterator[dg.MaterializeResult[None]]:
        home = Home.from_environment()
        begin(home, context.run.run_id, publishers.mode, settings_of(context.run.run_config))
        problem = publishers.ask(home, source.name, context.log)
        used = choose(home, publishers.mode)[source.name]
        tables = scan_tables(home, source, used)  # first: what cannot be read is not noted as read
        made_of = fingerprint({item.edition: described(item)["content_sha256"] for item in used})
        note_used(home, source.name, used, problem)
        for table, scanned in tables.items():
            path = source_table_path(home, table)
            write_scanned(scanned.rows, path, scanned.ready)
            yield dg.MaterializeResult(
                asset_key=dg.AssetKey(["raw", table]),
                metadata={
                    **table_metadata(path),
                    "mode": publishers.mode,
                    "vintages": [f"{item.edition} ({item.origin})" for item in used],
                    "inputs_fingerprint": made_of,
                    "licence": source.licence,
                    "citation": [source.citation.format(vintage=item.edition) for item in used],
                    **({"not_fetched": problem} if problem else {}),
                },
                data_version=dg.DataVersion(f"sha256:{table_hash(path)}"),
            )

    return read_source


def assets() -> list[dg.AssetsDefinition]:
    """Return the ops of all publishers."""
    return [raw_assets(source) for source in sources().values()]
