"""This project's own list of China's export controls on minerals, 2023-2025.

What belongs here: reading the announcements, their dates, status and customs codes. What does not:
which materials and stages each covers (``reference/export_control_map.csv``).
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import polars as pl

from ingest.errors import SourceChanged
from ingest.mapping import read_csv_text
from ingest.sources.base import Source, files

S = pl.String()
TABLE = "raw_policy__export_controls"
_COLUMNS = ("authority_no", "goods", "announced", "effective", "status", "hs_codes_evidenced", "code_source")
_CODE = re.compile(r"\b\d{8,10}\b")
_SUSPENDED = re.compile(
    r"^suspended(?: (?P<on>\d{4}-\d\d-\d\d))? by (?P<by>.+?)(?: from (?P<since>\d{4}-\d\d-\d\d))?"
    r"(?: until (?P<until>\d{4}-\d\d-\d\d))?$"
)


def _status(text: str) -> dict[str, str | date | None]:
    """Read one status: in force, or suspended by a decree from one day until another."""
    if text.startswith("in force"):
        return {"status": "in_force", "suspended": None, "suspended_until": None, "suspended_by": None}
    match = _SUSPENDED.match(text)
    if match is None:
        raise SourceChanged(f"export controls: the status {text!r} is neither 'in force' nor 'suspended ... by ...'.")
    since, until = match["on"] or match["since"], match["until"]
    return {
        "status": "suspended",
        "suspended": date.fromisoformat(since) if since else None,
        "suspended_until": date.fromisoformat(until) if until else None,
        "suspended_by": match["by"],
    }


_STATUS_TYPES: dict[str, pl.DataType] = {
    "status": S,
    "suspended": pl.Date(),
    "suspended_until": pl.Date(),
    "suspended_by": S,
}


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read the announcements.

    Args:
        folder: raw vintage with ``china_export_controls_compiled.csv``.
        vintage: year of the latest announcement.

    Returns:
        ``raw_policy__export_controls``, one row per announcement. ``codes`` holds the 8- to 10-digit
        customs codes evidenced for it, separated by semicolons; ``suspended`` is the first day of a
        suspension, taken from another announcement under the same decree where its own row has none.

    Raises:
        SourceChanged: columns, dates or a status of another form, or a suspension without a day.
    """
    frame = read_csv_text(files(folder, "china_export_controls_compiled.csv")[0], _COLUMNS)
    status = pl.DataFrame([_status(text) for text in frame["status"]], schema=_STATUS_TYPES)
    codes = [";".join(dict.fromkeys(_CODE.findall(text or ""))) or None for text in frame["hs_codes_evidenced"]]
    table = frame.select(
        "authority_no", "goods", pl.col("announced").str.to_date(), pl.col("effective").str.to_date()
    ).hstack([*status, pl.Series("codes", codes, dtype=S)])
    table = table.with_columns(pl.col("suspended").fill_null(pl.col("suspended").min().over("suspended_by")))
    undated = table.filter(pl.col("suspended").is_null() & (pl.col("status") == "suspended"))
    if undated.height:
        raise SourceChanged(f"export controls: {undated['authority_no'][0]!r} is suspended without a day.")
    return {TABLE: table}


SOURCE = Source(
    name="policy",
    publisher="oretrace",
    title="China's export controls on minerals, compiled from the announcements",
    licence="CC-BY-4.0",
    licence_url="https://creativecommons.org/licenses/by/4.0/",
    homepage="http://www.mofcom.gov.cn/",
    citation="oretrace ({vintage}), list of export-control announcements of MOFCOM and GAC",
    tables={
        TABLE: {
            "source": S,
            "vintage": S,
            "authority_no": S,
            "goods": S,
            "announced": pl.Date(),
            "effective": pl.Date(),
            **_STATUS_TYPES,
            "codes": S,
        }
    },
    read=read,
)
