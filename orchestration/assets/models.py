"""dbt layers: staging, intermediate and marts as Dagster assets, dbt tests as asset checks.

What belongs here: keys, groups and metadata of the models. What does not: how dbt is run (``dbt``).
"""

# No `from __future__ import annotations`: Dagster reads the context's annotation as a class.
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtProject,
    dbt_assets,
    get_asset_key_for_model,
)
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from ingest.home import Home
from orchestration import dbt
from orchestration.assets.metadata import OWNERS, code_references
from orchestration.assets.model_metadata import of_build
from orchestration.engines import Relation
from orchestration.resources import Builder

POOL = "warehouse"


class Translator(DagsterDbtTranslator):
    """Keys are ``[layer, table]`` and the group is the layer; sources are the canonical and traced assets."""

    def __init__(self) -> None:
        """Keep dbt tests as asset checks; compiled SQL would repeat the code in the UI."""
        super().__init__(DagsterDbtTranslatorSettings(enable_asset_checks=True))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return ``[layer, table]``; a dbt source is named after the layer that makes it."""
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey([dbt_resource_props["source_name"], dbt_resource_props["name"]])
        return dg.AssetKey([layer_of(dbt_resource_props), dbt_resource_props["name"]])

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """Let a failed dbt test pass on to the gate, which blocks: it hears the tests and says what else is wrong."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec._replace(blocking=False) if spec else None

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return the layer."""
        return layer_of(dbt_resource_props)

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return the model's own description, without its SQL."""
        return str(dbt_resource_props.get("description") or "")

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return columns and file of a model; a mart is named as readers of the published file name it."""
        shown = {**super().get_metadata(dbt_resource_props)}
        if dbt_resource_props["resource_type"] == "model":
            shown |= code_references(dbt.DBT_PROJECT / dbt_resource_props["original_file_path"])
            if layer_of(dbt_resource_props) == "marts":
                shown["dagster/table_name"] = f"oretrace.main.{dbt_resource_props['name']}"
        return shown

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """Return the owners of every table."""
        return OWNERS


def layer_of(properties: Mapping[str, Any]) -> str:
    """Return the folder below ``models/`` that a model lives in."""
    return str(properties["fqn"][1])


def models(manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """Make the one op that builds and tests every dbt model of the manifest into the candidate."""
    translator = Translator()

    @dbt_assets(manifest=manifest, dagster_dbt_translator=translator, name="dbt_build", pool=POOL)
    def dbt_build(context: dg.AssetExecutionContext, builder: Builder) -> Iterator[Any]:
        here = Home.from_environment()
        engine = builder.make()
        built = dbt.build(here, engine)
        asked = context.op_execution_context.selected_output_names
        more = of_build(here, engine, manifest, built, translator.get_asset_key, context.log.warning)
        for event in dbt.json_results(built.events):
            node = manifest["nodes"].get(event["data"]["node_info"]["unique_id"])
            if node is None:
                continue
            message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata=_history(node, built.relations))
            for made in message.to_default_asset_events(
                manifest, translator, context=context, target_path=dbt.target(here)
            ):
                # Everything is built, whichever model was asked for; Dagster refuses what it did not ask for.
                if isinstance(made, dg.Output) and made.output_name not in asked:
                    continue
                yield made.with_metadata({**made.metadata, **more.get(node["unique_id"], {})})
        for line in built.failed_tests:
            context.log.error(f"dbt test failed: {line}")

    return dbt_build


def _history(node: Mapping[str, Any], built: Mapping[str, Relation]) -> dict[str, Any]:
    """Give the event the column types that dagster-dbt otherwise asks of a dbt package from the hub."""
    types = built[node["name"]].columns if node["name"] in built else {}
    notes = node.get("columns", {})
    return {
        "columns": {
            name: {"name": name, "data_type": kind, "description": notes.get(name, {}).get("description", "")}
            for name, kind in types.items()
        }
    }


def mart_keys(assets: dg.AssetsDefinition, manifest: Mapping[str, Any]) -> dict[str, dg.AssetKey]:
    """Return mart name to its asset key, taken from the dbt assets themselves."""
    names = [
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and layer_of(node) == "marts"
    ]
    return {name: get_asset_key_for_model([assets], name) for name in sorted(names)}
