"""Census and World Bank on loopback, a home, and the schedules and sensors that ask them.

What belongs here: the set-up that tests of schedules, sensors and backfills share. What does not: how a
publisher answers (``tests/publishers``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from unittest import mock

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData

from ingest.home import Home
from orchestration.assets import vintages
from orchestration.assets.vintages import vintage_key
from orchestration.schedules import schedules
from orchestration.sensors import sensors
from tests.publishers import census, embedded
from tests.replay import Replay

MONTHS = ("2026-07", "2026-08", "2026-09")


class Publishers:
    """Census and World Bank on loopback, a home, and the schedules that ask them."""

    def __init__(self, server: Replay, home: Home) -> None:
        self.server, self.home = server, home
        self.census = census.Census({})
        self.census.serve(server)
        self.release(*MONTHS[:2])

    def release(self, *months: str, scale: int = 1) -> None:
        for month in months:
            for direction in census.COMMODITY:
                self.census.held[(direction, month)] = census.trade(direction, scale=scale)

    def tick(self, source: str, at: datetime) -> tuple[list[dg.RunRequest], str]:
        repository = self.repository()
        context = dg.build_schedule_context(scheduled_execution_time=at, repository_def=repository)
        data = repository.get_schedule_def(f"{source}_calendar").evaluate_tick(context)
        return list(data.run_requests or []), data.skip_message or ""

    def materialise(self, source: str, partition: str | None) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                vintages.assets(),
                selection=[vintage_key(source)],
                partition_key=partition,
                instance=instance,
                raise_on_error=False,
            )

    def repository(self) -> dg.RepositoryDefinition:
        # ``new_inputs`` starts a job that needs the whole project.
        upstream = [item for item in sensors() if item.name != "new_inputs"]
        loaded = dg.Definitions(assets=vintages.assets(), jobs=vintages.jobs(), schedules=schedules(), sensors=upstream)
        return loaded.get_repository_def()

    def sense(self, source: str, cursor: str | None, instance: dg.DagsterInstance) -> SensorExecutionData:
        repository = self.repository()
        context = dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=repository)
        return repository.get_sensor_def(f"{source}_upstream").evaluate_tick(context)


@contextmanager
def publishers_on_loopback(folder: Path) -> Iterator[Publishers]:
    """Start the server and point every client at it; the environment is as before afterwards."""
    with Replay() as server:
        settings = embedded.environment(server) | {"ORETRACE_HOME": str(folder), "ORETRACE_HTTP_BACKOFF": "0.001"}
        with mock.patch.dict(os.environ, settings):
            for name in ("ORETRACE_CENSUS_KEY", "ORETRACE_COMTRADE_KEY", "ORETRACE_MODE"):
                os.environ.pop(name, None)
            yield Publishers(server, Home(folder).create())
