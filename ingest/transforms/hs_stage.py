"""Reference tables of what a commodity code holds: material, stage, content and share.

What belongs here: reading ``reference/hs_stage.csv`` and ``hs_stage_overrides.csv`` and holding
them to their rules. What does not: applying them to trade (``stage_flow.py``).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl

from ingest.errors import OretraceError
from ingest.home import REFERENCE
from ingest.schemas import EVIDENCE

_NUMBERS = (
    "content_factor",
    "factor_low",
    "factor_high",
    "basket_share",
    "basket_share_low",
    "basket_share_high",
    "unit_value_usd_kg",
)
ANY = "*"


def _read(path: Path, extra: dict[str, pl.DataType]) -> pl.DataFrame:
    types: dict[str, pl.DataType] = {"hs_code": pl.String(), "price_year": pl.Int32(), **extra}
    types |= {name: pl.Float64() for name in _NUMBERS}
    return pl.read_csv(path, schema_overrides=types, null_values=[""])


def _refuse(table: pl.DataFrame, bad: pl.Expr, what: str, file: str) -> None:
    if (rows := table.filter(bad)).height:
        raise OretraceError(f"ingest/reference/{file}: {what}, first {rows.row(0, named=True)}.")


def _hold(table: pl.DataFrame, file: str) -> pl.DataFrame:
    """Refuse a table whose numbers are out of order or whose slugs are unknown."""
    materials = pl.read_csv(REFERENCE / "materials.csv", columns=["material"])["material"].to_list()
    stages = pl.read_csv(REFERENCE / "stages.csv", columns=["stage"])["stage"].to_list()
    _refuse(table, ~pl.col("material").is_in(materials), "unknown material", file)
    _refuse(table, ~pl.col("stage").is_in(stages), "unknown stage", file)
    _refuse(table, ~pl.col("evidence").is_in(EVIDENCE), "unknown evidence", file)
    for centre, low, high in (
        ("content_factor", "factor_low", "factor_high"),
        ("basket_share", "basket_share_low", "basket_share_high"),
    ):
        ordered = pl.col(low).is_not_null() & (pl.col(low) <= pl.col(centre)) & (pl.col(centre) <= pl.col(high))
        _refuse(table, pl.col(centre).is_not_null() & ~ordered.fill_null(False), f"{centre} outside its bounds", file)
    _refuse(table, pl.col("basket_share_high") > 1, "a share above 1", file)
    return table


@cache
def stage_map() -> pl.DataFrame:
    """Return the map, one row per (hs_code, material).

    Columns: ``material, stage, hs_code`` (6 digits, or 10 for a national line), ``hs_edition, basis,
    content_factor, factor_low, factor_high`` (tonnes contained per gross tonne), ``basket_share,
    basket_share_low, basket_share_high`` (mass share of the code that is this material; null: not
    documented, left out), ``unit_value_usd_kg, rest_usd_kg, price_year`` (see ``stage_flow``),
    ``confidence, evidence, source``.

    Raises:
        OretraceError: a row breaks the rules; the message shows it.
    """
    table = _hold(_read(REFERENCE / "hs_stage.csv", {"rest_usd_kg": pl.Float64()}), "hs_stage.csv")
    _refuse(table, pl.struct("hs_code", "material").is_duplicated(), "a code and material twice", "hs_stage.csv")
    return table


@cache
def stage_overrides() -> pl.DataFrame:
    """Return the overrides, keyed on (hs_code, reporter, partner, flow, years); ``*`` is any partner.

    The override rows of a flow replace every row the map has for the code.

    Raises:
        OretraceError: a row breaks the rules; the message shows it.
    """
    table = _hold(_read(REFERENCE / "hs_stage_overrides.csv", {}), "hs_stage_overrides.csv").with_columns(
        pl.col("first_year").cast(pl.Int32),
        pl.col("last_year").cast(pl.Int32).fill_null(9999),
    )
    _refuse(table, ~pl.col("flow").is_in(["X", "M"]), "flow is not X or M", "hs_stage_overrides.csv")
    _refuse(
        table,
        pl.struct("hs_code", "reporter", "partner", "flow", "material", "first_year").is_duplicated(),
        "a key twice",
        "hs_stage_overrides.csv",
    )
    return table
