"""What Dagster knows of each table after a run: rows, columns, key, file, pictures and the lineage of every column."""

from __future__ import annotations

import base64
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest
from dagster_dbt.core.dbt_cli_event import EventHistoryMetadata, _build_column_lineage_metadata

from ingest.home import Home
from ingest.tables import table_bytes
from orchestration import dbt

pytestmark = pytest.mark.xdist_group("pipeline")

Run = tuple[Path, subprocess.CompletedProcess[str]]
Shown = Mapping[str, Mapping[str, Any]]
MODEL_LAYERS = ("staging", "intermediate", "marts")
# Followed by hand through the SQL: column of a mart, and every column of a canonical or traced table it is made of.
ORIGINS = {
    "marts/mart_stage_output.production_t": {
        "canonical/production.quantity_t",
        "canonical/supply_share.quantity_t",
        "canonical/stage_production.quantity_t",
    },
    "marts/mart_supplier_exposure.processed_in_share": {"traced/exposure.processed_in_share"},
    "marts/mart_supplier_exposure.hidden_share": {"traced/exposure.hidden_share"},
    "marts/mart_coverage.chain_status": {"traced/coverage.status"},
    "marts/mart_exposure_via.share": {"traced/via.share"},
    "marts/mart_dependence_by_stage.nir_token": {"canonical/us_salient.token"},
    # The largest of a market: what ranks the countries enters its value.
    "marts/mart_dependence_by_stage.top_processor_share": {
        f"traced/exposure.{name}" for name in ("importer", "material", "stage", "year", "country", "processed_in_share")
    },
}
PICTURES = {
    "marts/mart_coverage": ["coverage by evidence"],
    "marts/mart_supplier_exposure": ["face value against traced", "stage by stage"],
    "marts/mart_dependence_by_stage": ["lead processors"],
    "marts/mart_criticality": ["risk and importance"],
}


APART = ("vintage", "ensemble")
"""Made by jobs of their own, a partition at a time."""


@pytest.fixture(scope="module")
def shown(first_run: Run) -> Iterator[dict[str, dict[str, Any]]]:
    """Metadata of the last materialization of each table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORETRACE_HOME", str(first_run[0]))
        from orchestration.definitions import defs

    keys = [key for key in defs.resolve_all_asset_keys() if key.path[0] not in APART]
    with dg.DagsterInstance.from_config(str(first_run[0] / "dagster")) as instance:
        events = {key: instance.get_latest_materialization_event(key) for key in keys}
    missing = [key.to_user_string() for key, event in events.items() if event is None]
    assert not missing
    yield {
        key.to_user_string(): {name: value.value for name, value in event.asset_materialization.metadata.items()}
        for key, event in events.items()
        if event is not None and event.asset_materialization is not None
    }


def test_every_table_shows_rows_columns_a_preview_and_what_it_is_made_from(shown: Shown) -> None:
    for key, metadata in shown.items():
        layer = key.partition("/")[0]
        if layer == "published":
            assert Path(metadata["dagster/uri"].removeprefix("file://")).is_file()
            continue
        assert metadata["dagster/row_count"] >= 0, key
        assert metadata["dagster/column_schema"].columns, key
        assert metadata["preview"].startswith("| "), key
        if layer in MODEL_LAYERS:
            assert metadata["dagster/column_lineage"].deps_by_column, key
            assert metadata["Execution Duration"] > 0, key
        else:
            file = Path(metadata["dagster/uri"].removeprefix("file://"))
            assert table_bytes(file) == metadata["bytes"], key
            assert pl.scan_parquet(file).select(pl.len()).collect().item() == metadata["dagster/row_count"], key


def test_marts_show_their_key_and_their_editions(shown: Shown, first_run: Run) -> None:
    with duckdb.connect(str(first_run[0] / "warehouse" / "oretrace.duckdb"), read_only=True) as db:
        for key, metadata in shown.items():
            layer, _, table = key.partition("/")
            if layer != "marts" or "key" not in metadata:
                continue
            rows, distinct = db.execute(f"select count(*), count(distinct ({metadata['key']})) from {table}").fetchone()
            assert rows == distinct == metadata["dagster/row_count"], key
    assert sum("key" in metadata for metadata in shown.values()) > 40
    assert shown["marts/mart_revisions"]["vintages"]["usgs_mcs"] == ["2023", "2024", "2025", "2026"]


def test_lineage_names_only_columns_that_are_there(shown: Shown) -> None:
    columns = {
        key: {column.name for column in metadata["dagster/column_schema"].columns}
        for key, metadata in shown.items()
        if "dagster/column_schema" in metadata
    }
    for key in (key for key in shown if key.partition("/")[0] in MODEL_LAYERS):
        found = shown[key]["dagster/column_lineage"].deps_by_column
        assert found.keys() == columns[key], key
        for column, origins in found.items():
            for origin in origins:
                assert origin.column_name in columns[origin.asset_key.to_user_string()], (key, column, origin)
    empty = [(k, c) for k in shown for c, o in lineage(shown, k).items() if not o]
    # A constant, and a count of rows.
    assert empty and len(empty) < 6, empty


@pytest.mark.parametrize("column", ORIGINS)
def test_a_mart_column_leads_back_to_its_canonical_columns(column: str, shown: Shown) -> None:
    table, name = column.split(".")
    ends, seen, open_ends = set(), set(), [(table, name)]
    while open_ends:
        here = open_ends.pop()
        if here in seen:
            continue
        seen.add(here)
        if here[0].partition("/")[0] not in MODEL_LAYERS:
            ends.add(".".join(here))
            continue
        for origin in lineage(shown, here[0])[here[1]]:
            open_ends.append((origin.asset_key.to_user_string(), origin.column_name))
    assert ends == ORIGINS[column]


def test_lineage_is_that_of_dagster_dbt_itself(shown: Shown, first_run: Run) -> None:
    from orchestration.assets.models import Translator

    home = Home(first_run[0])
    manifest = dbt.load_manifest(home)
    translator = Translator()
    kinds = {
        key: {column.name: {"data_type": column.type} for column in metadata["dagster/column_schema"].columns}
        for key, metadata in shown.items()
        if "dagster/column_schema" in metadata
    }
    for name in ("int_traced__markets", "int_import__shares", "mart_supplier_exposure", "mart_stage_output"):
        node = next(node for node in manifest["nodes"].values() if node["name"] == name)
        parents = [manifest["nodes"][parent] for parent in node["depends_on"]["nodes"]]
        asked = EventHistoryMetadata(
            columns=kinds[translator.get_asset_key(node).to_user_string()],
            parents={p["relation_name"]: kinds[translator.get_asset_key(p).to_user_string()] for p in parents},
        )
        theirs = _build_column_lineage_metadata(asked, node, manifest, translator, dbt.target(home), None)
        ours = lineage(shown, translator.get_asset_key(node).to_user_string())
        assert {column: set(origins) for column, origins in ours.items()} == {
            column: set(origins) for column, origins in theirs["dagster/column_lineage"].deps_by_column.items()
        }, name


def test_pictures_are_whole_small_and_say_what_they_show(shown: Shown) -> None:
    assert {key: names for key in PICTURES if (names := [n for n in PICTURES[key] if n in shown[key]])} == PICTURES
    for key, names in PICTURES.items():
        for name in names:
            head, _, data = shown[key][name].partition("base64,")
            svg = base64.b64decode(data.removesuffix(")")).decode()
            assert head == f"![{name}](data:image/svg+xml;"
            assert len(data) < 100_000
            text = " ".join(ElementTree.fromstring(svg).itertext())  # noqa: S314  # our own
            assert "2024" in text and ("Editions: " in text or "Sources: " in text), (key, name)
            assert "NaN" not in svg and "null" not in text, (key, name)


def lineage(shown: Shown, key: str) -> Mapping[str, Any]:
    """Column to its origins; none for a table that is no model."""
    empty = SimpleNamespace(deps_by_column={})
    return shown[key].get("dagster/column_lineage", empty).deps_by_column
