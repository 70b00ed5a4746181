"""What plants take in: the share of each earlier stage in a producer's feed, by element mass.

What belongs here: the caller's ``feed`` frame and the rule that stands in for it. What does not:
where the feed comes from; that is the producer's own market of the earlier stage (methods section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from tracing.network import BATCH_KEYS, Codes, Floats, Grid, InvalidNetwork, refuse

Mix = dict[str, float]
"""Share of each earlier stage; adds to one."""


@dataclass(frozen=True)
class _Answer:
    """Feed shares at one stage of one batch."""

    grid: Grid
    batch: int
    before: tuple[str, ...]
    countries: Codes
    shares: dict[str, Floats]

    def is_of(self, grid: Grid, batch: int, before: Sequence[str], countries: Codes) -> bool:
        """Whether this answers a question about the very same objects."""
        same = self.grid is grid and self.countries is countries
        return same and self.batch == batch and self.before == tuple(before)


@dataclass(frozen=True)
class Feeds:
    """Feed mixes of a call.

    Attributes:
        keys: batch keys that the caller's frame carries.
        mixes: by (batch key values, stage, country); country None stands for every other country.
        special: by (batch key values, stage), the countries with a mix of their own.
    """

    keys: tuple[str, ...] = ()
    mixes: dict[tuple[object, ...], Mix] = field(default_factory=dict)
    special: dict[tuple[object, ...], tuple[str, ...]] = field(default_factory=dict)
    # By stage, what `weights` answered last and of whom: every draw of a batch asks the same again.
    _answers: dict[str, _Answer] = field(default_factory=dict, repr=False, compare=False)

    def weights(self, grid: Grid, batch: int, stage: str, before: Sequence[str], countries: Codes) -> dict[str, Floats]:
        """Feed shares of every country's plants at one stage.

        Args:
            grid: the call's networks.
            batch: row of ``grid.keys``.
            stage: the plants' stage.
            before: earlier stages present in the batch, in order, at least one.
            countries: position in ``grid.countries`` of each country of the batch.

        Returns:
            For each earlier stage, the share of it in the feed, by country of the batch. A stage
            that is not present in the batch keeps its share, which nothing explains. To be read only.
        """
        last = self._answers.get(stage)
        if last is None or not last.is_of(grid, batch, before, countries):
            shares = self._weights(grid, batch, stage, before, countries)
            last = self._answers[stage] = _Answer(grid, batch, tuple(before), countries, shares)
        return last.shares

    def _weights(
        self, grid: Grid, batch: int, stage: str, before: Sequence[str], countries: Codes
    ) -> dict[str, Floats]:
        row = grid.keys.row(batch, named=True) if self.keys else {}
        values = tuple(row[name] for name in self.keys)
        usual = self.mixes.get((*values, stage, None), {before[-1]: 1.0})
        shares = {source: np.full(len(countries), share) for source, share in usual.items()}
        names = grid.countries.gather(countries).to_numpy()
        for name in self.special.get((*values, stage), ()):
            found = np.flatnonzero(names == name)
            for column in shares.values():
                column[found] = 0.0
            for source, share in self.mixes[(*values, stage, name)].items():
                shares.setdefault(source, np.zeros(len(countries)))[found] = share
        return shares


def read(feed: pl.DataFrame | None, grid: Grid) -> Feeds:
    """Validate the caller's feed frame.

    Args:
        feed: ``stage, from_stage, weight`` and, where wanted, ``country`` (null: every country
            without rows of its own), ``material`` and ``year`` (absent: the same in all of them).
            Weights are element mass in any unit; each mix is scaled to one. Plants without a row
            feed on the previous stage present in the data.
        grid: the call's networks.

    Raises:
        InvalidNetwork: a column is missing; a weight is null, negative or not finite, or a mix adds
            to nothing; a stage is unknown or does not come before the plants'; a key repeats.
    """
    if feed is None:
        return Feeds()
    keys = tuple(name for name in BATCH_KEYS if name in feed.columns)
    if stray := [name for name in keys if name not in grid.keys.columns]:
        raise InvalidNetwork(f"feed: carries the batch keys {stray}, which production and flows do not.")
    tidy = _check(feed, keys, grid)
    mixes: dict[tuple[object, ...], Mix] = {}
    special: dict[tuple[object, ...], tuple[str, ...]] = {}
    by = [*keys, "stage", "country"]
    for place, rows in tidy.group_by(by, maintain_order=True):
        weights = rows["weight"].to_numpy()
        shares = weights / weights.max() if weights.max() > 0 else weights
        if not shares.sum() > 0:
            raise InvalidNetwork(f"feed: the weights add to nothing, first {rows.row(0, named=True)}.")
        mixes[place] = dict(zip(rows["from_stage"], (shares / shares.sum()).tolist(), strict=True))
        if place[-1] is not None:
            special[place[:-1]] = (*special.get(place[:-1], ()), str(place[-1]))
    return Feeds(keys, mixes, special)


def _check(feed: pl.DataFrame, keys: Sequence[str], grid: Grid) -> pl.DataFrame:
    needed = ("stage", "from_stage", "weight")
    if missing := [name for name in needed if name not in feed.columns]:
        raise InvalidNetwork(f"feed: columns {missing} are missing; there are {feed.columns}.")
    if not (feed.schema["weight"].is_numeric() or feed.schema["weight"] == pl.Null()):
        raise InvalidNetwork(f"feed: weight is {feed.schema['weight']}, expected a number.")
    tidy = feed.select(
        *(pl.col(name).cast(grid.keys.schema[name]) for name in keys),
        pl.col("stage", "from_stage").cast(pl.String),
        pl.col("weight").cast(pl.Float64),
        (pl.col("country") if "country" in feed.columns else pl.lit(None)).cast(pl.String).alias("country"),
    )
    for name in (*keys, *needed):
        refuse(tidy, "feed", pl.col(name).is_null(), f"{name} is null")
    refuse(tidy, "feed", ~pl.col("weight").is_finite() | (pl.col("weight") < 0), "weight is negative or not finite")
    for name in ("stage", "from_stage"):
        refuse(tidy, "feed", ~pl.col(name).is_in(grid.stages), f"unknown {name}, known are {list(grid.stages)}")
    place = {name: number for number, name in enumerate(grid.stages)}
    stage, source = (pl.col(name).replace_strict(place, return_dtype=pl.Int64) for name in ("stage", "from_stage"))
    refuse(tidy, "feed", source >= stage, "from_stage does not come before stage")
    refuse(tidy, "feed", pl.struct(*keys, "stage", "from_stage", "country").is_duplicated(), "the key repeats")
    return tidy
