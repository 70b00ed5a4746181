"""Answers of the look-through as frames.

What belongs here: the public functions on polars frames, and the step from arrays back to names.
What does not: the formulas (``engine``) and the checks (``network``, ``feeds``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from tracing import feeds as feeding
from tracing import network
from tracing.engine import StageTrace, trace
from tracing.mixing import RULES, Rule
from tracing.network import SECONDARY, UNEXPLAINED, Batch, Codes, Floats, Grid, InvalidNetwork, Mask

NEGLIGIBLE = 1e-13
"""Rows whose every share is below this are rounding of the solver and left out."""

MEASURES = ("face_value_share", "made_in_share", "processed_in_share", "mine_origin_share")


def look_through(
    production: pl.DataFrame,
    flows: pl.DataFrame,
    *,
    stages: Sequence[str] | None = None,
    secondary: pl.DataFrame | None = None,
    feed: pl.DataFrame | None = None,
    mixing: str = "well_mixed",
) -> pl.DataFrame:
    """Where a tonne supplied to each importer was made, through whom it passed, where it was mined.

    Walks backward from each market over own production, imports (re-exports seen through) and
    secondary supply, and from each plant to the markets of its feed (methods section 3). The first
    stage with data is the origin. What cannot be followed (a plant without recorded feed, an
    exporter without supply, a trade cycle that nothing feeds) is unexplained.

    Args:
        production: ``stage, country, quantity_t`` (tonnes contained).
        flows: ``stage, exporter, importer, quantity_t``. A flow of a country to itself is ignored.
        stages: stage order; ``STAGES`` where not given.
        secondary: ``stage, country, quantity_t``: recycled supply and drawdown of stocks.
        feed: ``stage, from_stage, weight[, country]``: feed of plants by element mass; default is
            the previous stage present in the data.
        mixing: ``well_mixed``, ``domestic_first`` or ``hub_only``; see ``mixing``.

        ``material`` and ``year`` are batch keys where production and flows both carry them; then
        ``secondary`` must and ``feed`` may. Other columns are ignored.

    Returns:
        Batch keys, ``stage, importer, country, face_value_share, made_in_share,
        processed_in_share, mine_origin_share``; shares 0..1 of the importer's supply
        ``S = production + imports + secondary``. Only rows with a share. ``country`` is also
        ``SECONDARY`` and ``UNEXPLAINED``, with ``mine_origin_share`` alone (others null); so
        mine origin adds to one for each importer. Sorted by keys, stage order, importer, country.

    Raises:
        InvalidNetwork: a frame is refused; the message names the offending row.
        ValueError: unknown mixing rule.
    """
    rule = mixing_rule(mixing)
    grid = network.read(production, flows, stages, secondary)
    frames = [
        assemble(grid, batch, [rows_of(grid, batch, stage, shares(stage)) for stage in traces], MEASURES)
        for batch, traces in _traced(grid, feed, rule)
    ]
    return pl.concat(frames)


def via(
    production: pl.DataFrame,
    flows: pl.DataFrame,
    *,
    stages: Sequence[str] | None = None,
    secondary: pl.DataFrame | None = None,
    feed: pl.DataFrame | None = None,
    mixing: str = "well_mixed",
) -> pl.DataFrame:
    """Processed-in share by the first hop through which it arrives.

    ``U[c, d] = p_c V_c[d] + sum_i W[c, i] U[i, d]`` (methods section 3), term by term.

    Args:
        production: as for ``look_through``.
        flows: as for ``look_through``.
        stages: as for ``look_through``.
        secondary: as for ``look_through``.
        feed: as for ``look_through``.
        mixing: as for ``look_through``.

    Returns:
        Batch keys, ``stage, importer, country, via, processed_in_share``; ``via`` is the exporter,
        or the importer itself for its own production. Rows of an importer and country add to its
        ``processed_in_share`` in ``look_through``.

    Raises:
        InvalidNetwork: a frame is refused.
        ValueError: unknown mixing rule.
    """
    rule = mixing_rule(mixing)
    grid = network.read(production, flows, stages, secondary)
    frames = [
        assemble(grid, batch, [_first_hops(batch, stage) for stage in traces], MEASURES[2:3], with_via=True)
        for batch, traces in _traced(grid, feed, rule)
    ]
    return pl.concat(frames)


def processed_at(
    production: pl.DataFrame,
    flows: pl.DataFrame,
    *,
    at: str,
    stages: Sequence[str] | None = None,
    secondary: pl.DataFrame | None = None,
    feed: pl.DataFrame | None = None,
    mixing: str = "well_mixed",
) -> pl.DataFrame:
    """Share of each importer's tonne that passed through each country's plants of one stage.

    ``H`` of methods section 3: as ``processed_in_share``, but only plants of stage ``at`` count.

    Args:
        production: as for ``look_through``.
        flows: as for ``look_through``.
        at: the stage that counts.
        stages: as for ``look_through``.
        secondary: as for ``look_through``.
        feed: as for ``look_through``.
        mixing: as for ``look_through``.

    Returns:
        Batch keys, ``stage, importer, country, processed_in_share``, for every stage; those before
        ``at`` have no rows.

    Raises:
        InvalidNetwork: a frame is refused, or ``at`` is no known stage.
        ValueError: unknown mixing rule.
    """
    rule = mixing_rule(mixing)
    grid = network.read(production, flows, stages, secondary)
    if at not in grid.stages:
        raise InvalidNetwork(f"at: unknown stage {at!r}, known are {list(grid.stages)}.")
    frames = [
        assemble(grid, batch, [rows_of(grid, batch, stage, (stage.processed,)) for stage in traces], MEASURES[2:3])
        for batch, traces in _traced(grid, feed, rule, {at})
    ]
    return pl.concat(frames)


def _traced(
    grid: Grid, feed: pl.DataFrame | None, rule: Rule, counted: set[str] | None = None
) -> Iterator[tuple[Batch, list[StageTrace]]]:
    feeds = feeding.read(feed, grid)
    for batch in grid.batches():
        yield batch, trace(grid, batch, feeds, rule, counted)


def mixing_rule(name: str) -> Rule:
    """The rule of that name.

    Raises:
        ValueError: there is none.
    """
    for rule in RULES:
        if rule == name:
            return rule
    raise ValueError(f"mixing: {name!r} is not one of {', '.join(RULES)}.")


@dataclass(frozen=True)
class Chunk:
    """Rows of one stage of one batch; codes are positions in the grid's country list.

    ``country`` may be one (secondary) or two (unexplained) past the end of that list.
    """

    stage: str
    importer: Codes
    country: Codes
    shares: tuple[Floats, ...]
    via: Codes | None = None


def shares(stage: StageTrace) -> tuple[Floats, ...]:
    """The four measures of one stage (each n x n+2); NaN where a measure has no such column."""
    blank = np.full((len(stage.processed), 2), np.nan)
    padded = (np.hstack([part, blank]) for part in (stage.face_value, stage.made, stage.processed))
    return (*padded, stage.origin)


def seen(stage: StageTrace, measures: tuple[Floats, ...]) -> Mask:
    """Where a market exists and any of the measures is not negligible."""
    some = np.zeros(measures[0].shape, dtype=bool)
    for share in measures:
        some |= share > NEGLIGIBLE
    return some & stage.blend.traded[:, None]


def rows_of(
    grid: Grid, batch: Batch, stage: StageTrace, measures: tuple[Floats, ...], where: Mask | None = None
) -> Chunk:
    """Rows of one stage, those of ``where`` or else those seen in the measures."""
    where = seen(stage, measures) if where is None else where
    spots = np.flatnonzero(where)
    importer, country = np.divmod(spots, where.shape[1])
    names = np.append(batch.countries, len(grid.countries) + np.arange(2))
    return Chunk(stage.stage, names[importer], names[country], tuple(share.ravel()[spots] for share in measures))


def _first_hops(batch: Batch, stage: StageTrace) -> Chunk:
    """Processed-in share of one stage by first hop."""
    mixed, names = stage.blend, batch.countries
    shipped = np.zeros_like(stage.processed)
    shipped[mixed.exporters] = stage.shipment[:, :-2] @ stage.passed
    hops = mixed.home_pool[:, None] * mixed.imports
    np.fill_diagonal(hops, mixed.home_own)
    importer, first = np.nonzero(hops)
    own = (importer == first)[:, None]
    parts = hops[importer, first][:, None] * np.where(own, stage.passed[first], shipped[first])
    row, country = np.nonzero(parts > NEGLIGIBLE)
    order = np.lexsort((first[row], country, importer[row]))
    row, country = row[order], country[order]
    share = parts[row, country]
    return Chunk(stage.stage, names[importer[row]], names[country], (share,), names[first[row]])


def assemble(
    grid: Grid, batch: Batch, chunks: Sequence[Chunk], measures: Sequence[str], *, with_via: bool = False
) -> pl.DataFrame:
    """Chunks of one batch as a frame with names; NaN becomes null.

    Batch by batch keeps the working memory small: the caller's answer joins the frames uncopied.
    """
    lengths = [len(chunk.importer) for chunk in chunks]
    coded = {
        "stage": np.repeat(np.array([grid.stages.index(chunk.stage) for chunk in chunks], dtype=np.int64), lengths),
        "importer": _joined([chunk.importer for chunk in chunks]),
        "country": _joined([chunk.country for chunk in chunks]),
    }
    if with_via:
        coded["via"] = _joined([chunk.via for chunk in chunks if chunk.via is not None])
    values = {
        measure: np.concatenate([np.zeros(0), *(chunk.shares[number] for chunk in chunks)])
        for number, measure in enumerate(measures)
    }
    countries = pl.concat([grid.countries, pl.Series("country", [SECONDARY, UNEXPLAINED])])
    names = {name: pl.lit(countries) for name in coded} | {"stage": pl.lit(pl.Series(grid.stages, dtype=pl.String))}
    key = grid.keys[batch.key] if grid.keys.width else grid.keys
    return pl.DataFrame({**coded, **values}).select(
        *(pl.repeat(key[name][0], pl.len(), dtype=key.schema[name]).alias(name) for name in key.columns),
        *(names[name].gather(pl.col(name)).alias(name) for name in coded),
        pl.col(measures).fill_nan(None),
    )


def _joined(parts: list[Codes]) -> Codes:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])
