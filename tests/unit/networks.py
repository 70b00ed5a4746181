"""Random supply networks for property tests, and shares by name to compare them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from hypothesis import strategies as st

from tracing import STAGES

EXTREME = np.array([5e-324, 1e-310, 1e-300, 1e-12, 1.0, 1e12, 1e300])
SUPPLY = {"stage": pl.String, "country": pl.String, "quantity_t": pl.Float64}
FLOWS = {"stage": pl.String, "exporter": pl.String, "importer": pl.String, "quantity_t": pl.Float64}


@dataclass(frozen=True)
class Network:
    """Frames of one material and year; ``stages`` are all those that may occur."""

    production: pl.DataFrame
    flows: pl.DataFrame
    secondary: pl.DataFrame
    stages: tuple[str, ...]

    def of_stages(self, stages: tuple[str, ...]) -> Network:
        frames = (
            frame.filter(pl.col("stage").is_in(stages)) for frame in (self.production, self.flows, self.secondary)
        )
        return Network(*frames, stages)

    def scaled(self, factors: dict[str, float]) -> Network:
        factor = pl.col("stage").replace_strict(factors, return_dtype=pl.Float64)
        scale = pl.col("quantity_t") * factor
        return Network(*(f.with_columns(scale) for f in (self.production, self.flows, self.secondary)), self.stages)


@st.composite
def networks(draw, max_countries=60, max_stages=8, tonnes=("plain", "wide", "extreme")):
    """Networks with trade cycles, self-trade, zero-supply markets, plants without feed, lone countries.

    Sizes and densities are drawn; the rest comes from a drawn seed, so that large networks are cheap.
    """
    size, depth = draw(st.integers(1, max_countries)), draw(st.integers(1, max_stages))
    kind = draw(st.sampled_from(tonnes))
    density, producing, recycling = (
        draw(st.sampled_from(levels)) for levels in ((0.02, 0.1, 0.5), (0.0, 0.1, 0.6), (0.0, 0.2))
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names, stages = [f"C{number:02d}" for number in range(size)], STAGES[:depth]
    made, recycled = (_some(rng, (depth, size), share, kind) for share in (producing, recycling))
    moved = _some(rng, (depth, size, size), density, kind)
    return Network(
        pl.DataFrame(_rows(made, stages, names), schema=SUPPLY, orient="row"),
        pl.DataFrame(_rows(moved, stages, names), schema=FLOWS, orient="row"),
        pl.DataFrame(_rows(recycled, stages, names), schema=SUPPLY, orient="row"),
        stages,
    )


def _some(rng, shape, share, kind):
    """Tonnes in a share of the cells, NaN (no row) elsewhere; some of the rows are zero."""
    if kind == "plain":
        tonnes = rng.integers(0, 50, shape).astype(float)
    elif kind == "wide":
        tonnes = 10.0 ** rng.uniform(-6, 9, shape)
    else:
        tonnes = rng.choice(EXTREME, shape)
    return np.where(rng.random(shape) < share, tonnes, np.nan)


def _rows(tonnes, stages, names):
    for place in zip(*np.nonzero(~np.isnan(tonnes)), strict=True):
        yield (stages[place[0]], *(names[number] for number in place[1:]), float(tonnes[place]))


def shares(frame: pl.DataFrame, measure: str, *keys: str) -> dict[tuple[str, ...], float]:
    """One measure by stage, importer and country (and further keys), without zeros and nulls."""
    return {
        row[:-1]: row[-1]
        for row in frame.select("stage", "importer", "country", *keys, measure).iter_rows()
        if row[-1] is not None and row[-1] > 0
    }


def gap(one: dict[tuple[str, ...], float], other: dict[tuple[str, ...], float]) -> float:
    """Largest difference between two sets of shares."""
    return max((abs(one.get(key, 0.0) - other.get(key, 0.0)) for key in {*one, *other}), default=0.0)
