"""USGS Mineral Commodity Summaries (MCS): the source and what one edition gives.

What belongs here: who publishes, under which terms, and the tables of an edition. What does not:
how each table is read (``usgs_mcs_world``, ``usgs_mcs_imports``, ``usgs_mcs_salient``).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ingest.sources.base import Source
from ingest.sources.usgs_mcs_imports import IMPORT_TABLES, read_imports
from ingest.sources.usgs_mcs_salient import SALIENT_TABLES, read_salient
from ingest.sources.usgs_mcs_world import WORLD_TABLES, read_world


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read one edition: world tables, import sources and US salient statistics.

    Args:
        folder: raw vintage with the publisher's own files, in any sub-folders.
        vintage: edition, e.g. ``2026``.

    Returns:
        Table name to frame.

    Raises:
        SourceChanged: a file, chapter or column is missing or of another shape.
    """
    return read_world(folder, vintage) | read_imports(folder, vintage) | read_salient(folder, vintage)


SOURCE = Source(
    name="usgs_mcs",
    publisher="U.S. Geological Survey",
    title="Mineral Commodity Summaries, data release",
    licence="US public domain",
    licence_url="https://www.usgs.gov/information-policies-and-instructions/copyrights-and-credits",
    homepage="https://www.usgs.gov/centers/national-minerals-information-center/mineral-commodity-summaries",
    citation="U.S. Geological Survey, Mineral Commodity Summaries {vintage} data release.",
    tables=WORLD_TABLES | IMPORT_TABLES | SALIENT_TABLES,
    read=read,
)
