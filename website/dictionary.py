"""The data dictionary and the sources of a release.

What belongs here: tables and columns from dbt's manifest, editions from the marts. What does not: any description.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from website.marts import by
from website.render import Site


def write(site: Site) -> None:
    """Write ``data.html``: every published table with its columns, from dbt's manifest where it is at hand."""
    described = _described(site.manifest)
    columns = by(
        site.marts.rows(
            "select table_name, column_name as name, data_type as type from duckdb_columns() where not internal "
            "order by table_name, column_index"
        ),
        "table_name",
    )
    counts = {
        table: site.marts.rows(f'select count(*) as rows from "{table}"')[0]["rows"]
        for table in sorted(site.marts.tables)
    }
    tables = [
        {
            "name": table,
            "rows": counts[table],
            "description": described.get(table, {}).get("description", ""),
            "columns": [
                {**column, "description": described.get(table, {}).get("columns", {}).get(column["name"], "")}
                for column in columns[table]
            ],
        }
        for table in sorted(site.marts.tables, key=lambda name: (not name.startswith("mart_"), name))
    ]
    site.page("data.html", "data.html", tables=tables, described=bool(described))


def _described(manifest: Path | None) -> dict[str, Any]:
    """Return what the manifest says of each model and its columns."""
    if manifest is None:
        return {}
    nodes = json.loads(manifest.read_text())["nodes"].values()
    return {
        node["name"]: {
            "description": node["description"],
            "columns": {name: column["description"] for name, column in node["columns"].items()},
        }
        for node in nodes
        if node["resource_type"] == "model"
    }


def write_sources(site: Site) -> None:
    """Write ``sources.html``: editions, publishers, terms, and what was left out of them."""
    marts = site.marts
    vintages = marts.rows("from dim_vintage order by source, vintage")
    dropped = (
        marts.rows("from mart_dropped_rows order by source, vintage, table_name, reason")
        if marts.has("mart_dropped_rows")
        else []
    )
    site.page("sources.html", "sources.html", vintages=vintages, dropped=dropped)


def write_method(site: Site) -> None:
    """Write ``method.html``: how the figures are made, with an example worked by hand."""
    site.page("method.html", "method.html")
