"""Canonical ``us_salient``: what the US salient statistics print, in one vocabulary across editions.

What belongs here: joining labels to their meaning (``reference/mcs_salient_map.csv``), reading the
printed tokens, and units. What does not: what follows from the figures (``nir_identity``).
"""

from __future__ import annotations

import re

import polars as pl

from ingest.errors import UnmappedValue
from ingest.mapping import reference, split_dropped
from ingest.schemas import conform
from ingest.sources.usgs_mcs_salient import MISFILED, TABLE
from ingest.tokens import Figure, read_figure
from ingest.transforms.base import DROPPED_SCHEMA, Frames, Transform

_MAP = "mcs_salient_map.csv"
_ANY = "*"
_LABEL = ["commodity", "label"]
_HALF_UNIT = re.compile(r"^less than (?:½|1/2|a half|one-half) unit\.?$", re.IGNORECASE)
_LESS_THAN = re.compile(r"^less than ([\d,]+) (tons|carats)\.?$", re.IGNORECASE)
# "Less than 50,000 tons" counts whole tons or carats, whatever the column's unit is.
_TONNES = {"tons": 1.0, "carats": 2e-7}
_FIGURE = pl.Struct(
    {"value": pl.Float64, "value_low": pl.Float64, "value_high": pl.Float64, "token": pl.String, "marked": pl.Boolean}
)


def _mapped(salient: pl.DataFrame) -> pl.DataFrame:
    """Add the meaning of each label; a row for one edition goes before a row for any (``*``).

    Raises:
        UnmappedValue: a label without a row.
    """
    meanings = reference(_MAP).drop("source").with_columns(pl.col("factor").cast(pl.Float64))
    own = meanings.filter(pl.col("vintage") != _ANY)
    general = meanings.filter(pl.col("vintage") == _ANY).drop("vintage")
    by_edition = salient.join(own, on=["vintage", *_LABEL], how="inner", validate="m:1")
    others = salient.join(own, on=["vintage", *_LABEL], how="anti")
    lost = others.join(general, on=_LABEL, how="anti").select("vintage", *_LABEL).unique(maintain_order=True)
    if lost.height:
        raise UnmappedValue("MCS salient label (edition, commodity, label)", [str(row) for row in lost.rows()], _MAP)
    return pl.concat([by_edition, others.join(general, on=_LABEL, how="inner", validate="m:1")], how="diagonal")


def read_token(printed: str, unit: str | None, factor: float, where: str) -> Figure:
    """Read one printed cell in the canonical unit.

    Args:
        printed: the cell.
        unit: canonical unit; ``percent`` cannot exceed 100.
        factor: canonical units per printed unit.
        where: label and year, for the error.

    Returns:
        Value and bounds in canonical units, with the token as printed.

    Raises:
        SourceChanged: a token of no known form.
    """
    if match := _LESS_THAN.match(printed):
        return Figure(None, 0.0, float(match[1].replace(",", "")) * _TONNES[match[2].lower()], printed)
    plain = "s" if _HALF_UNIT.match(printed) else printed.replace("−", "-")
    figure = read_figure(plain, ceiling=100.0 if unit == "percent" else None, where=where)

    def scaled(number: float | None) -> float | None:
        return None if number is None else number * factor

    return Figure(scaled(figure.value), scaled(figure.low), scaled(figure.high), printed, figure.estimated)


def _figures(mapped: pl.DataFrame) -> pl.DataFrame:
    """Replace ``printed`` by ``value, value_low, value_high, token, marked``."""
    cells = []
    for row in mapped.select("printed", "unit", "factor", "vintage", *_LABEL, "year").iter_rows(named=True):
        where = f"MCS {row['vintage']}, {row['commodity']}, {row['label']}, {row['year']}"
        figure = read_token(row["printed"], row["unit"], row["factor"], where)
        cells.append((figure.value, figure.low, figure.high, figure.token, figure.estimated))
    figures = pl.DataFrame(cells, schema=_FIGURE.to_schema(), orient="row")
    return pl.concat([mapped.drop("printed"), figures], how="horizontal")


def _misfiled(vintages: list[str]) -> pl.DataFrame:
    """Count the rows of files that hold another table under the name of a salient one."""
    noted = reference(MISFILED).filter(pl.col("vintage").is_in(vintages))
    return noted.select(
        table=pl.lit("us_salient"),
        source=pl.lit("usgs_mcs"),
        vintage="vintage",
        reason=pl.format("{}: {}", "file", "reason"),
        rows=pl.col("rows").cast(pl.Int32),
    ).select(list(DROPPED_SCHEMA))


def build(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make ``us_salient`` from the printed figures.

    Args:
        frames: has ``raw_usgs_mcs__salient``.

    Returns:
        The canonical table and the rows dropped on purpose. The newest year of an edition and
        figures marked as estimates are ``estimated``, all others ``reported``.

    Raises:
        UnmappedValue: a label without a meaning.
        SourceChanged: a token of no known form.
    """
    salient = frames[TABLE]
    out_of_scope = pl.when(pl.col("in_scope") == "false").then(pl.col("reason"))
    mapped = _mapped(salient).with_columns(drop_reason=out_of_scope).drop("reason")
    kept, dropped = split_dropped(mapped, "us_salient")
    newest = pl.col("year") == pl.col("year").max().over("vintage")
    estimated = newest | pl.col("estimated") | pl.col("marked")
    table = _figures(kept).select(
        "material",
        "stage",
        "statistic",
        "detail",
        "year",
        "value",
        "value_low",
        "value_high",
        "token",
        "unit",
        "basis",
        "source",
        "vintage",
        commodity="chapter",
        evidence=pl.when(estimated).then(pl.lit("estimated")).otherwise(pl.lit("reported")),
    )
    return conform(table, "us_salient"), pl.concat([dropped, _misfiled(salient["vintage"].unique().to_list())])


TRANSFORM = Transform(
    table="us_salient",
    inputs=(TABLE,),
    build=build,
    description=(
        "US salient statistics as printed in each edition of the USGS Mineral Commodity Summaries, quantities in "
        "tonnes, percentages with their bounds; one vocabulary of statistic and detail across editions (methods, "
        "sections 2 and 4)."
    ),
)
