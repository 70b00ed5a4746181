"""Tables for the tools people already have: CSV, workbooks, Parquet, SDMX.

What belongs here: how a published table looks outside the warehouse, and the words that travel with it (unit, basis,
edition, licence). What does not: which figures there are, reading the warehouse, command lines.
"""
