"""What a run can be given: the publishers (embedded only, or asked over HTTP first), and the engine.

What belongs here: run-time settings. What does not: how a publisher is asked (``ingest.ask``), what an
engine does (``orchestration.engines``).
"""

# No `from __future__ import annotations`: Dagster builds the configuration from the annotations.
import os
from pathlib import Path
from typing import Literal

import dagster as dg

from ingest.ask import ask
from ingest.errors import BadInput
from ingest.home import Home
from orchestration.engines import ENGINES, Engine, engine_named


class Publishers(dg.ConfigurableResource[None]):
    """Where source tables come from.

    Attributes:
        mode: ``snapshot`` reads the embedded figures only; ``live`` reads the newest complete raw
            vintages, and embedded figures where there are none. ``ORETRACE_MODE`` gives the default.
        offline: in live mode, use what was fetched before and touch no network; drop folders are looked into.
    """

    mode: Literal["snapshot", "live"] = "snapshot"
    offline: bool = False

    def ask(self, home: Home, source: str, log: dg.DagsterLogManager) -> str | None:
        """Fetch what is new of a source when the mode says so.

        A publisher that fails does not stop the run: the newest complete vintage stands in.

        Returns:
            Why nothing could be fetched, None where nothing went wrong.
        """
        if self.mode == "snapshot":
            return None
        return ask(home, source, offline=self.offline, say=log.info, warn=log.warning)


class Builder(dg.ConfigurableResource[None]):
    """What builds and audits the warehouse.

    Attributes:
        engine: ``duckdb`` in this process, or ``spark`` on a cluster. ``ORETRACE_ENGINE`` gives the default.
        remote: the Spark Connect server. ``ORETRACE_SPARK_REMOTE`` gives the default.
    """

    engine: Literal["duckdb", "spark"] = "duckdb"
    remote: str = ""

    def make(self) -> Engine:
        """Return the engine, ready to work."""
        return engine_named(self.engine, self.remote if self.engine == "spark" else "")

    def candidate(self, home: Home) -> Path:
        """Return where this engine builds; publishing needs no cluster."""
        return home.build / ("candidate" if self.engine == "spark" else "candidate.duckdb")


def default_builder() -> Builder:
    """Return the engine that the environment names; one that cannot be used is told of by the run that needs it.

    Raises:
        BadInput: ``ORETRACE_ENGINE`` names none.
    """
    named = os.environ.get("ORETRACE_ENGINE") or "duckdb"
    for engine in ENGINES:
        if engine == named:
            return Builder(engine=engine, remote=os.environ.get("ORETRACE_SPARK_REMOTE", ""))
    raise BadInput(f"ORETRACE_ENGINE={named!r}: expected one of {', '.join(ENGINES)}.")
