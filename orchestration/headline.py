"""What a run prints at its end: the headline figures and where the files are.

What belongs here: the choice of headline figures. What does not: how they are computed.
"""

from __future__ import annotations

import polars as pl

from ingest.home import Home
from orchestration.render import print_table
from orchestration.warehouse import connect

HEADLINE = """
select
    d.material, d.stage, d.year,
    coalesce(d.nir_token, cast(cast(round(d.nir_pct) as integer) as varchar)) as "net import reliance, %",
    d.top_supplier as "lead supplier",
    cast(round(100 * d.top_supplier_import_share) as integer) as "share of imports, %",
    d.share_period as imports,
    d.share_source || ' ' || d.share_vintage as source
from mart_dependence_by_stage as d
left join dim_stage as s on s.stage = d.stage
where d.importer = 'USA' and d.nir_token is not null and d.top_supplier_import_share is not null
qualify d.year = max(d.year) over (partition by d.material, d.stage)
order by d.nir_low_pct desc nulls last, d.top_supplier_import_share desc, d.material, s.position
limit 20
"""


def headline() -> pl.DataFrame:
    """Return the headline table from the published warehouse."""
    with connect() as db:
        return db.execute(HEADLINE).pl()


def print_headline(home: Home, version: str, *, unchanged: bool) -> None:
    """Print the headline and where the files are."""
    print_table(headline(), "United States: printed net import reliance and lead supplier at face value")
    print()
    print(f"release    {version}{' (same figures as before: nothing new to publish)' if unchanged else ''}")
    print(f"warehouse  {home.warehouse / 'oretrace.duckdb'}")
    print(f"audit      {home.build / 'data_docs' / 'index.html'}")
    print("ask        oretrace show dependence --importer USA --material rare_earths")
