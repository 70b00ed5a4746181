"""Speed of the look-through on a full grid, beside one sparse absorbing chain per question.

What belongs here: a synthetic grid of real shape, the clock and the peak memory. What does not:
checks of correctness beyond the agreement of the two contenders on the sample.

Run ``python -m bench.look_through`` from the project folder; ``--help`` lists the sizes. Materials
are traced one after the other, all years of one in a call, as a partitioned warehouse does: the
answer for the whole grid is some hundred million rows and would not fit in memory at once.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from dataclasses import dataclass

# Many small systems: threads inside the linear algebra only wait for each other, above all on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix, identity
from scipy.sparse.linalg import spsolve

from tracing import STAGES, look_through, monte_carlo

COUNTRIES = [f"C{number:03d}" for number in range(230)]
MAKERS = (60, 45, 40, 35, 30, 30, 25, 25)
"""Producing countries by stage: many mine, few make components."""


@dataclass(frozen=True)
class Timing:
    """Outcome of the grid: wall and processor seconds in the look-through, rows returned, batches traced."""

    seconds: float
    processor: float
    rows: int
    batches: int


def synthetic(material: int, years: int, flows_per_stage: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Production and flows of one material, the same for the same arguments.

    Country sizes are lognormal and differ by stage, large countries being large at most of them;
    trade goes by the product of the sizes of both ends (so hubs re-export and cycles abound), and
    years differ by noise.
    """
    rng = np.random.default_rng(material)
    made, moved, economy = [], [], rng.lognormal(0, 1.5, len(COUNTRIES))
    for stage, makers in zip(STAGES, MAKERS, strict=True):
        size = economy * rng.lognormal(0, 1.0, len(COUNTRIES))
        reach = np.outer(size, rng.lognormal(0, 1.0, len(COUNTRIES)))
        np.fill_diagonal(reach, 0.0)
        chance = np.sqrt(reach).ravel() / np.sqrt(reach).sum()
        pairs = rng.choice(reach.size, flows_per_stage, replace=False, p=chance)
        maker = np.argsort(-size)[:makers]
        made.append(_panel(rng, stage, years, {"country": maker}, size[maker] * 1e4))
        ends = {"exporter": pairs // len(COUNTRIES), "importer": pairs % len(COUNTRIES)}
        moved.append(_panel(rng, stage, years, ends, reach.ravel()[pairs] * 30 * rng.lognormal(0, 1.0, len(pairs))))
    name = pl.lit(f"material_{material:02d}").alias("material")
    return pl.concat(made).with_columns(name), pl.concat(moved).with_columns(name)


def _panel(
    rng: np.random.Generator, stage: str, years: int, countries: dict[str, np.ndarray], tonnes: np.ndarray
) -> pl.DataFrame:
    names = pl.Series(COUNTRIES)
    noisy = tonnes * rng.lognormal(0, 0.3, (years, len(tonnes)))
    columns: dict[str, pl.Series | pl.Expr] = {
        name: names.gather(np.tile(codes, years)) for name, codes in countries.items()
    }
    year = pl.Series(np.repeat(np.arange(1995, 1995 + years), len(tonnes)), dtype=pl.Int32)
    return pl.DataFrame({**columns, "year": year, "quantity_t": noisy.ravel()}).with_columns(stage=pl.lit(stage))


def time_grid(materials: int, years: int, flows_per_stage: int) -> Timing:
    """Trace every material, one call each; only the calls are on the clock."""
    seconds, processor, rows = 0.0, 0.0, 0
    for material in range(materials):
        production, flows = synthetic(material, years, flows_per_stage)
        start, spent = time.perf_counter(), time.process_time()
        found = look_through(production, flows)
        seconds += time.perf_counter() - start
        processor += time.process_time() - spent
        rows += found.height
    return Timing(seconds, processor, rows, materials * years)


def time_chains(production: pl.DataFrame, flows: pl.DataFrame, questions: int) -> tuple[float, float, int]:
    """One sparse absorbing chain per (importer, country), on a sample of one batch.

    Building the chain is off the clock; a question makes the country's plants absorbing, solves,
    and reads the importer at the last stage.

    Returns:
        Seconds per question, largest difference to ``look_through``, and the batch's number of
        questions (pairs of importer and country with an answer at the last stage).
    """
    answers = look_through(production, flows).filter(pl.col("stage") == STAGES[-1]).drop_nulls()
    chain, size = _chain(production, flows), len(COUNTRIES)
    sample = answers.sample(questions, seed=1).select("importer", "country", "processed_in_share")
    seconds, gap = 0.0, 0.0
    for importer, country, expected in sample.iter_rows():
        start = time.perf_counter()
        plants = (2 * np.arange(len(STAGES)) + 1) * size + COUNTRIES.index(country)
        inner = np.setdiff1d(np.arange(chain.shape[0]), plants)
        hits = chain[inner][:, plants].sum(axis=1)
        system = identity(len(inner), format="csc") - chain[inner][:, inner].tocsc()
        reached = spsolve(system, np.asarray(hits).ravel())
        market = (2 * (len(STAGES) - 1)) * size + COUNTRIES.index(importer)
        seconds += time.perf_counter() - start
        gap = max(gap, abs(reached[np.searchsorted(inner, market)] - expected))
    return seconds / questions, gap, answers.height


def _chain(production: pl.DataFrame, flows: pl.DataFrame) -> csr_matrix:
    """Chances between nodes; stage k has its markets at 2k and its plants at 2k + 1 blocks of countries."""
    size, codes = len(COUNTRIES), {name: number for number, name in enumerate(COUNTRIES)}
    blocks: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for place, stage in enumerate(STAGES):
        made, moved = np.zeros(size), np.zeros((size, size))
        for country, tonnes in production.filter(stage=stage).select("country", "quantity_t").iter_rows():
            made[codes[country]] = tonnes
        for exporter, importer, tonnes in (
            flows.filter(stage=stage).select("exporter", "importer", "quantity_t").iter_rows()
        ):
            moved[codes[importer], codes[exporter]] = tonnes
        supply = np.maximum(made + moved.sum(axis=1), np.finfo(float).tiny)
        markets, plants, feeds = ((2 * place + shift) * size + np.arange(size) for shift in (0, 1, -2))
        importer_, exporter_ = np.nonzero(moved)
        blocks.append((markets[importer_], markets[exporter_], moved[importer_, exporter_] / supply[importer_]))
        blocks.append((markets, plants, made / supply))
        if place:
            blocks.append((plants, feeds, np.ones(size)))
    row, column, chance = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    nodes = 2 * len(STAGES) * size
    return csr_matrix((chance, (row, column)), shape=(nodes, nodes))


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--materials", type=int, default=60)
    parser.add_argument("--years", type=int, default=30)
    parser.add_argument("--flows", type=int, default=4000, help="flows per stage and year")
    parser.add_argument("--questions", type=int, default=20, help="absorbing chains solved for comparison")
    parser.add_argument("--draws", type=int, default=200, help="Monte Carlo draws of one material and year")
    sizes = parser.parse_args()
    grid = time_grid(sizes.materials, sizes.years, sizes.flows)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"look-through: {sizes.materials} materials x {sizes.years} years x {len(STAGES)} stages x "
        f"{len(COUNTRIES)} countries x {sizes.flows} flows: {grid.seconds:.1f} s "
        f"({grid.processor:.1f} s of processor time), {grid.rows:,} rows, "
        f"peak memory {memory:.2f} GB (limits 90 s, 3 GB)"
    )
    frames = [frame.filter(year=1995).drop("year", "material") for frame in synthetic(0, sizes.years, sizes.flows)]
    each, gap, pairs = time_chains(frames[0], frames[1], sizes.questions)
    ours = grid.seconds / grid.batches
    print(
        f"absorbing chains: {each * 1e3:.1f} ms each, {pairs:,} pairs of importer and country a batch, so "
        f"{each * pairs * grid.batches / 3600:,.0f} h for the grid; look-through {ours * 1e3:.1f} ms a batch, "
        f"{each * pairs / ours:,.0f} times faster (target 100; {each * len(COUNTRIES) / ours:,.0f} times if one "
        f"chain served all importers); largest difference {gap:.1e}"
    )
    bounds = pl.col("quantity_t") * 0.7, pl.col("quantity_t") * 1.4
    wide = [frame.with_columns(quantity_t_low=bounds[0], quantity_t_high=bounds[1]) for frame in frames]
    start = time.perf_counter()
    monte_carlo(*wide, draws=sizes.draws)
    print(f"Monte Carlo: {sizes.draws} draws of one material and year at this size {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
