"""Canonical layer: one asset per canonical table, made by its transform.

What does not belong here: the transforms themselves (``ingest.transforms``).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import dagster as dg
import polars as pl

from ingest.fingerprint import fingerprint
from ingest.home import Home
from ingest.live import noted
from ingest.schemas import CANONICAL, conform
from ingest.sources import table_owner
from ingest.tables import BY_YEAR, table_hash, write_table, years_written
from ingest.transforms import transforms
from ingest.transforms.base import DROPPED_SCHEMA, Transform, together
from orchestration.assets.metadata import OWNERS, code_references, table_metadata, vintages
from orchestration.assets.raw import source_table_path


def input_key(name: str) -> dg.AssetKey:
    """Return the asset key of a source table or canonical table."""
    return dg.AssetKey(["raw" if name in table_owner() else "canonical", name])


def input_path(home: Home, name: str) -> Path:
    """Return where a source table or canonical table of this run is."""
    return source_table_path(home, name) if name in table_owner() else home.canonical / f"{name}.parquet"


def scan_input(home: Home, name: str) -> pl.LazyFrame:
    """Make a source table or canonical table of this run ready to be read, which need not fit in memory."""
    return pl.scan_parquet(input_path(home, name))


def read_input(home: Home, name: str, years: Collection[int] | None = None) -> pl.DataFrame:
    """Read a source table or canonical table of this run, of all years or of some."""
    table = scan_input(home, name)
    return (table if years is None else table.filter(pl.col("year").is_in(years))).collect()


def canonical_asset(transform: Transform) -> dg.AssetsDefinition:
    """Make the asset of one canonical table."""

    @dg.asset(
        key=["canonical", transform.table],
        deps=[input_key(name) for name in transform.inputs],
        group_name="canonical",
        kinds={"polars", "parquet"},
        owners=OWNERS,
        metadata=code_references(transform.build),
        description=transform.description,
    )
    def build_table() -> dg.MaterializeResult[None]:
        home = Home.from_environment()
        path = home.canonical / f"{transform.table}.parquet"
        dropped = _make(transform, home, path)
        write_table(dropped, home.build / "dropped" / f"{transform.table}.parquet")
        return dg.MaterializeResult(
            metadata={
                **table_metadata(path),
                "vintages": vintages(pl.scan_parquet(path)),
                "key": ", ".join(CANONICAL[transform.table].key),
                "dropped_rows": int(dropped["rows"].sum()),
                "inputs_fingerprint": fingerprint(
                    {name: table_hash(input_path(home, name)) for name in transform.inputs}
                ),
            },
            data_version=dg.DataVersion(f"sha256:{table_hash(path)}"),
        )

    return build_table


def _make(transform: Transform, home: Home, path: Path) -> pl.DataFrame:
    """Write a canonical table, piece by piece where it outgrows memory; return what was left out."""
    if transform.pieces is None:
        frame, dropped = transform.build({name: read_input(home, name) for name in transform.inputs})
        write_table(conform(frame, transform.table), path)
        return dropped
    left_out = []
    made = transform.pieces({name: scan_input(home, name) for name in transform.inputs})
    if transform.table not in BY_YEAR:
        for frame, dropped in made:
            write_table(conform(frame, transform.table), path)
            left_out.append(dropped)
        return together(left_out)
    with years_written(path, pl.Schema(CANONICAL[transform.table].columns)) as writer:
        for frame, dropped in made:
            writer.add(conform(frame, transform.table))
            left_out.append(dropped)
    return together(left_out)


def dropped_asset(made: list[Transform]) -> dg.AssetsDefinition:
    """Make the asset that counts the rows dropped on the way to every canonical table."""

    @dg.asset(
        key=["canonical", "dropped"],
        deps=[dg.AssetKey(["canonical", transform.table]) for transform in made],
        group_name="canonical",
        kinds={"polars", "parquet"},
        owners=OWNERS,
        metadata=code_references(dropped_asset),
        description="Rows left out of a canonical table on purpose, counted by source, vintage and reason.",
    )
    def dropped() -> dg.MaterializeResult[None]:
        home = Home.from_environment()
        parts = [pl.read_parquet(home.build / "dropped" / f"{transform.table}.parquet") for transform in made]
        frame = conform(pl.concat([pl.DataFrame(schema=DROPPED_SCHEMA), *parts]), "dropped")
        path = home.canonical / "dropped.parquet"
        write_table(frame, path)
        return dg.MaterializeResult(metadata=table_metadata(path))

    return dropped


def vintage_used_asset() -> dg.AssetsDefinition:
    """Make the asset that says which editions this run read, and from where."""

    @dg.asset(
        key=["canonical", "vintage_used"],
        deps=[dg.AssetKey(["raw", table]) for table in table_owner()],
        group_name="canonical",
        kinds={"polars", "parquet"},
        owners=OWNERS,
        metadata=code_references(vintage_used_asset),
        description="Editions that this run read: raw vintages (live) or embedded figures (snapshot), with terms.",
    )
    def vintage_used() -> dg.MaterializeResult[None]:
        home = Home.from_environment()
        rows = [row for source in noted(home).values() for row in source["used"]]
        schema = CANONICAL["vintage_used"].columns
        frame = conform(pl.DataFrame(rows, schema=schema).sort("source", "vintage"), "vintage_used")
        path = home.canonical / "vintage_used.parquet"
        write_table(frame, path)
        return dg.MaterializeResult(metadata=table_metadata(path))

    return vintage_used


def assets() -> list[dg.AssetsDefinition]:
    """Return the assets of all canonical tables."""
    made = list(transforms().values())
    return [*(canonical_asset(transform) for transform in made), dropped_asset(made), vintage_used_asset()]
