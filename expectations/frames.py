"""What the gate needs of whatever reads a candidate: rows for Great Expectations, and counts that it does not make.

What belongs here: the interface. What does not: reading with DuckDB (``pandas_frames``) or Spark
(``spark_frames``), and judging (``adapter``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

Frame: TypeAlias = Any  # a pandas or Spark frame; both are slow to import


class Frames(Protocol):
    """The marts of a candidate, and of the last release as ``previous.<table>``, for one engine of the gate.

    Attributes:
        engine: what evaluates, added to the name of Great Expectations in the report; empty for its default.
        previous: tables of the last release; None on the first.
        unreadable: what reading a query raises that the candidate cannot answer.
    """

    engine: str
    previous: frozenset[str] | None
    unreadable: tuple[type[Exception], ...]

    def batches(self, gx: Any) -> Any:
        """Return a batch definition of Great Expectations that takes a frame of this kind."""

    def columns(self, mart: str) -> list[str]:
        """Return the columns of a mart in order."""

    def read(self, sql: str, *, ordered: bool) -> AbstractContextManager[Frame]:
        """Give the rows of a query, in order where they are to be shown; valid within the block."""

    def names(self, frame: Frame) -> list[str]:
        """Return the columns of a frame."""

    def counts(self, frame: Frame, groups: Sequence[tuple[str, ...]]) -> list[int]:
        """Count, for each group of columns, the rows in which all of them have a value; all rows for no column."""

    def first(self, frame: Frame, rows: int) -> list[Mapping[str, Any]]:
        """Return the first rows."""
