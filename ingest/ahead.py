"""Work on what comes next while what came before is still being used.

What belongs here: order and number of pieces at work. What does not: the work, which releases Python's lock
(polars and numpy do), so that threads suffice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
AT_ONCE = 2
"""Pieces at work: one keeps little more than one processor busy, and each holds a few hundred MB."""


def ahead(work: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
    """Do ``work`` for every item, ``AT_ONCE`` of them at once, and give the answers in order.

    Raises:
        Exception: what ``work`` raised, at the place of its answer; no more is begun then.
    """
    todo = iter(items)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = deque(pool.submit(work, item) for item in islice(todo, AT_ONCE))
        while begun:
            answer = begun.popleft().result()
            begun.extend(pool.submit(work, item) for item in islice(todo, 1))
            yield answer
