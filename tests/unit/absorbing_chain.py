"""The look-through done slowly: one absorbing chain per question, node by node.

Kept apart from the product on purpose: it follows the walk of methods section 3 literally, on
dictionaries, and asks the chain one question at a time. With ``Fraction`` tonnes it is exact.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix, identity
from scipy.sparse.linalg import spsolve

SECONDARY, UNEXPLAINED = ("secondary",), ("unexplained",)


class Chain:
    """Nodes ``(kind, stage, country)`` of one material and year, with the chances of each next node."""

    def __init__(self, production, flows, stages, secondary=None, rule="well_mixed", number=float):
        """Frames as for ``look_through``; ``number`` is the kind of figure to reckon with."""
        self.number, self.stages = number, stages
        self.made = _tonnes(production, ("stage", "country"), number)
        self.moved = _tonnes(
            flows.filter(pl.col("exporter") != pl.col("importer")), ("stage", "exporter", "importer"), number
        )
        self.recycled = _tonnes(secondary, ("stage", "country"), number) if secondary is not None else {}
        self.imports, self.shipped = defaultdict(dict), defaultdict(lambda: number(0))
        for (stage, exporter, importer), tonnes in self.moved.items():
            self.imports[stage, importer][exporter] = tonnes
            self.shipped[stage, exporter] += tonnes
        everything = [*self.made.items(), *self.moved.items(), *self.recycled.items()]
        self.present = [s for s in stages if any(key[0] == s and tonnes > 0 for key, tonnes in everything)]
        self.countries = sorted({name for key, _ in everything for name in key[1:]})
        self.next = {}
        for place, stage in enumerate(self.present):
            for country in self.countries:
                self._add(stage, country, self.present[place - 1] if place else None, rule)
        self._close_cycles()

    def markets(self):
        """Markets that exist: with supply, or shipping without any."""
        return [
            (stage, country)
            for stage in self.present
            for country in self.countries
            if self._supply(stage, country) > 0 or self.shipped[stage, country] > 0
        ]

    def face_value(self, stage, importer, country):
        supply = self._supply(stage, importer)
        direct = (
            self.made.get((stage, importer), 0)
            if country == importer
            else self.imports[stage, importer].get(country, 0)
        )
        return direct / supply if supply else 0

    def made_in(self, stage, country):
        """By node: chance that the first plant of this stage met is in this country."""
        other = {("plant", stage, c) for c in self.countries} - {("plant", stage, country)}
        return self._reach({("plant", stage, country)}, other)

    def processed_in(self, country, at=None):
        """By node: chance to pass a plant of this country, of one stage or of any."""
        return self._reach({("plant", stage, country) for stage in ([at] if at else self.present)})

    def mined_in(self, country):
        return self._reach({("plant", self.present[0], country)})

    def ends_in(self, end):
        return self._reach({end})

    def _supply(self, stage, country):
        own = self.made.get((stage, country), self.number(0)) + self.recycled.get((stage, country), self.number(0))
        return own + sum(self.imports[stage, country].values())

    def _add(self, stage, country, before, rule):
        own, supply = self.made.get((stage, country), self.number(0)), self._supply(stage, country)
        pool, shipped = supply - own, min(self.shipped[stage, country], supply)
        if rule == "well_mixed":
            out, home = (own, pool), (own, pool)
        elif rule == "domestic_first":
            out = (min(own, shipped), shipped - min(own, shipped))
            home = (own - out[0], pool - out[1])
        else:
            out = (own, self.number(0)) if own > 0 else (own, pool)
            home = (own - min(own, shipped), pool)
        self._mix(("market", stage, country), home if sum(home) else (own, pool))
        self._mix(("export", stage, country), out if sum(out) else (own, pool))
        one = self.number(1)
        self.next["plant", stage, country] = {("market", before, country): one} if before else {("mined", country): one}

    def _mix(self, node, parts):
        _, stage, country = node
        total, pool = sum(parts), self._supply(stage, country) - self.made.get((stage, country), self.number(0))
        if not total:
            self.next[node] = {UNEXPLAINED: self.number(1)}
            return
        chances = {("plant", stage, country): parts[0] / total}
        if parts[1]:
            for exporter, tonnes in self.imports[stage, country].items():
                chances["export", stage, exporter] = parts[1] / total * (tonnes / pool)
            chances[SECONDARY] = parts[1] / total * (self.recycled.get((stage, country), self.number(0)) / pool)
        self.next[node] = {to: chance for to, chance in chances.items() if chance}

    def _close_cycles(self):
        """Markets from which neither a plant nor an end can be reached are unexplained."""
        back = defaultdict(set)
        for node, chances in self.next.items():
            for to in chances:
                back[to].add(node)
        alive = {node for node in {*back, *self.next} if node not in self.next or node[0] == "plant"}
        todo = list(alive)
        while todo:
            for node in back[todo.pop()] - alive:
                alive.add(node)
                todo.append(node)
        for node in set(self.next) - alive:
            self.next[node] = {UNEXPLAINED: self.number(1)}

    def _reach(self, targets, walls=frozenset()):
        """By node: chance to meet one of ``targets`` before one of ``walls``."""
        inner = [node for node in self.next if node not in targets and node not in walls]
        at = {node: row for row, node in enumerate(inner)}
        solve = _solve_exactly if self.number is Fraction else _solve_sparse
        rows = [{at[to]: chance for to, chance in self.next[node].items() if to in at} for node in inner]
        hits = [sum((p for to, p in self.next[node].items() if to in targets), self.number(0)) for node in inner]
        found = dict(zip(inner, solve(rows, hits), strict=True))
        return {**found, **dict.fromkeys(targets, 1), **dict.fromkeys(walls, 0)}


def _tonnes(frame, keys, number):
    return {row[:-1]: number(row[-1]) for row in frame.select(*keys, "quantity_t").iter_rows()}


def _solve_sparse(rows, hits):
    size = len(rows)
    if not size:
        return []
    where = [(row, to, chance) for row, chances in enumerate(rows) for to, chance in chances.items()]
    row, to, chance = zip(*where, strict=True) if where else ((), (), ())
    return spsolve((identity(size) - csr_matrix((chance, (row, to)), shape=(size, size))).tocsc(), np.array(hits))


def _solve_exactly(rows, hits):
    """Gaussian elimination of ``x = rows x + hits`` in exact fractions."""
    rows, hits = [dict(row) for row in rows], list(hits)
    for node in range(len(rows)):
        stay = 1 - rows[node].pop(node, Fraction(0))
        rows[node] = {to: chance / stay for to, chance in rows[node].items()}
        hits[node] /= stay
        for other in range(len(rows)):
            weight = rows[other].pop(node, None) if other != node else None
            if weight:
                hits[other] += weight * hits[node]
                for to, chance in rows[node].items():
                    rows[other][to] = rows[other].get(to, Fraction(0)) + weight * chance
    return hits
