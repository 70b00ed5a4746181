"""Supply that reaches an importer through the re-exports of one country.

What belongs here: the share of each market's tonne that was shipped on by a hub, at any stage of its way.
What does not: tonnes that a country's plants processed (``engine``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracing.engine import StageTrace
from tracing.feeds import Feeds
from tracing.network import Batch, Floats, Grid
from tracing.walk import absorb


def shipped_on(grid: Grid, batch: Batch, feeds: Feeds, traces: Sequence[StageTrace], hub: int) -> dict[str, Floats]:
    """Share of each market's tonne that the hub re-exported on its way.

    The walk of methods section 3, stopped where an exporter is the hub and ships what it imported. What the
    hub's own plants or scrap give is not stopped, nor what it imports for its own use.

    Args:
        grid: the call's networks.
        batch: one of them.
        feeds: what plants take in.
        traces: of the batch, in order, under one export-mix rule.
        hub: code of the country in the batch.

    Returns:
        By stage, shares 0..1 by importer (n).
    """
    through: dict[str, Floats] = {}
    for trace in traces:
        fed = np.zeros(batch.size)
        if through:
            for source, share in feeds.weights(grid, batch.key, trace.stage, list(through), batch.countries).items():
                if source in through:
                    fed += share * through[source]
        through[trace.stage] = _one_stage(trace, fed, hub)
    return through


def _one_stage(trace: StageTrace, fed: Floats, hub: int) -> Floats:
    mixed, ship = trace.blend, trace.blend.exporters
    onward = mixed.export_pool[ship, None] * mixed.imports[np.ix_(ship, ship)]
    stopped = mixed.export_own[ship] * fed[ship]
    if len(place := np.flatnonzero(ship == hub)):
        onward[place] = 0.0
        stopped[place] += mixed.export_pool[hub] * (1 - mixed.secondary[hub])
    rest = np.maximum(1 - onward.sum(axis=1) - stopped, 0.0)
    shipped = absorb(onward, np.column_stack([stopped, rest]))[:, 0] if len(ship) else np.zeros(0)
    home: Floats = mixed.home_own * fed + mixed.home_pool * (mixed.imports[:, ship] @ shipped)
    return np.clip(home, 0.0, 1.0)
