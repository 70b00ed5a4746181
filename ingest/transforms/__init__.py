"""From source tables to canonical tables: one module per canonical table, polars only, no network."""
