"""Everything from a publisher's file to a canonical table; knows nothing of Dagster, dbt or DuckDB.

Rooms: ``sources`` (one module per publisher: read its raw vintage into typed source tables),
``transforms`` (one module per canonical table), ``reference`` (mappings as data), ``snapshot``
(the embedded source tables). Data moves in that order and never back.
"""
