"""Intervals: seeded draws over uncertain tonnes, and the range over the three export-mix rules.

What belongs here: drawing tonnes within their bounds and summing up what the look-through makes of
them. What does not: where bounds come from (content factors, basket shares, mirror weights).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from tracing import feeds as feeding
from tracing import network
from tracing.engine import StageTrace, trace
from tracing.exposure import MEASURES, Chunk, assemble, rows_of, seen, shares
from tracing.mixing import RULES
from tracing.network import Batch, Codes, Floats, Grid, Mask, StageNetwork, refuse

DISTRIBUTIONS = ("lognormal", "triangular")
IMPORTED = "import_made_in_share"
UNCERTAIN = (*MEASURES[:3], IMPORTED)
"""Measures that get an interval; mine origin is given as it is."""

SUMMARIES = ("", "_p05", "_p50", "_p95", "_mixing_low", "_mixing_high", "_low", "_high")
_TAIL = 1.6448536269514722
"""Standard normal deviate of p95."""


def monte_carlo(
    production: pl.DataFrame,
    flows: pl.DataFrame,
    *,
    stages: Sequence[str] | None = None,
    secondary: pl.DataFrame | None = None,
    feed: pl.DataFrame | None = None,
    draws: int = 200,
    seed: int = 0,
    distribution: str = "lognormal",
) -> pl.DataFrame:
    """The look-through with intervals.

    Draws run under ``well_mixed``; the two other rules run once on the central tonnes. A draw is
    shared by all rows of a batch with the same ``group`` (say, one content factor for a code and
    stage), else it is the row's own. Draws depend on the seed and on the batch alone, neither on
    the order of rows nor on what other batches are asked for.

    Args:
        production: as for ``look_through``, like the next four; it, flows and secondary may carry
            ``quantity_t_low`` and ``quantity_t_high`` (null: exact) and ``group``.
        flows: trade.
        stages: stage order.
        secondary: recycled supply and drawdown.
        feed: feed of plants.
        draws: number of draws, at least 1.
        seed: not negative.
        distribution: ``lognormal``: median central, low and high its p05 and p95; ``triangular``:
            mode central, low and high its ends, also used for rows whose low or central is zero.

    Returns:
        Batch keys, ``stage, importer, country``; for each of ``face_value_share``, ``made_in_share``,
        ``processed_in_share`` and ``import_made_in_share`` (who made what the importer imports, of
        its imports; null where it imports nothing) the central figure and, with suffix,
        ``_p05 _p50 _p95``, ``_mixing_low _mixing_high`` (range over the rules) and ``_low _high``
        (over all of these); and ``mine_origin_share``.

    Raises:
        InvalidNetwork: as for ``look_through``; or bounds that do not enclose the central tonnes.
        ValueError: draws, seed or distribution are out of range.
    """
    _check_settings(draws, seed, distribution)
    grid = network.read(production, flows, stages, secondary)
    feeds = feeding.read(feed, grid)
    spreads = _spreads(production, production.clear() if secondary is None else secondary, flows)
    columns, frames = [*(part + summary for part in UNCERTAIN for summary in SUMMARIES), MEASURES[3]], []
    for batch in grid.batches():
        chunks = _intervals(
            grid, batch, feeds, _Sampler.of(batch, spreads, distribution), _rng(grid, batch, seed), draws
        )
        frames.append(assemble(grid, batch, chunks, columns))
    return pl.concat(frames)


def _rng(grid: Grid, batch: Batch, seed: int) -> np.random.Generator:
    """Random numbers of one batch, whatever others there are."""
    label = repr(grid.keys.row(batch.key)) if grid.keys.width else ""
    return np.random.default_rng([seed, zlib.crc32(label.encode())])


def _check_settings(draws: int, seed: int, distribution: str) -> None:
    if draws < 1 or seed < 0 or distribution not in DISTRIBUTIONS:
        raise ValueError(
            f"monte_carlo: draws {draws}, seed {seed}, distribution {distribution!r}; expected at least 1, "
            f"not negative, one of {', '.join(DISTRIBUTIONS)}."
        )


def _intervals(
    grid: Grid, batch: Batch, feeds: feeding.Feeds, sampler: _Sampler, rng: np.random.Generator, draws: int
) -> list[Chunk]:
    """One chunk per stage of one batch."""
    by_rule = [trace(grid, batch, feeds, rule) for rule in RULES]
    widest = trace(grid, sampler.with_tonnes(batch, sampler.high), feeds, RULES[0])
    wheres = [
        np.logical_or.reduce([seen(one, shares(one)) for one in alike]) & alike[0].blend.traded[:, None]
        for alike in zip(*by_rule, widest, strict=True)
    ]
    spots = [np.flatnonzero(where[:, :-2]) for where in wheres]
    drawn = [np.empty((len(UNCERTAIN), draws, len(spot))) for spot in spots]
    for draw in range(draws):
        stages = trace(grid, sampler.draw(batch, rng), feeds, RULES[0])
        for out, spot, stage in zip(drawn, spots, stages, strict=True):
            out[:, draw] = _uncertain(stage, spot)
    chunks = []
    for out, where, spot, rules in zip(drawn, wheres, spots, zip(*by_rule, strict=True), strict=True):
        summaries = _summaries(out, np.array([_uncertain(stage, spot) for stage in rules]))
        # Who made the imports of a market without any is no question, and nobody's answer to it is none.
        nothing = ~rules[0].bought.any(axis=1)[spot // batch.size]
        for part in summaries[-len(SUMMARIES) :]:
            part[nothing] = np.nan
        central = rows_of(grid, batch, rules[0], shares(rules[0]), where)
        named = np.nonzero(where)[1] < batch.size
        chunks.append(replace(central, shares=(*(_spaced(part, named) for part in summaries), central.shares[3])))
    return chunks


def _uncertain(stage: StageTrace, spot: Codes) -> list[Floats]:
    """The measures that get an interval, at flat positions of the n x n matrices."""
    measures = (stage.face_value, stage.made, stage.processed, stage.bought[:, :-2])
    return [measure.ravel()[spot] for measure in measures]


def _spaced(values: Floats, where: Mask) -> Floats:
    out = np.full(len(where), np.nan)
    out[where] = values
    return out


def _summaries(drawn: Floats, by_rule: Floats) -> list[Floats]:
    """``SUMMARIES`` of each measure; drawn (measure, draw, row), by_rule (rule, measure, row)."""
    out: list[Floats] = []
    for number in range(len(UNCERTAIN)):
        central, rules = by_rule[0, number], by_rule[:, number]
        low, middle, high = np.quantile(drawn[number], [0.05, 0.5, 0.95], axis=0)
        mixing = rules.min(axis=0), rules.max(axis=0)
        out += [central, low, middle, high, *mixing, np.minimum(low, mixing[0]), np.maximum(high, mixing[1])]
    return out


@dataclass(frozen=True)
class _Spread:
    """Bounds and group of each row of one of the caller's frames; group -1 is none."""

    low: Floats
    high: Floats
    group: Codes


def _spreads(production: pl.DataFrame, secondary: pl.DataFrame, flows: pl.DataFrame) -> list[_Spread]:
    """Bounds of each frame; groups are numbered alike in all of them."""
    frames = {
        "production": _bounded(production, "production"),
        "secondary": _bounded(secondary, "secondary"),
        "flows": _bounded(flows, "flows"),
    }
    names = pl.concat([frame["group"] for frame in frames.values()]).drop_nulls().unique().sort()
    return [
        _Spread(
            frame["low"].to_numpy(),
            frame["high"].to_numpy(),
            frame["group"].cast(pl.Enum(names)).to_physical().cast(pl.Int64).fill_null(-1).to_numpy(),
        )
        for frame in frames.values()
    ]


def _bounded(frame: pl.DataFrame, label: str) -> pl.DataFrame:
    """``low, high, group`` of each row, bounds checked; central tonnes stand in for absent bounds."""
    central = pl.col("quantity_t").cast(pl.Float64)
    low, high = (
        (pl.col(name).cast(pl.Float64).fill_null(central) if name in frame.columns else central).alias(short)
        for name, short in (("quantity_t_low", "low"), ("quantity_t_high", "high"))
    )
    group = pl.col("group").cast(pl.String) if "group" in frame.columns else pl.lit(None, pl.String).alias("group")
    rows = frame.with_columns(low, high, group)
    for short in ("low", "high"):
        refuse(rows, label, ~pl.col(short).is_finite(), f"quantity_t_{short} is not a finite number")
    refuse(rows, label, pl.col("low") < 0, "quantity_t_low is negative")
    refuse(rows, label, (pl.col("low") > central) | (pl.col("high") < central), "the bounds do not enclose quantity_t")
    return rows.select("low", "high", "group")


@dataclass(frozen=True)
class _Sampler:
    """Draws tonnes for the rows of one batch, which stand one after the other: stage, table, row."""

    low: Floats
    central: Floats
    high: Floats
    deviate: Codes
    deviates: int
    triangular: Mask

    @classmethod
    def of(cls, batch: Batch, spreads: Sequence[_Spread], distribution: str) -> _Sampler:
        """The sampler of one batch: ``deviate`` says which of its ``deviates`` each row uses."""
        rows = [pair for stage in batch.stages for pair in zip(stage.tables, spreads, strict=True)]
        none: list[Floats] = [np.zeros(0)]
        low = np.concatenate(none + [spread.low[table.position] for table, spread in rows])
        central = np.concatenate(none + [table.quantity for table, _ in rows])
        high = np.concatenate(none + [spread.high[table.position] for table, spread in rows])
        group = np.concatenate([np.zeros(0, dtype=np.int64), *(spread.group[table.position] for table, spread in rows)])
        alone = group < 0
        shared, which = np.unique(group[~alone], return_inverse=True)
        deviate = np.empty(len(group), dtype=np.int64)
        deviate[~alone] = which
        deviate[alone] = len(shared) + np.arange(np.count_nonzero(alone))
        triangular = (low == 0) | (central == 0) | (distribution == "triangular")
        return cls(low, central, high, deviate, len(shared) + int(np.count_nonzero(alone)), triangular)

    def draw(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The batch with tonnes drawn."""
        normal = rng.standard_normal(self.deviates)[self.deviate]
        return self.with_tonnes(batch, np.where(self.triangular, self._triangular(normal), self._lognormal(normal)))

    def _lognormal(self, normal: Floats) -> Floats:
        side = np.where(normal > 0, self.high, self.low)
        with np.errstate(all="ignore"):
            spread = np.abs(np.log(side / self.central)) / _TAIL
            drawn = self.central * np.exp(spread * normal)
        return np.nan_to_num(drawn)

    def _triangular(self, normal: Floats) -> Floats:
        """Inverse of the triangular distribution function at the normal deviate's probability."""
        from scipy.special import ndtr  # half a second to import, and the definitions load without it

        probability, width = ndtr(normal), self.high - self.low
        with np.errstate(all="ignore"):
            turn = np.where(width > 0, (self.central - self.low) / width, 0.0)
            rising = self.low + width * np.sqrt(probability * turn)
            falling = self.high - width * np.sqrt((1 - probability) * (1 - turn))
        return np.where(probability < turn, rising, falling)

    def with_tonnes(self, batch: Batch, tonnes: Floats) -> Batch:
        """The batch with other tonnes, its stages as they are."""
        start, stages = 0, []
        for stage in batch.stages:
            drawn = []
            for table in stage.tables:
                drawn.append(replace(table, quantity=tonnes[start : start + len(table.quantity)]))
                start += len(table.quantity)
            stages.append(StageNetwork(stage.stage, *drawn))
        return replace(batch, stages=tuple(stages))
