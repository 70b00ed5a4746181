"""Large ensembles: the intervals of every material and year at thousands of draws, one file per cell.

What belongs here: which cells there are, computing one into its file, putting the files together. What does
not: the draws (``tracing``), who runs which cell (``assets.ensemble``, ``workers``).

A cell's file depends on the canonical tables, material, year, draws and seed alone: neither the order nor the
number of workers changes a byte, and a cell that two workers compute is the same twice.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
from threadpoolctl import threadpool_limits

from ingest.chain_inputs import network_sources, stage_feed
from ingest.errors import BadInput, OretraceError
from ingest.fingerprint import fingerprint, of_code
from ingest.home import REFERENCE, Home
from ingest.mapping import reference
from ingest.tables import parts
from ingest.vintages import sha256_of
from ingest.words import known_value
from tracing.chains import KEYS, SEED, YEARS
from tracing.ensemble import NotComparable, cell_exposure, compare

TABLES = ("stage_production", "stage_flow", "secondary_supply")
DRAWS = 5000
WHOLE, SELECTED = ("intervals", "comparison"), ("selection", "selection_comparison")
"""Files of all cells together; a run of some cells never replaces them."""
_LEFT = 3600.0
_FEED = ("stage_feed.csv", "flow_networks.csv")


@dataclass(frozen=True)
class Cell:
    """One material and year of one ensemble.

    Attributes:
        material: slug.
        year: reference year.
        draws: Monte Carlo draws.
        seed: of the draws.
    """

    material: str
    year: int
    draws: int = DRAWS
    seed: int = SEED

    @property
    def name(self) -> str:
        """Name among the cells of its ensemble."""
        return f"{self.material}_{self.year}"

    def folder(self, home: Home) -> Path:
        """Where the files of its ensemble are: another number of draws or seed never mixes with this one."""
        return home.build / "ensemble" / f"{self.draws}-{self.seed}"

    def path(self, home: Home) -> Path:
        """Its file."""
        return self.folder(home) / self.material / f"{self.year}.parquet"


@dataclass(frozen=True)
class Inputs:
    """Canonical tables as they were read, and the hash of all that a cell is made of."""

    frames: dict[str, pl.DataFrame]
    fingerprint: str


@dataclass(frozen=True)
class Joined:
    """All cells put together.

    Attributes:
        intervals: file of the exposure with its intervals.
        comparison: file that says how far they are from those of the last run.
        rows: rows of ``intervals``.
        cells: cells that were put together.
        traced: cells among them that have rows; in the others no stage is closed.
        sha256: hash of ``intervals``.
        published_draws: draws of the last run.
    """

    intervals: str
    comparison: str
    rows: int
    cells: int
    traced: int
    sha256: str
    published_draws: int

    def table(self) -> pl.DataFrame:
        """How far the ends of the intervals are from those of the last run."""
        return pl.read_parquet(self.comparison)


def materials() -> list[str]:
    """Return the materials that have a chain."""
    return sorted(stage_feed()["material"].unique())


def years_of(home: Home) -> list[int]:
    """Return the years that the last run traced, which an ensemble has too; ``YEARS`` where there was no run."""
    path = home.canonical / "traced_coverage.parquet"
    return pl.read_parquet(path, columns=["year"])["year"].unique().sort().to_list() if path.is_file() else [*YEARS]


def cells(
    home: Home, chosen: Sequence[str] = (), years: Sequence[int] = (), *, draws: int = DRAWS, seed: int = SEED
) -> list[Cell]:
    """Return the cells of an ensemble, those with most trade first, for they take longest.

    Args:
        home: where the canonical tables are.
        chosen: materials; all where none is given.
        years: reference years; all where none is given.
        draws: Monte Carlo draws.
        seed: of the draws.

    Raises:
        BadInput: an unknown material or year, or nothing was ever computed in this home.
    """
    names = {row["material"]: row["name"] for row in reference("materials.csv").iter_rows(named=True)}
    chosen = [known_value(item, {slug: names[slug] for slug in materials()}, "material") for item in chosen]
    traced = years_of(home)
    if odd := [year for year in years if year not in traced]:
        raise BadInput(f"year {odd[0]}: not traced; one of {', '.join(map(str, traced))}.")
    path = home.canonical / "stage_flow.parquet"
    if not path.exists():
        raise BadInput(f"there are no canonical tables in {home.canonical}; make them first: oretrace run")
    counted = pl.scan_parquet(path).group_by("material", "year").len().collect()
    size = {(material, year): rows for material, year, rows in counted.iter_rows()}
    found = [
        Cell(material, year, draws, seed)
        for material in sorted(set(chosen) or materials())
        for year in sorted(set(years) or traced)
    ]
    return sorted(found, key=lambda cell: (-size.get((cell.material, cell.year), 0), cell.name))


def read_inputs(home: Home) -> Inputs:
    """Read the canonical tables, and hash exactly the bytes that were read.

    Raises:
        BadInput: one is not there.
    """
    frames, made_of = {}, dict(_code())
    for name in TABLES:
        path = home.canonical / f"{name}.parquet"
        if not path.exists():
            raise BadInput(f"{path} is not there; make it first: oretrace run")
        contents = [part.read_bytes() for part in parts(path)]
        made_of[name] = " ".join(hashlib.sha256(content).hexdigest() for content in contents)
        frames[name] = pl.concat(pl.read_parquet(BytesIO(content)) for content in contents)
    return Inputs(frames, fingerprint(made_of))


@cache
def _code() -> dict[str, str]:
    """Code, mappings and libraries that decide a cell's figures; they stay while the process lives."""
    return of_code("tracing") | {name: sha256_of(REFERENCE / name) for name in _FEED}


def note(path: Path) -> dict[str, str]:
    """Return what the file of a cell says of itself; nothing where there is none, or none that is whole."""
    try:
        return {key: value for key, value in pl.read_parquet_metadata(path).items() if key.startswith("oretrace.")}
    except (OSError, pl.exceptions.ComputeError):
        return {}


def compute(home: Home, cell: Cell, *, again: bool = False) -> dict[str, Any]:
    """Compute one cell into its file, whole or not at all; one that is there and of the same inputs stays.

    Args:
        home: where.
        cell: which.
        again: compute it although it is there.

    Returns:
        Material, year, draws, seed, ``rows`` and ``outcome``: ``computed`` or ``kept``.

    Raises:
        BadInput: the canonical tables are not there.
    """
    inputs = read_inputs(home)
    path, noted = cell.path(home), _note(cell, inputs.fingerprint)
    if not again and note(path) == noted:
        return {**asdict(cell), "rows": _rows(path), "outcome": "kept"}
    production, flows, secondary = (inputs.frames[name] for name in TABLES)
    # Many small solves: threads of the linear algebra library would only wait for one another.
    with threadpool_limits(1, user_api="blas"):
        exposure = cell_exposure(
            production,
            flows,
            feed=stage_feed(),
            secondary=secondary,
            networks=network_sources(),
            **asdict(cell),
        )
    write_whole(exposure, path, noted)
    return {**asdict(cell), "rows": exposure.height, "outcome": "computed"}


def _note(cell: Cell, inputs: str) -> dict[str, str]:
    return {f"oretrace.{name}": str(value) for name, value in asdict(cell).items()} | {"oretrace.inputs": inputs}


def _rows(path: Path) -> int:
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())


def write_whole(frame: pl.DataFrame, path: Path, noted: dict[str, str] | None = None) -> None:
    """Write a file that is there whole or not at all, also when two processes write it at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    try:
        frame.write_parquet(partial, compression="zstd", metadata=noted)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def join(home: Home, wanted: Sequence[Cell]) -> Joined:
    """Put all cells together and compare them with the intervals of the last run.

    Args:
        home: where the cells are.
        wanted: every cell that must be there.

    Raises:
        OretraceError: one is missing, or not of the canonical tables as they are now.
    """
    inputs = read_inputs(home).fingerprint
    for cell in wanted:
        found = note(cell.path(home))
        if not found:
            raise OretraceError(
                f"{cell.material} {cell.year} is not in {cell.folder(home)}: its partition did not run, or its worker "
                "writes to another ORETRACE_HOME. Run it again; cells that are there are kept."
            )
        if found != _note(cell, inputs):
            raise OretraceError(
                f"{cell.material} {cell.year} was computed from other canonical tables or by other code than there "
                "are now. Run it again; cells that are up to date are kept."
            )
    folder = wanted[0].folder(home)
    whole = len(set(wanted)) == len(materials()) * len(years_of(home))
    intervals, comparison = (folder / f"{stem}.parquet" for stem in (WHOLE if whole else SELECTED))
    frames = [pl.read_parquet(cell.path(home)) for cell in wanted]
    exposure = pl.concat(frames).sort(KEYS)
    published = _published(home, wanted)
    try:
        compared = compare(published, exposure)
    except NotComparable as error:
        raise OretraceError(
            f"the intervals of the last run are not of these canonical tables ({error}); make them: oretrace run"
        ) from error
    write_whole(exposure, intervals, {"oretrace.inputs": inputs})
    write_whole(compared, comparison, {"oretrace.inputs": inputs})
    _sweep(folder)
    return Joined(
        intervals=str(intervals),
        comparison=str(comparison),
        rows=exposure.height,
        cells=len(wanted),
        traced=sum(frame.height > 0 for frame in frames),
        sha256=sha256_of(intervals),
        published_draws=int(published["draws"][0]) if published.height else 0,
    )


def _published(home: Home, wanted: Sequence[Cell]) -> pl.DataFrame:
    """Exposure of the last run, for the cells of the ensemble."""
    path = home.canonical / "traced_exposure.parquet"
    if not path.exists():
        raise BadInput(f"{path} is not there; make it first: oretrace run")
    keys = pl.DataFrame([(cell.material, cell.year) for cell in wanted], ["material", "year"], orient="row")
    return pl.read_parquet(path).join(keys.cast({"year": pl.Int32}), on=["material", "year"], how="semi")


def _sweep(folder: Path) -> None:
    """Remove what killed workers left half-written; a young one may still be written."""
    for partial in folder.rglob(".*.partial"):
        if time.time() - partial.stat().st_mtime > _LEFT:
            partial.unlink(missing_ok=True)
