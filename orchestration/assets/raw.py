"""Raw layer: one op per publisher, one asset per source table.

In snapshot mode a source table comes from the embedded snapshot, hash by hash. What does not belong
here: what the tables mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl

from ingest.embedded import read_snapshot_table, snapshot_package
from ingest.home import Home
from ingest.sources import sources
from ingest.sources.base import Source
from orchestration.assets.metadata import OWNERS, table_metadata


def source_table_path(home: Home, table: str) -> Path:
    """Return where this run keeps a source table for the transforms."""
    return home.build / "source_tables" / f"{table}.parquet"


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a Parquet file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    frame.write_parquet(partial, compression="zstd")
    partial.replace(path)


def raw_assets(source: Source) -> dg.AssetsDefinition:
    """Make the op that reads one publisher's tables."""
    specs = [
        dg.AssetSpec(
            dg.AssetKey(["raw", table]),
            group_name="raw",
            kinds={"polars", "parquet"},
            owners=OWNERS,
            description=f"{source.title} ({source.publisher}), as read from the publisher's files. {source.licence}.",
        )
        for table in source.tables
    ]

    @dg.multi_asset(name=f"raw_{source.name}", specs=specs)
    def read_source() -> Iterator[dg.MaterializeResult[None]]:
        home = Home.from_environment()
        package = snapshot_package()
        for table in source.tables:
            frame = read_snapshot_table(table)
            write_table(frame, source_table_path(home, table))
            listed = package[table]
            yield dg.MaterializeResult(
                asset_key=dg.AssetKey(["raw", table]),
                metadata={
                    **table_metadata(frame),
                    "mode": "snapshot",
                    "vintages": listed["vintages"],
                    "sha256": listed["hash"].removeprefix("sha256:"),
                    "licence": source.licence,
                    "citation": listed["citation"],
                },
                data_version=dg.DataVersion(listed["hash"]),
            )

    return read_source


def assets() -> list[dg.AssetsDefinition]:
    """Return the ops of all publishers."""
    return [raw_assets(source) for source in sources().values()]
