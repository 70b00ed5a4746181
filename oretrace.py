"""Read the published warehouse from Python: ``oretrace.connect()``, ``oretrace.table("mart_claims")``."""

from __future__ import annotations

from orchestration.warehouse import connect, table

__all__ = ["connect", "table"]
