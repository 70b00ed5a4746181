"""How a shortage at one stage reaches the later ones when everybody outside shares it.

What belongs here: the lower end of a disruption (methods section 6): the shortage in the pool of all other
buyers, and the Leontief limit ``out(k+1) <= in(k) / recipe`` that carries it down the chain. What does not:
who bought from whom (``engine``), tables (``disruption``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pool:
    """Tonnes of one stage that those who share the shortage had before.

    Attributes:
        output: of their own plants.
        secondary: their recycled supply.
        arriving: what the country that stops made and shipped to them.
        leaving: what they shipped to it.
        stopped: tonnes that stop, of ``arriving`` or, where plants are lost, of ``output``.
        hit: the stage is one of those that are stopped.
    """

    output: float
    secondary: float
    arriving: float
    leaving: float
    stopped: float
    hit: bool

    @property
    def supply(self) -> float:
        """Output, recycled and arriving tonnes; each tonne counts once, however often it is re-exported."""
        return self.output + self.secondary + self.arriving

    @property
    def intake(self) -> float:
        """What is left for their own plants of the next stage."""
        return max(0.0, self.supply - self.leaving)


@dataclass(frozen=True)
class Shortage:
    """Share of a pool that is missing, 0..1, and the stage where that began (none where nothing is)."""

    share: float
    began: str | None


def feed_lost(
    output: float, intake: Mapping[str, float], lost: Mapping[str, float], recipe: Mapping[str, float]
) -> float:
    """Share of plants' output that a shortage of feed takes: ``out <= sum of in / recipe``.

    Stages that feed side by side stand in for one another by element mass. Feed beyond the need goes to
    other users, who share the shortage; what no record covers of the need is not hit.

    Args:
        output: tonnes the plants made before.
        intake: tonnes of each feeding stage they could take in before.
        lost: share of each that is missing.
        recipe: tonnes of each that one tonne of output takes.
    """
    possible = {stage: tonnes / recipe[stage] for stage, tonnes in intake.items()}
    total = sum(possible.values())
    if total <= 0 or output <= 0:
        return 0.0
    covered = min(1.0, total / output)
    return min(1.0, covered * sum(made * lost[stage] for stage, made in possible.items()) / total)


def shortages(pools: Mapping[str, Pool], feeds: Mapping[str, Mapping[str, float]]) -> dict[str, Shortage]:
    """Shortage of every stage under perfect reallocation.

    A stage loses the greater of what stops there, ``stopped / supply``, and what its feed passes on: over a
    chain that is the maximum over the stopped stages (methods section 6). At a stage that is not stopped,
    tonnes made by the country that stops keep coming and dilute what is passed on.

    Args:
        pools: by stage, in the order of the chain.
        feeds: stage to its feeding stages, each with its recipe (tonnes in per tonne out).
    """
    found: dict[str, Shortage] = {}
    for stage, pool in pools.items():
        supply = pool.supply
        if supply <= 0:
            found[stage] = Shortage(0.0, None)
            continue
        direct = pool.stopped / supply if pool.hit else 0.0
        sources = {name: recipe for name, recipe in feeds.get(stage, {}).items() if name in found}
        intake = {name: pools[name].intake for name in sources}
        lost = feed_lost(pool.output, intake, {name: found[name].share for name in sources}, sources)
        passed = lost * (pool.output + (pool.arriving if pool.hit else 0.0)) / supply
        if passed > direct:
            found[stage] = Shortage(min(1.0, passed), _largest(sources, intake, found))
        else:
            found[stage] = Shortage(min(1.0, direct), stage if direct > 0 else None)
    return found


def _largest(sources: Mapping[str, float], intake: Mapping[str, float], found: Mapping[str, Shortage]) -> str | None:
    """Where the largest part of the missing feed began."""
    names: Sequence[str] = sorted(sources, key=lambda name: -intake[name] * found[name].share / sources[name])
    return found[names[0]].began
