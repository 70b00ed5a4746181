"""Where the program writes: one folder, ``ORETRACE_HOME`` (default ``var/`` in the project).

What belongs here: the names of its sub-folders and atomic file writes. What does not: what the
files hold.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import BadInput

PROJECT = Path(__file__).resolve().parents[1]
REFERENCE = PROJECT / "ingest" / "reference"
SNAPSHOT = PROJECT / "ingest" / "snapshot"
WORK_MEMORY = "1500MB"
"""What DuckDB may use in a step that works through whole tables, whatever their size; the rest goes to disk."""


@dataclass(frozen=True)
class Home:
    """The program's folder: ``raw/ canonical/ build/ warehouse/ dagster/`` under ``root``."""

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """Read ``ORETRACE_HOME``; relative paths count from the current folder."""
        configured = os.environ.get("ORETRACE_HOME")
        return cls(Path(configured).expanduser().resolve() if configured else PROJECT / "var")

    @property
    def raw(self) -> Path:
        """Immutable raw vintages, ``raw/<source>/<vintage>/``."""
        return self.root / "raw"

    @property
    def canonical(self) -> Path:
        """Canonical Parquet tables."""
        return self.root / "canonical"

    @property
    def build(self) -> Path:
        """Source tables of this run, the candidate and its certificate."""
        return self.root / "build"

    @property
    def warehouse(self) -> Path:
        """Published file and releases."""
        return self.root / "warehouse"

    @property
    def dagster(self) -> Path:
        """Dagster's own storage."""
        return self.root / "dagster"

    def create(self) -> Home:
        """Make the folders.

        Raises:
            BadInput: the folder cannot be written.
        """
        for folder in (self.raw, self.canonical, self.build, self.warehouse, self.dagster):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                probe = folder / f".writable-{os.getpid()}"
                probe.touch()
                probe.unlink()
            except OSError as error:
                raise BadInput(
                    f"ORETRACE_HOME={self.root} cannot be written ({error.strerror}: {folder}). "
                    "Point ORETRACE_HOME at a folder you may write to."
                ) from None
        return self
