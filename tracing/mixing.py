"""What markets and exports consist of, under one export-mix rule.

What belongs here: from tonnes at one stage to shares of own production, secondary and each
supplier. What does not: following those shares through other markets (``walk``, ``engine``).

Three rules say what a country ships (methods section 3). The tonnes always balance: what a rule
takes for export is not there for the home market.

- ``well_mixed``: exports and home use are the same mix of all supply.
- ``domestic_first``: exports come from own production until it is exhausted, then from the pool of
  imports and secondary supply; home use is what remains.
- ``hub_only``: a country with production ships only that; only one without re-exports.

Exports beyond recorded supply change no mix: composition is all that is traced, and where a rule
leaves nothing at home, the home market reads the mix of all supply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from tracing.network import Codes, Floats, Mask, Rows, StageNetwork

Rule: TypeAlias = Literal["well_mixed", "domestic_first", "hub_only"]
RULES: tuple[Rule, ...] = get_args(Rule)

_ROUNDING = 1e-12
"""A home market below this share of supply is a rounding remainder, not a market."""

_TINY = 1e-300
"""Stands for exports too small to be told from none beside the country's supply; they still have a mix."""


@dataclass(frozen=True)
class Blend:
    """Shares at one stage; n countries.

    Attributes:
        traded: market exists: it has supply, or exports without any (n).
        supplied: market has supply (n).
        exporters: codes of the countries that export (e).
        imports: share of supplier i in the pool of imports and secondary of market c, ``[c, i]`` (n x n).
        secondary: share of secondary in the pool (n).
        home_own, home_pool: shares of own production and of the pool in home use (n, n); they add
            to one where the market has supply.
        export_own, export_pool: the same for what is shipped.
        face_own, face_imports: shares of own production and of supplier i in supply, before any
            look-through (n, n x n).
    """

    traded: Mask
    supplied: Mask
    exporters: Codes
    imports: Floats
    secondary: Floats
    home_own: Floats
    home_pool: Floats
    export_own: Floats
    export_pool: Floats
    face_own: Floats
    face_imports: Floats


def blend(network: StageNetwork, size: int, rule: Rule) -> Blend:
    """Shares of one stage under one rule.

    Every market is scaled by its own largest supply before anything is added, so neither subnormal
    nor huge tonnes overflow; a supply under 1e-300 of its market's reads as none.

    Args:
        network: tonnes of the stage.
        size: number of countries.
        rule: one of ``RULES``.
    """
    own, recycled, moved = _dense(network, size)
    with np.errstate(over="ignore", under="ignore"):
        pool_top = np.maximum(recycled, moved.max(axis=1, initial=0.0))
        imports, secondary = _scaled(moved, pool_top[:, None]), _scaled(recycled, pool_top)
        inside = imports.sum(axis=1) + secondary
        top = np.maximum(own, pool_top)
        produced, pool = _scaled(own, top), inside * _scaled(pool_top, top)
        supply = produced + pool
        shipped = np.minimum(np.maximum(_scaled(moved.sum(axis=0), top), _TINY), supply)
        imports, secondary = _scaled(imports, inside[:, None]), _scaled(secondary, inside)
        face = _scaled(produced, supply), _scaled(pool, supply)
        home, export = _RULES[rule](produced, pool, shipped)
        exporting = moved.any(axis=0)
        return Blend(
            traded=(top > 0) | exporting,
            supplied=top > 0,
            exporters=np.flatnonzero(exporting),
            imports=imports,
            secondary=secondary,
            home_own=home[0],
            home_pool=home[1],
            export_own=export[0],
            export_pool=export[1],
            face_own=face[0],
            face_imports=face[1][:, None] * imports,
        )


Shares: TypeAlias = tuple[Floats, Floats]


def _well_mixed(own: Floats, pool: Floats, shipped: Floats) -> tuple[Shares, Shares]:
    shares = _parts(own, pool)
    return shares, shares


def _domestic_first(own: Floats, pool: Floats, shipped: Floats) -> tuple[Shares, Shares]:
    from_pool = np.maximum(shipped - own, 0.0)
    export = _parts(np.minimum(shipped, own), from_pool)
    return _left(own, pool, shipped, np.maximum(pool - from_pool, 0.0)), export


def _hub_only(own: Floats, pool: Floats, shipped: Floats) -> tuple[Shares, Shares]:
    hub = own == 0
    export = np.where(hub, 0.0, 1.0), np.where(hub & (pool > 0), 1.0, 0.0)
    return _left(own, pool, shipped, pool), export


_RULES = {"well_mixed": _well_mixed, "domestic_first": _domestic_first, "hub_only": _hub_only}


def _left(own: Floats, pool: Floats, shipped: Floats, pool_left: Floats) -> Shares:
    """Home use after own production shipped ``shipped``; the mix of all supply where nothing is left."""
    own_left = np.maximum(own - shipped, 0.0)
    empty = own_left + pool_left <= _ROUNDING * (own + pool)
    return _parts(np.where(empty, own, own_left), np.where(empty, pool, pool_left))


def _parts(one: Floats, other: Floats) -> Shares:
    total = one + other
    return _scaled(one, total), _scaled(other, total)


def _scaled(values: Floats, by: Floats) -> Floats:
    """Values over ``by``; zero where ``by`` is zero."""
    return np.divide(values, by, out=np.zeros(np.broadcast_shapes(values.shape, by.shape)), where=by > 0)


def _dense(network: StageNetwork, size: int) -> tuple[Floats, Floats, Floats]:
    """Own production (n), secondary (n) and flows ``[importer, exporter]`` (n x n)."""
    moved = np.zeros((size, size))
    moved[network.flows.partner, network.flows.country] = network.flows.quantity
    return _vector(network.production, size), _vector(network.secondary, size), moved


def _vector(rows: Rows, size: int) -> Floats:
    out = np.zeros(size)
    out[rows.country] = rows.quantity
    return out
