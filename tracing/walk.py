"""The linear system behind a walk that ends: where it ends, from every start at once.

What belongs here: solving ``x = onward x + ends`` for non-negative shares that add to one in each
row, whatever its condition. What does not: any meaning of the states.
"""

from __future__ import annotations

import numpy as np

from tracing.network import Floats

MANY_STEPS = 1e3
"""Expected steps beyond which LAPACK's answer is not trusted to 1e-12 and the slow solver takes over."""


def absorb(onward: Floats, ends: Floats) -> Floats:
    """Probabilities of ending in each way.

    One LU factorisation serves all columns. Where the walk goes round for long (cycles that almost
    nothing leaves), ``I - onward`` is near singular and the elimination without subtraction is used.

    Args:
        onward: probability of going from state to state, zero diagonal (n x n).
        ends: probability of ending at once, by way of ending (n x m); the last one also takes the
            walks that can never end. Rows of ``onward`` and ``ends`` add to one together.

    Returns:
        Non-negative n x m; rows add to one.
    """
    size = len(onward)
    if not onward.any():
        return ends
    try:
        solved = np.linalg.solve(np.eye(size) - onward, np.column_stack([ends, np.ones(size)]))
    except np.linalg.LinAlgError:
        return eliminate(onward, ends)
    steps = solved[:, -1]
    if not (np.all(steps > 0) and steps.max() <= MANY_STEPS):
        return eliminate(onward, ends)
    shares: Floats = np.maximum(solved[:, :-1], 0.0)
    return shares


def eliminate(onward: Floats, ends: Floats) -> Floats:
    """As ``absorb``, by state reduction (Grassmann, Taksar and Heyman, 1985).

    Each pivot is the sum of the ways out, never one minus the ways back: nothing is subtracted, so
    each entry keeps its relative accuracy at any condition. A state without a way out when its turn
    comes closes a cycle that nothing feeds; it ends in the last column.
    """
    size = len(onward)
    work = np.hstack([onward, ends])
    for state in range(size):
        out = work[state, state + 1 :]
        total = out.sum()
        if total > 0:
            out /= total
        else:
            out[-1] = 1.0
        work[state + 1 :, state + 1 :] += np.outer(work[state + 1 :, state], out)
    ended = work[:, size:]
    for state in range(size - 2, -1, -1):
        ended[state] += work[state, state + 1 : size] @ ended[state + 1 :]
    return np.array(ended)
