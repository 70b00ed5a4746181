"""What scenarios rest on besides canonical tables: parameters, and what a tonne of each stage takes in.

What belongs here: reading ``scenario_parameters.csv`` and ``scenario_recipes.csv`` and holding them to their
rules. What does not: the list of scenarios (``transforms.scenario``), the arithmetic (``tracing.disruption``).
"""

from __future__ import annotations

from functools import cache

import polars as pl

from ingest.chain_inputs import stage_feed
from ingest.errors import BadInput
from ingest.mapping import reference

CONFIDENCE = ("high", "medium", "low")
_LINK = ["material", "stage", "from_stage"]


@cache
def parameters() -> dict[str, float]:
    """Return the parameters by name.

    Raises:
        BadInput: a value that is no number, or an unknown grade of confidence.
    """
    return dict(numbers("scenario_parameters.csv", "value").select("parameter", "value").iter_rows())


@cache
def links() -> pl.DataFrame:
    """Return what feeds each stage: ``material, stage, from_stage, rank, recipe`` (tonnes in per tonne out).

    Raises:
        BadInput: a link without a recipe, or a recipe below one (contained tonnes do not come from nothing).
    """
    fed = stage_feed().drop_nulls("from_stage")
    recipes = numbers("scenario_recipes.csv", "recipe")
    rows = fed.join(recipes.select(*_LINK, "recipe"), on=_LINK, how="left", validate="1:1")
    if (odd := rows.filter(~(pl.col("recipe") >= 1).fill_null(value=False))).height:
        raise BadInput(
            f"ingest/reference/scenario_recipes.csv: {odd.select(_LINK).row(0)} has the recipe {odd['recipe'][0]}. "
            "Expected a row for every link of stage_feed.csv with at least 1 tonne in per tonne out."
        )
    return rows


def numbers(file: str, column: str) -> pl.DataFrame:
    """Read a reference file with one column of numbers and its ``confidence``.

    Raises:
        BadInput: no number, or an unknown grade of confidence; names the file and the row.
    """
    text = reference(file)
    rows = text.with_columns(pl.col(column).cast(pl.Float64, strict=False))
    bad = pl.col(column).is_null() | ~pl.col("confidence").is_in(CONFIDENCE).fill_null(value=False)
    if len(found := rows.with_row_index("line", offset=2).filter(bad)):
        line = found["line"][0]
        raise BadInput(
            f"ingest/reference/{file}, line {line}: {column} {text[column][line - 2]!r}, confidence "
            f"{text['confidence'][line - 2]!r}. Expected a number and one of {', '.join(CONFIDENCE)}."
        )
    return rows
