"""The static site of a release: what people look at before they query.

What belongs here: pages made of published marts, one module per kind of page, with templates and styles. What does
not: figures that no mart holds, and anything that changes them. It reads a release's DuckDB file read-only and writes
plain files that open from disk; nothing of Dagster, nothing of ``ingest``'s transforms.
"""

from website.build import Extras, build

__all__ = ["Extras", "build"]
