"""The look-through itself: one batch, stage by stage, all importers and countries at once.

What belongs here: the formulas of methods section 3 on arrays. What does not: frames, names and
validation (``network``, ``exposure``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from tracing.feeds import Feeds
from tracing.mixing import Blend, Rule, blend
from tracing.network import Batch, Codes, Floats, Grid
from tracing.walk import absorb


@dataclass(frozen=True)
class StageTrace:
    """Shares at one stage of one batch; n countries, rows are importers.

    Attributes:
        stage: name.
        blend: what markets and exports consist of.
        landing: where a tonne of a market was made: by producer, in the column after them from
            secondary supply, in the last one unexplained (n x n+2); rows add to one.
        bought: the same for a tonne of a market's imports alone (n x n+2); zeros where it imports nothing.
        shipment: the same for a tonne of each exporter's shipments (e x n+2).
        passed: share of a producer's tonne that passed through plants of country d (n x n), V of
            the methods; the producer itself counts.
        processed: share of a market's tonne that passed through plants of country d (n x n).
        origin: where a market's tonne was mined; two more columns as in ``landing`` (n x n+2).
    """

    stage: str
    blend: Blend
    landing: Floats
    bought: Floats
    shipment: Floats
    passed: Floats
    processed: Floats
    origin: Floats

    @property
    def made(self) -> Floats:
        """Share of a market's tonne that was made in country d (n x n)."""
        return self.landing[:, :-2]

    @property
    def face_value(self) -> Floats:
        """Share of a market's supply that came from country d, itself included (n x n)."""
        shares = self.blend.face_imports.copy()
        np.fill_diagonal(shares, self.blend.face_own)
        return shares


def trace(
    grid: Grid, batch: Batch, feeds: Feeds, rule: Rule, counted: Collection[str] | None = None
) -> list[StageTrace]:
    """Trace one batch.

    Args:
        grid: the call's networks.
        batch: one of them.
        feeds: what plants take in.
        rule: export-mix rule.
        counted: stages whose plants count as processing; all where not given. With a single stage
            this is ``H`` of the methods.

    Returns:
        One trace per stage of the batch, in order.
    """
    traces: dict[str, StageTrace] = {}
    for network in batch.stages:
        mixed = blend(network, batch.size, rule)
        if traces:
            weights = feeds.weights(grid, batch.key, network.stage, list(traces), batch.countries)
            passed, origin = _feed(weights, traces, batch.size)
        else:
            passed, origin = np.zeros((batch.size, batch.size)), np.eye(batch.size, batch.size + 2)
        if counted is None or network.stage in counted:
            np.fill_diagonal(passed, 1.0)
        traces[network.stage] = _stage(network.stage, mixed, passed, origin)
    return list(traces.values())


def _feed(weights: dict[str, Floats], traces: dict[str, StageTrace], size: int) -> tuple[Floats, Floats]:
    """Feed-weighted ``processed`` and ``origin`` of each producer's own earlier markets."""
    passed, origin = np.zeros((size, size)), np.zeros((size, size + 2))
    for stage, share in weights.items():
        if stage in traces:
            passed += share[:, None] * traces[stage].processed
            origin += share[:, None] * traces[stage].origin
        else:
            origin[:, -1] += share
    return passed, origin


def _stage(stage: str, mixed: Blend, passed: Floats, feed_origin: Floats) -> StageTrace:
    size = len(mixed.supplied)
    makers, shipped = _shipments(mixed)
    arriving = mixed.imports[:, mixed.exporters] @ shipped
    imported = arriving.sum(axis=1, keepdims=True)
    bought = np.divide(arriving, imported, out=np.zeros_like(arriving), where=imported > 0)
    arriving[:, -2] += mixed.secondary
    landing = _spread(mixed.home_pool[:, None] * arriving, makers, size)
    landing[np.diag_indices(size)] += mixed.home_own
    landing[~mixed.supplied, -1] = 1.0
    plants = np.flatnonzero(landing[:, :-2].any(axis=0))
    made = landing[:, plants]
    origin = made @ feed_origin[plants]
    origin[:, -2:] += landing[:, -2:]
    return StageTrace(
        stage, mixed, landing, _spread(bought, makers, size), _spread(shipped, makers, size), passed,
        made @ passed[plants], origin,
    )  # fmt: skip


def _shipments(mixed: Blend) -> tuple[Codes, Floats]:
    """Where each exporter's shipments were made: one factorisation for all countries.

    Returns:
        Codes of the m countries that ship own production; landing by these, secondary and
        unexplained (e x m+2).
    """
    ship = mixed.exporters
    own, pool = mixed.export_own[ship], mixed.export_pool[ship]
    makers = np.flatnonzero(own)
    ends = np.zeros((len(ship), len(makers) + 2))
    ends[makers, np.arange(len(makers))] = own[makers]
    ends[:, -2] = pool * mixed.secondary[ship]
    ends[~mixed.supplied[ship], -1] = 1.0
    return ship[makers], absorb(pool[:, None] * mixed.imports[np.ix_(ship, ship)], ends)


def _spread(compact: Floats, makers: Codes, size: int) -> Floats:
    """Columns of some makers and the last two, as columns of all countries and the last two."""
    out = np.zeros((len(compact), size + 2))
    out[:, makers] = compact[:, :-2]
    out[:, -2:] = compact[:, -2:]
    return out
