"""Canonical table ``restriction``: export controls by announcement, material and stage.

What belongs here: which materials and stages an announcement covers (``export_control_map.csv``).
What does not: controls on equipment and technology, which are dropped and counted.
"""

from __future__ import annotations

import polars as pl

from ingest.mapping import split_dropped, with_mapping
from ingest.transforms.base import Frames, Transform

TABLE = "restriction"
_COLUMNS = (
    "authority_no",
    "imposer",
    "material",
    "stage",
    "announced",
    "effective",
    "status",
    "suspended",
    "hs_codes",
    "source",
    "vintage",
    "evidence",
)


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return one row per announcement, material and stage (null = every stage), with HS6 codes evidenced.

    ``evidence`` is ``derived`` where the announcement names elements or codes and the row is the
    group or material that holds them.

    Raises:
        UnmappedValue: an announcement that ``export_control_map.csv`` does not cover.
    """
    controls = frames["raw_policy__export_controls"]
    rows = with_mapping(controls, "export_control_map.csv", ["authority_no"], "announcement", many=True)
    kept, dropped = split_dropped(rows.with_columns(imposer=pl.lit("CHN")), TABLE)
    return kept.select(_COLUMNS), dropped


TRANSFORM = Transform(
    table=TABLE,
    inputs=("raw_policy__export_controls",),
    build=build,
    description="China's export controls 2023-2025, one row per announcement, material and stage (no stage = all), "
    "with dates, whether suspended and from which day.",
)
