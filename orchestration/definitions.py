"""Everything Dagster sees: assets of all layers, the gate's checks, jobs, schedules, sensors.

What belongs here: putting the parts together. What does not: the parts.
"""

from __future__ import annotations

import dagster as dg

from ingest.home import Home
from ingest.live import default_mode
from orchestration import alerts, dbt
from orchestration.assets import assessed, canonical, covered, disrupted, diversified, raw, traced, vintages
from orchestration.assets.models import mart_keys, models
from orchestration.assets.published import published
from orchestration.checks import gate
from orchestration.executor import guarded_executor
from orchestration.resources import Publishers
from orchestration.schedules import schedules


def build_definitions() -> dg.Definitions:
    """Load assets, checks and jobs; parses the dbt project when it changed."""
    home = Home.from_environment().create()
    dbt_build = models(home)
    marts = mart_keys(dbt_build, dbt.load_manifest(home))
    return dg.Definitions(
        assets=[
            *vintages.assets(),
            *raw.assets(),
            *canonical.assets(),
            *traced.assets(),
            *assessed.assets(),
            *covered.assets(),
            *disrupted.assets(),
            *diversified.assets(),
            dbt_build,
            published(marts.values()),
        ],
        asset_checks=[gate(marts)],
        jobs=[
            dg.define_asset_job(
                "refresh",
                selection=dg.AssetSelection.all() - dg.AssetSelection.groups(vintages.LAYER),
                description="The whole job: read (embedded or live), transform, trace, model, audit, publish.",
            ),
            *vintages.jobs(),
        ],
        schedules=schedules(),
        sensors=alerts.sensors(),
        resources={"publishers": Publishers(mode=default_mode())},
        # One process: start-up of a process per step would triple the run time.
        executor=guarded_executor,
    )


defs = build_definitions()
