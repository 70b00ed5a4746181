"""What Dagster shows of a build: rows, key, editions and column lineage of each model, failing rows of each test.

What belongs here: turning what dbt built into metadata, by the ``unique_id`` of a node. What does not: building it
(``dbt``), reading lineage (``lineage``), drawing (``plots``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from sqlglot.errors import SqlglotError

from ingest.home import Home
from orchestration import dbt
from orchestration.assets.metadata import preview, rows_table, vintages
from orchestration.assets.pictures import pictures
from orchestration.engines import Engine, Relation
from orchestration.failing import FailingRows, keys
from orchestration.lineage import Parent, as_markdown, column_lineage, leads_back

Metadata = dict[str, Any]
KeyOf = Callable[[Mapping[str, Any]], dg.AssetKey]


def of_build(
    home: Home,
    engine: Engine,
    manifest: Mapping[str, Any],
    built: dbt.Built,
    key_of: KeyOf,
    warn: Callable[[str], None],
) -> dict[str, Metadata]:
    """Return the metadata of every model that was built and every test that failed, by ``unique_id``.

    Args:
        home: where the candidate and the compiled SQL are.
        engine: what it was built on.
        manifest: dbt's manifest.
        built: outcome of the build.
        key_of: gives the asset key of a model or source.
        warn: told of a lineage that cannot be read and of a picture that cannot be drawn; the build goes on without.
    """
    found: dict[str, Metadata] = {test: _of_test(rows) for test, rows in built.failing.items()}
    lineages: dict[str, dg.TableColumnLineage] = {}
    key_columns = keys(manifest["nodes"].values())
    with engine.open(home) as candidate:
        drawn = pictures(candidate, warn)
        for node in manifest["nodes"].values():
            relation = built.relations.get(node["name"])
            if node["resource_type"] != "model" or relation is None:
                continue
            shown = _of_model(relation, key_columns.get(node["unique_id"]))
            if node["fqn"][1] == "marts" and {"source", "vintage"} <= relation.columns.keys():
                pairs = candidate.execute(f'select distinct source, vintage from "{node["name"]}"').pl()
                shown["vintages"] = vintages(pairs.drop_nulls().lazy())
            try:
                lineages[node["unique_id"]] = _lineage(home, manifest, node, built.relations, key_of)
            except (OSError, SqlglotError) as error:
                warn(f"{node['name']}: its column lineage cannot be read, and is not shown. {error}")
            found[node["unique_id"]] = {**drawn.get(node["name"], {}), **shown}
    ends = leads_back({key_of(manifest["nodes"][model]): lineage for model, lineage in lineages.items()})
    for model, lineage in lineages.items():
        text = as_markdown(lineage, ends[key_of(manifest["nodes"][model])])
        found[model] |= {"columns made of": dg.MetadataValue.md(text), "dagster/column_lineage": lineage}
    return found


def _of_model(relation: Relation, key: list[str] | None) -> Metadata:
    return {
        "dagster/row_count": dg.MetadataValue.int(relation.rows),
        "preview": dg.MetadataValue.md(preview(list(relation.columns), relation.head)),
        **({"key": ", ".join(key)} if key else {}),
    }


def _of_test(failing: FailingRows) -> Metadata:
    return {
        "rows_failing": dg.MetadataValue.int(failing.count),
        f"failing rows ({len(failing.rows)} of {failing.count:,})": rows_table(failing.columns, failing.rows),
    }


def _lineage(
    home: Home,
    manifest: Mapping[str, Any],
    node: Mapping[str, Any],
    relations: Mapping[str, Relation],
    key_of: KeyOf,
) -> dg.TableColumnLineage:
    """Return the column lineage of a model from the SQL that this build compiled."""
    compiled = dbt.target(home) / "compiled" / node["package_name"] / node["original_file_path"]
    parents = {}
    for parent in node["depends_on"]["nodes"]:
        if parent in manifest["sources"]:
            source = manifest["sources"][parent]
            # Sources are files, or folders of yearly ones; the folder may have moved since the manifest was written.
            named = Path(source["relation_name"].strip("'"))
            file, place = named.name, home.canonical / (named.parent if named.stem == "*" else named).name
            # Which columns there are decides the lineage, not their types.
            columns = dict.fromkeys(pl.scan_parquet(place).collect_schema(), "varchar")
            parents[file] = Parent(key_of(source), columns)
        else:
            model = manifest["nodes"][parent]
            parents[model["name"]] = Parent(key_of(model), relations[model["name"]].columns)
    return column_lineage(compiled.read_text(), parents)
