"""The publishers as the run sees them: embedded only, or asked over HTTP first.

What belongs here: run-time settings of the raw layer. What does not: how a publisher is asked
(``ingest.fetch``).
"""

# No `from __future__ import annotations`: Dagster builds the configuration from the annotations.
from typing import Literal

import dagster as dg

from ingest.clients import clients
from ingest.errors import OretraceError
from ingest.fetch import drop_folder, fetch
from ingest.home import Home
from ingest.net.keys import redact


class Publishers(dg.ConfigurableResource[None]):
    """Where source tables come from.

    Attributes:
        mode: ``snapshot`` reads the embedded figures only; ``live`` reads the newest complete raw
            vintages, and embedded figures where there are none. ``ORETRACE_MODE`` gives the default.
        offline: in live mode, use what was fetched before and touch no network.
    """

    mode: Literal["snapshot", "live"] = "snapshot"
    offline: bool = False

    def ask(self, home: Home, source: str, log: dg.DagsterLogManager) -> str | None:
        """Fetch what is new of a source when the mode says so.

        A publisher that fails does not stop the run: the newest complete vintage stands in.

        Returns:
            Why nothing could be fetched, None where nothing went wrong.
        """
        dropped = any(drop_folder(home, source).glob("*/"))
        if self.mode == "snapshot" or self.offline or not (source in clients() or dropped):
            return None
        try:
            for item in fetch(home, source, say=log.info):
                log.info(f"{item.source} {item.edition}: {item.outcome} ({item.note})")
        except Exception as error:
            said = str(error) if isinstance(error, OretraceError) else f"{type(error).__name__}: {redact(str(error))}"
            log.warning(f"{source} could not be fetched; what was kept before is used. {said}")
            return said
        return None
