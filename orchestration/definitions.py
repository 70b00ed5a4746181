"""Everything Dagster sees: assets of all layers, the gate's checks, jobs, schedules, sensors.

What belongs here: putting the parts together. What does not: the parts.
"""

from __future__ import annotations

import dagster as dg

from ingest.calendar import calendar
from ingest.home import Home
from ingest.live import default_mode
from orchestration import alerts, dbt
from orchestration.assets import assessed, canonical, covered, disrupted, diversified, ensemble, raw, traced, vintages
from orchestration.assets.models import mart_keys, models
from orchestration.assets.published import published
from orchestration.checks import gate
from orchestration.executor import guarded_executor
from orchestration.resources import Publishers, default_builder
from orchestration.schedules import schedules
from orchestration.sensors import sensors


def build_definitions() -> dg.Definitions:
    """Load assets, checks and jobs; parses the dbt project when it changed."""
    home = Home.from_environment().create()
    manifest = dbt.load_manifest(home)
    dbt_build = models(manifest).map_asset_specs(_with_freshness)
    marts = mart_keys(dbt_build, manifest)
    made = [
        *raw.assets(),
        *canonical.assets(),
        *traced.assets(),
        *assessed.assets(),
        *covered.assets(),
        *disrupted.assets(),
        *diversified.assets(),
        dbt_build,
    ]
    return dg.Definitions(
        assets=[*vintages.assets(), *made, *ensemble.assets(), published(marts.values())],
        asset_checks=[gate(marts, frozenset(key for asset in made for key in asset.keys))],
        jobs=[
            dg.define_asset_job(
                "refresh",
                selection=dg.AssetSelection.all() - dg.AssetSelection.groups(vintages.LAYER, ensemble.LAYER),
                description="The whole job: read (embedded or live), transform, trace, model, audit, publish.",
            ),
            *vintages.jobs(),
        ],
        schedules=schedules(),
        sensors=[*sensors(), *alerts.sensors()],
        resources={"publishers": Publishers(mode=default_mode()), "builder": default_builder()},
        # One process: start-up of a process per step would triple the run time.
        executor=guarded_executor,
    )


def _with_freshness(spec: dg.AssetSpec) -> dg.AssetSpec:
    """Give a mart the age at which it is old: that of the publisher that releases most often."""
    if spec.key.path[0] != "marts":
        return spec
    days = min(release.stale_days for release in calendar().values() if release.stale_days)
    return spec.replace_attributes(freshness_policy=vintages.freshness(days))


defs = build_definitions()
