"""Releases in the object store that ``ORETRACE_STORE`` names.

What belongs here: the pointer (``pointer``), sending releases there and bringing them here (``shelf``), looking after
them (``upkeep``). What does not: the store itself and raw vintages in it (``ingest.store``), what a release is
(``orchestration.releases``, ``orchestration.integrity``).
"""
