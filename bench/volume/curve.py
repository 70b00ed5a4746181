"""From measured stations to the cost curve: growth with rows, growth of memory, what breaks first.

What belongs here: arithmetic on measurements, and the report as Markdown. What does not: measuring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CSV_TO_STAGE = ("read", "trade flows", "stage flows")
BARE, QUERY, KEEP = "duckdb alone", "query", "keep"
OUTSIDE = (BARE, QUERY)
LIMIT_RATIO, LIMIT_MB, LIMIT_MINUTES, LIMIT_QUERY = 1.5, 3_000, 25, 2.0
LIMIT_YEARS = 28
# Time that grows by more than this power of the rows is not linear; memory by more than this much is not flat.
LINEAR, FLAT = 1.2, 1.25


@dataclass(frozen=True)
class Point:
    """One size.

    Attributes:
        years: years of the release.
        rows: rows of its files.
        stations: what each station said, by name.
        traced: years that were traced.
        pages: pages of the site.
    """

    years: int
    rows: int
    stations: Mapping[str, Mapping[str, Any]]
    traced: int
    pages: int

    @property
    def pipeline_seconds(self) -> float:
        """Seconds of all stations of the job, with one start of the tools."""
        inside = [said for name, said in self.stations.items() if name not in OUTSIDE]
        return float(sum(said["seconds"] for said in inside) + max(said["start_seconds"] for said in inside))

    @property
    def ratio(self) -> float:
        """Seconds from csv to stage flows over DuckDB's alone."""
        return float(sum(self.stations[name]["seconds"] for name in CSV_TO_STAGE) / self.stations[BARE]["seconds"])


def power(points: Sequence[Point], station: str, what: str) -> float | None:
    """Return the power of the rows with which time or memory grew between the two largest sizes."""
    from math import log

    if len(points) < 2:
        return None
    small, large = points[-2], points[-1]
    before, after = (float(point.stations[station][what]) for point in (small, large))
    if before <= 0 or after <= 0:
        return None
    return log(after / before) / log(large.rows / small.rows)


def first_to_break(points: Sequence[Point]) -> list[tuple[str, str, float]]:
    """Return station, limit and rows at which it is met, the first to break first.

    Memory and time are carried on along the line through the two largest sizes; a station whose memory does not
    grow never meets its limit. Time is the whole job's: its largest part is named.
    """
    if len(points) < 2:
        return []
    small, large = points[-2], points[-1]
    found = []
    for name, said in large.stations.items():
        slope = (said["peak_mb"] - small.stations[name]["peak_mb"]) / (large.rows - small.rows)
        if slope > 0 and name not in OUTSIDE:
            found.append((name, f"{LIMIT_MB} MB of memory", large.rows + (LIMIT_MB - said["peak_mb"]) / slope))
    slope = (large.pipeline_seconds - small.pipeline_seconds) / (large.rows - small.rows)
    if slope > 0:
        slowest = max((name for name in large.stations if name not in OUTSIDE), key=lambda name: large.stations[name]["seconds"])  # fmt: skip  # noqa: E501
        rows = large.rows + (LIMIT_MINUTES * 60 - large.pipeline_seconds) / slope
        found.append((slowest, f"{LIMIT_MINUTES} minutes for the whole job, of which it takes most", rows))
    return sorted(found, key=lambda one: one[2])


def verdicts(points: Sequence[Point]) -> list[tuple[str, str, str, bool]]:
    """Return what must hold at ``LIMIT_YEARS``: words, measured, limit, whether it holds. Empty where not measured."""
    largest = points[-1]
    if largest.years < LIMIT_YEARS:
        return []
    peak = max((said["peak_mb"], name) for name, said in largest.stations.items() if name not in OUTSIDE)
    minutes, asked = largest.pipeline_seconds / 60, largest.stations[QUERY]["seconds"]
    return [
        (
            "csv to stage flows over DuckDB alone",
            f"{largest.ratio:.2f}",
            f"{LIMIT_RATIO}",
            largest.ratio <= LIMIT_RATIO,
        ),
        (f"peak memory of a station ({peak[1]})", f"{peak[0]:,} MB", f"{LIMIT_MB:,} MB", peak[0] < LIMIT_MB),
        ("whole job", f"{minutes:.1f} minutes", f"{LIMIT_MINUTES} minutes", minutes < LIMIT_MINUTES),
        ("one query, whole process", f"{asked:.2f} s", f"{LIMIT_QUERY} s", asked < LIMIT_QUERY),
        ("pages of the site", f"{largest.pages:,}", "at least 1", largest.pages > 0),
    ]


def report(points: Sequence[Point], machine: Mapping[str, Any]) -> str:
    """Write the report."""
    lines = ["# Cost curve", "", *(f"- {name}: {value}" for name, value in machine.items()), ""]
    lines += [_heading("station", points, "s, MB"), "|---" * (len(points) + 3) + "|"]
    for name in points[-1].stations:
        cells = [f"{p.stations[name]['seconds']:.1f} s, {p.stations[name]['peak_mb']:,} MB" for p in points]
        grown = [power(points, name, what) for what in ("seconds", "peak_mb")]
        ends = ["" if value is None else f"{value:.2f}" for value in grown]
        lines.append(f"| {name} | {' | '.join([*cells, *ends])} |")
    total = [f"{point.pipeline_seconds / 60:.1f} min" for point in points]
    ratio = [f"{point.ratio:.2f}" for point in points]
    lines += [
        f"| **whole job** | {' | '.join(total)} | | |",
        f"| csv to stage flows / DuckDB alone | {' | '.join(ratio)} | | |",
        f"| years traced | {' | '.join(str(point.traced) for point in points)} | | |",
        "",
        f"Growth: power of the rows between the two largest sizes. Time is linear below {LINEAR}, memory flat below "
        f"{FLAT - 1:.2f}.",
        "",
    ]
    for name, measured, limit, holds in verdicts(points):
        lines.append(f"- {name}: {measured} (limit {limit}): {'holds' if holds else '**does not hold**'}")
    refused = [line for point in points for line in point.stations.get("gate", {}).get("refused", [])]
    lines += [f"- the gate refused: {line}" for line in refused]
    broken = first_to_break(points)
    if broken:
        name, limit, rows = broken[0]
        lines += ["", f"First to break: **{name}**, at about {rows / 1e6:,.0f} million rows ({limit})."]
        lines += [f"Then {name} at {rows / 1e6:,.0f} million ({limit})." for name, limit, rows in broken[1:4]]
    return "\n".join(lines) + "\n"


def _heading(first: str, points: Sequence[Point], what: str) -> str:
    sizes = [f"{point.years} years, {point.rows / 1e6:.1f} M rows ({what})" for point in points]
    return f"| {' | '.join([first, *sizes, 'growth of time', 'growth of memory'])} |"
