"""British Geological Survey (BGS), World Mineral Statistics: production by country and year.

What belongs here: the publisher's features (or its csv exports of the same) to one row per printed
figure. What does not: which commodity is which material and stage (``reference/bgs_map.csv``), and
country names; the publisher's own country codes are not used, because they give one code to both Congos.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ingest.errors import SourceChanged
from ingest.mapping import one_of
from ingest.sources.base import Source, files

S = pl.String()
TABLE = "raw_bgs__production"

PROPERTIES = frozenset(
    {
        *("bgs_commodity_code", "bgs_commodity_trans", "bgs_statistic_type_trans", "bgs_sub_commodity_trans"),
        *("cgi_commodity_url", "concat_figure_notes_code", "concat_figure_notes_text", "concat_table_notes_code"),
        *("concat_table_notes_text", "country_iso2_code", "country_iso3_code", "country_trans"),
        *("data_precision_description", "erml_commodity", "erml_group", "erml_sub_commodity"),
        *("pole_of_inaccessibility_latitude", "pole_of_inaccessibility_longitude", "quantity"),
        *("quantity_in_book_style", "sdmx_code", "sdmx_translation", "units", "year", "yearbook_table_id"),
        *("yearbook_table_trans",),
    }
)
"""What every feature holds; another set means that the publisher changed its table."""

# The csv exports give the point of a feature as two columns more.
_POINT = {"x", "y"}
_COLUMNS = {
    "commodity": "bgs_commodity_trans",
    "sub_commodity": "bgs_sub_commodity_trans",
    "country": "country_trans",
    "year": "year",
    "quantity": "quantity",
    "printed": "quantity_in_book_style",
    "unit_printed": "units",
    "status": "sdmx_code",
    "figure_notes": "concat_figure_notes_text",
    "table_notes": "concat_table_notes_text",
}
# A figure, not significant (above zero, below half a unit), or not available.
_STATUS = ("A", "N", "O")
_KEY = ["commodity", "sub_commodity", "country", "year"]


def properties_of(feature: Any, where: str) -> Mapping[str, Any]:
    """Return the properties of a feature, held to the known ones.

    Raises:
        SourceChanged: another shape, or a property that is new or missing, by name.
    """
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(properties, dict):
        raise SourceChanged(f"{where}: expected features with properties, found {feature!r:.80}.")
    hold_to_known(set(properties), where)
    return properties


def hold_to_known(names: set[str], where: str) -> None:
    """Raise SourceChanged with the names of properties that are new or missing."""
    new, missing = sorted(names - PROPERTIES), sorted(PROPERTIES - names)
    if new or missing:
        raise SourceChanged(f"{where}: new properties {new}, missing properties {missing}; its reader must learn them.")


def read(folder: Path, vintage: str) -> dict[str, pl.DataFrame]:
    """Read the production statistics.

    Args:
        folder: raw vintage with the pages of the interface (``features-*.json``), or with csv exports.
        vintage: edition, the newest statistics year.

    Returns:
        ``raw_bgs__production``: one row per figure; ``printed`` is the token in the yearbook's style
        (``-----`` nil, ``...`` not available), ``quantity`` the same as a number in ``unit_printed``,
        null where not available; notes of a figure or table are joined by ``|``.

    Raises:
        SourceChanged: properties, statistics or tokens differ, or a figure occurs twice.
    """
    pages = files(folder, "features-*.json", at_least=0)
    raw = pl.concat(
        [_features(path) for path in pages] if pages else [_export(path) for path in files(folder, "*.csv")]
    )
    one_of("bgs_statistic_type_trans", ("Production",), raw, f"bgs {vintage}")
    one_of("sdmx_code", _STATUS, raw, f"bgs {vintage}")
    frame = raw.select(pl.col(column).alias(name) for name, column in _COLUMNS.items())
    frame = frame.with_columns(_figures(frame, f"bgs {vintage}"))
    if (odd := frame.filter(pl.col("quantity").is_null() != (pl.col("status") == "O"))).height:
        raise SourceChanged(
            f"bgs {vintage}: a figure is missing without being marked so, or the reverse: {odd.row(0)}."
        )
    if (twice := frame.filter(pl.struct(_KEY).is_duplicated())).height:
        raise SourceChanged(f"bgs {vintage}: a figure occurs twice: {twice.select(_KEY).row(0)}.")
    return {TABLE: frame.sort(_KEY)}


def _figures(frame: pl.DataFrame, where: str) -> list[pl.Series]:
    """Read year and quantity, both printed as text.

    Raises:
        SourceChanged: no year, or a quantity that is no finite number.
    """
    years = frame["year"].str.extract(r"^([0-9]{4})").cast(pl.Int32)
    quantities = frame["quantity"].cast(pl.Float64, strict=False)
    odd = years.is_null() | (frame["quantity"].is_not_null() & ~quantities.is_finite().fill_null(False))
    if (found := frame.filter(odd)).height:
        shown = found.select(*_KEY, "quantity").row(0, named=True)
        raise SourceChanged(f"{where}: a year or quantity is no number, in {found.height} rows, first {shown}.")
    return [years, quantities]


def _features(path: Path) -> pl.DataFrame:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SourceChanged(f"{path.name}: not JSON ({error}).") from None
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list):
        raise SourceChanged(f"{path.name}: no collection of features, found {content!r:.80}.")
    rows = [properties_of(feature, path.name) for feature in features]
    texts = [
        {name: None if (value := row[name]) is None else str(value) for name in sorted(PROPERTIES)} for row in rows
    ]
    try:
        frame = pl.DataFrame(texts, schema=dict.fromkeys(sorted(PROPERTIES), S))
    except UnicodeError as error:
        raise SourceChanged(f"{path.name}: a property that is no text ({error}).") from None
    return frame.with_columns(pl.col(pl.String).replace("", None))


def _export(path: Path) -> pl.DataFrame:
    frame = pl.read_csv(path, infer_schema=False, null_values=[""])
    hold_to_known(set(frame.columns) - _POINT, path.name)
    return frame.select(sorted(PROPERTIES))


SOURCE = Source(
    name="bgs",
    publisher="British Geological Survey",
    title="World Mineral Statistics, production",
    licence="(c) UKRI, terms unconfirmed",
    licence_url="https://www.bgs.ac.uk/bgs-intellectual-property-rights/",
    homepage="https://ogcapi.bgs.ac.uk/collections/world-mineral-statistics",
    citation="British Geological Survey, World Mineral Statistics, production to {vintage}. (c) UKRI.",
    tables={
        TABLE: {
            "source": S, "vintage": S, "commodity": S, "sub_commodity": S, "country": S, "year": pl.Int32(),
            "quantity": pl.Float64(), "printed": S, "unit_printed": S, "status": S, "figure_notes": S, "table_notes": S,
        }
    },
    read=read,
    keeps="newest",
    in_snapshot=False,
)  # fmt: skip
