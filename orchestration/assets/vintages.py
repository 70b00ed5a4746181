"""Vintage layer: one asset per publisher that answers over HTTP, partitioned by what it releases.

Materialising a partition fetches that edition and keeps it as an immutable raw vintage when it is new.
What belongs here: partitions, retries and what Dagster shows of a vintage. What does not: how a
publisher is asked (``ingest.fetch``) and when (``orchestration.schedules``).
"""

# No `from __future__ import annotations`: Dagster reads the annotations of context and config as classes.
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from ingest.calendar import Release, calendar
from ingest.clients import clients
from ingest.fetch import Fetched, fetch
from ingest.home import Home
from ingest.sources import sources
from orchestration.assets.metadata import OWNERS
from orchestration.failures import network_retries, permanent_failures

LAYER = "vintage"


class FetchConfig(dg.Config):
    """Settings of a fetch.

    Attributes:
        any_size: accept a vintage far larger or smaller than the last one.
    """

    any_size: bool = False


def vintage_key(source: str) -> dg.AssetKey:
    """Return the asset key of a publisher's vintages."""
    return dg.AssetKey([LAYER, source])


def job_name(source: str) -> str:
    """Return the name of the job that fetches a publisher."""
    return f"fetch_{source}"


def partitions(release: Release) -> dg.PartitionsDefinition[str] | None:
    """Return a publisher's editions as Dagster partitions; None where there is only the newest."""
    if release.partition is None:
        return None
    form, cron = {"year": ("%Y", "0 0 1 1 *"), "month": ("%Y-%m", "0 0 1 * *")}[release.partition]
    return dg.TimeWindowPartitionsDefinition(
        start=str(release.first), fmt=form, cron_schedule=cron, end_offset=release.ahead or 0
    )


def freshness(days: int | None) -> dg.FreshnessPolicy | None:
    """Return the policy of what is old after some days, with a warning in the last tenth; None for no age."""
    if days is None:
        return None
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(days=days), warn_window=timedelta(days=0.9 * days))


def vintage_asset(source: str) -> dg.AssetsDefinition:
    """Make the asset of one publisher's vintages."""
    meta, release = sources()[source], calendar()[source]
    by = {"year": "years", "month": "months"}
    title = f"{meta.title} ({meta.publisher}), the publisher's files, unchanged"

    @dg.asset(
        key=vintage_key(source),
        group_name=LAYER,
        kinds={"http"},
        owners=OWNERS,
        description=f"{title}. {meta.licence}. {release.note}.",
        partitions_def=partitions(release),
        retry_policy=network_retries(),
        freshness_policy=freshness(release.stale_days),
        output_required=False,
        pool=job_name(source),
    )
    def keep_vintage(context: dg.AssetExecutionContext, config: FetchConfig) -> Iterator[dg.MaterializeResult[None]]:
        home = Home.from_environment()
        asked: dict[str, Any] = {}
        if release.partition is not None:
            key = context.partition_key
            asked = {by[release.partition]: [int(key) if release.partition == "year" else key]}
        with permanent_failures():
            done = fetch(home, source, any_size=config.any_size, say=context.log.info, **asked)
        for item in done:
            context.log.info(f"{item.source} {item.edition}: {item.outcome} ({item.note})")
            if item.vintage is not None:
                yield _materialised(item)

    return keep_vintage


def _materialised(item: Fetched) -> dg.MaterializeResult[None]:
    assert item.vintage is not None  # noqa: S101  # the caller asked
    sidecar, content = item.vintage.sidecar, str(item.vintage.sidecar.get("content"))
    return dg.MaterializeResult(
        metadata={
            "edition": item.edition,
            "outcome": item.outcome,
            "vintage": dg.MetadataValue.path(str(item.vintage.folder)),
            "bytes": item.vintage.size,
            # What the publisher counts; the readers' tables are the raw assets.
            "dagster/row_count": int(sidecar.get("rows") or 0),
            "checks": dg.MetadataValue.md("\n".join(f"- {line}" for line in sidecar.get("checks", [])) or "none"),
            "retrieved": str(sidecar["retrieved"]),
            "licence": str(sidecar["licence"]),
            "citation": str(sidecar["citation"]),
            "fingerprint": content,
        },
        data_version=dg.DataVersion(content),
    )


def assets() -> list[dg.AssetsDefinition]:
    """Return the assets of all publishers that answer over HTTP."""
    return [vintage_asset(source) for source in clients()]


def jobs() -> list[UnresolvedAssetJobDefinition]:
    """Return the jobs that fetch: one per publisher, because partitions differ."""
    return [
        dg.define_asset_job(
            job_name(source),
            selection=dg.AssetSelection.assets(vintage_key(source)),
            description=f"Fetch an edition of {sources()[source].title} and keep what is new.",
        )
        for source in clients()
    ]
