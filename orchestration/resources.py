"""The publishers as the run sees them: embedded only, or asked over HTTP first.

What belongs here: run-time settings of the raw layer. What does not: how a publisher is asked
(``ingest.ask``).
"""

# No `from __future__ import annotations`: Dagster builds the configuration from the annotations.
from typing import Literal

import dagster as dg

from ingest.ask import ask
from ingest.home import Home


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
