"""From frames to indexed networks: validation, codes, one batch per material and year.

What belongs here: every check of the caller's frames and their translation into arrays of country
codes and tonnes. What does not: feed rules (``feeds``), shares (``mixing``), solving (``walk``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

STAGES = ("mine", "intermediate", "compound", "metal", "alloy", "semi", "component", "product")
"""Standard order of the chain; recycled supply stands apart and enters through ``secondary``."""

BATCH_KEYS = ("material", "year")
COUNTRY_COLUMNS = ("country", "exporter", "importer")
SECONDARY, UNEXPLAINED = "SECONDARY", "UNEXPLAINED"


class InvalidNetwork(ValueError):
    """A frame that no network can be built from; the message names the frame and the offending row."""


@dataclass(frozen=True)
class Rows:
    """Rows of one frame, in the order of their keys.

    Attributes:
        country: code of the producer, of the holder of secondary supply, or of the exporter.
        partner: code of the importer; the country itself where there is none.
        quantity: tonnes.
        position: number of the row in the caller's frame.
    """

    country: Codes
    partner: Codes
    quantity: Floats
    position: Codes


@dataclass(frozen=True)
class StageNetwork:
    """One stage of one batch."""

    stage: str
    production: Rows
    secondary: Rows
    flows: Rows

    @property
    def tables(self) -> tuple[Rows, Rows, Rows]:
        """The three tables, in the order of ``Grid.tables``."""
        return self.production, self.secondary, self.flows


@dataclass(frozen=True)
class Batch:
    """The chain of one material and year, over the countries that occur in it.

    Attributes:
        key: row of ``Grid.keys``.
        countries: position in ``Grid.countries`` of each country code of the batch, ascending.
        stages: the stages with any tonnes recorded, in order; the first one is the origin.
    """

    key: int
    countries: Codes
    stages: tuple[StageNetwork, ...]

    @property
    def size(self) -> int:
        """Number of countries."""
        return len(self.countries)


@dataclass(frozen=True)
class Table:
    """One of the caller's frames, indexed: its rows by batch, stage, country and partner.

    Attributes:
        rows: all rows; country codes are positions in ``Grid.countries``.
        bounds: where each (batch, stage) begins; one element more than there are.
    """

    rows: Rows
    bounds: Codes

    def part(self, first: int, last: int) -> Rows:
        """Rows of the (batch, stage) places from ``first`` to before ``last``."""
        here = slice(self.bounds[first], self.bounds[last])
        rows = self.rows
        return Rows(rows.country[here], rows.partner[here], rows.quantity[here], rows.position[here])


@dataclass(frozen=True)
class Grid:
    """All batches of one call, indexed.

    Attributes:
        stages: stage order.
        countries: names, sorted.
        keys: one row per batch; its columns are those of ``BATCH_KEYS`` that the frames carry.
        tables: production, secondary and flows.
    """

    stages: tuple[str, ...]
    countries: pl.Series
    keys: pl.DataFrame
    tables: tuple[Table, Table, Table]

    def batches(self) -> Iterator[Batch]:
        """One batch per row of ``keys``, in order."""
        for key in range(max(self.keys.height, 1)):
            yield self._batch(key)

    def _batch(self, key: int) -> Batch:
        first = key * len(self.stages)
        occurs = np.zeros(len(self.countries), dtype=bool)
        for table in self.tables:
            rows = table.part(first, first + len(self.stages))
            occurs[rows.country] = True
            occurs[rows.partner] = True
        local = np.cumsum(occurs) - 1
        networks = []
        for place, stage in enumerate(self.stages, start=first):
            production, secondary, flows = (_recoded(table.part(place, place + 1), local) for table in self.tables)
            if any(rows.quantity.any() for rows in (production, secondary, flows)):
                networks.append(StageNetwork(stage, production, secondary, flows))
        return Batch(key, np.flatnonzero(occurs), tuple(networks))


def read(
    production: pl.DataFrame,
    flows: pl.DataFrame,
    stages: Sequence[str] | None,
    secondary: pl.DataFrame | None,
) -> Grid:
    """Validate the frames and index them.

    Args:
        production: ``stage, country, quantity_t``; one row per key.
        flows: ``stage, exporter, importer, quantity_t``; one row per key. A country's flow to
            itself is no supplier and is left out.
        stages: stage order; ``STAGES`` where not given.
        secondary: like production: recycled supply and drawdown of stocks.

    Returns:
        The grid. ``material`` and ``year`` are batch keys where the frames carry them.

    Raises:
        InvalidNetwork: a column is missing; a value is null, negative or not finite; a stage is
            unknown; a key repeats; a country bears a reserved name; batch keys differ.
    """
    order = STAGES if stages is None else tuple(stages)
    if len(set(order)) < len(order) or not order:
        raise InvalidNetwork(f"stages: {list(order)} must name each stage once.")
    keys = _batch_keys(production, flows)
    frames = {
        "production": check(production, "production", ("country",), keys, order),
        "secondary": check(
            production.clear() if secondary is None else secondary, "secondary", ("country",), keys, order
        ),
        "flows": check(flows, "flows", ("exporter", "importer"), keys, order),
    }
    frames = _same_keys(frames, keys) if keys else frames
    batches = (
        pl.concat([frame.select(keys) for frame in frames.values()]).unique().sort(keys) if keys else pl.DataFrame()
    )
    named = [frame[name] for frame in frames.values() for name in frame.columns if name in COUNTRY_COLUMNS]
    countries = pl.concat([column.unique().rename("country") for column in named]).unique().sort()
    made, recycled, moved = (_indexed(frame, label, order, countries, batches) for label, frame in frames.items())
    return Grid(order, countries, batches, (made, recycled, moved))


def check(
    frame: pl.DataFrame, label: str, countries: tuple[str, ...], keys: Sequence[str], stages: tuple[str, ...]
) -> pl.DataFrame:
    """Hold one frame to its contract.

    Args:
        frame: the caller's frame; columns beyond the contract are ignored.
        label: its name in messages.
        countries: its country columns.
        keys: batch keys it must carry.
        stages: known stages.

    Returns:
        Columns ``keys, stage, *countries, quantity_t``, same rows in the same order.

    Raises:
        InvalidNetwork: see ``read``; repeated keys are found later.
    """
    texts = ("stage", *countries)
    columns = [*keys, *texts, "quantity_t"]
    if missing := [name for name in columns if name not in frame.columns]:
        raise InvalidNetwork(f"{label}: columns {missing} are missing; there are {frame.columns}.")
    kind = frame.schema["quantity_t"]
    if not (kind.is_numeric() or kind == pl.Null()):
        raise InvalidNetwork(f"{label}: quantity_t is {kind}, expected a number of tonnes.")
    tidy = frame.select(*keys, *(pl.col(name).cast(pl.String) for name in texts), pl.col("quantity_t").cast(pl.Float64))
    tonnes = pl.col("quantity_t")
    for name in columns:
        refuse(tidy, label, pl.col(name).is_null(), f"{name} is null")
    refuse(tidy, label, ~tonnes.is_finite(), "quantity_t is not a finite number")
    refuse(tidy, label, tonnes < 0, "quantity_t is negative")
    refuse(tidy, label, ~pl.col("stage").is_in(stages), f"unknown stage, known are {list(stages)}")
    for name in countries:
        refuse(tidy, label, pl.col(name).is_in([SECONDARY, UNEXPLAINED]), f"{name} bears a reserved name")
    return tidy


def refuse(frame: pl.DataFrame, label: str, bad: pl.Expr, reason: str) -> None:
    """Raise ``InvalidNetwork`` with the first row that meets ``bad``, if there is one."""
    rows = frame.filter(bad)
    if rows.height:
        raise InvalidNetwork(f"{label}: {reason} in {rows.height} row(s), first {rows.row(0, named=True)}.")


def _batch_keys(production: pl.DataFrame, flows: pl.DataFrame) -> list[str]:
    carried = [[name for name in BATCH_KEYS if name in frame.columns] for frame in (production, flows)]
    if carried[0] != carried[1]:
        raise InvalidNetwork(
            f"production carries the batch keys {carried[0]} and flows {carried[1]}; both must carry the same."
        )
    return carried[0]


def _same_keys(frames: dict[str, pl.DataFrame], keys: Sequence[str]) -> dict[str, pl.DataFrame]:
    """The frames with batch keys of one type each, that of the first frame which has one."""
    kinds = {}
    for name in keys:
        found = [frame.schema[name] for frame in frames.values()]
        kinds[name] = next((kind for kind in found if kind != pl.Null()), pl.String())
    try:
        casts = [pl.col(name).cast(kind) for name, kind in kinds.items()]
        return {label: frame.with_columns(casts) for label, frame in frames.items()}
    except pl.exceptions.PolarsError as error:
        raise InvalidNetwork(f"batch keys {list(keys)} are not of one type in all frames: {error}") from error


def _indexed(
    frame: pl.DataFrame, label: str, stages: tuple[str, ...], countries: pl.Series, keys: pl.DataFrame
) -> Table:
    """One checked frame in codes, sorted by key."""
    ends = ("exporter", "importer") if "importer" in frame.columns else ("country", "country")
    country, partner = (_codes(frame[name], countries) for name in ends)
    place = _batch_codes(frame, keys) * len(stages) + _codes(frame["stage"], pl.Series(stages))
    code = (place * len(countries) + country) * len(countries) + partner
    order = np.argsort(code, kind="stable")
    repeats = np.flatnonzero(np.diff(code[order]) == 0)
    if len(repeats):
        row = frame.row(int(order[repeats[0] + 1]), named=True)
        raise InvalidNetwork(f"{label}: the key repeats in {len(repeats)} row(s), first {row}.")
    if "importer" in frame.columns:
        order = order[country[order] != partner[order]]
    quantity = frame["quantity_t"].to_numpy()[order]
    bounds = np.searchsorted(place[order], np.arange(max(keys.height, 1) * len(stages) + 1))
    return Table(Rows(country[order], partner[order], quantity, order), bounds)


def _codes(values: pl.Series, names: pl.Series) -> Codes:
    return values.cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy()


def _batch_codes(frame: pl.DataFrame, keys: pl.DataFrame) -> Codes:
    if not keys.width:
        return np.zeros(frame.height, dtype=np.int64)
    joined = frame.select(keys.columns).join(
        keys.with_row_index("batch"), on=keys.columns, how="left", maintain_order="left"
    )
    return joined["batch"].cast(pl.Int64).to_numpy()


def _recoded(rows: Rows, local: Codes) -> Rows:
    return Rows(local[rows.country], local[rows.partner], rows.quantity, rows.position)
