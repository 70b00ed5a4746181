"""What a run prints at its end: the headline figures and where the files are.

What belongs here: the choice of headline figures. What does not: how they are computed.
"""

from __future__ import annotations

import polars as pl

from ingest.home import Home
from orchestration.release_diff import changed_claims
from orchestration.render import print_table
from orchestration.warehouse import connect

IMPORTERS = ("USA", "DEU", "JPN", "KOR", "FRA", "IND")

_PERCENT = """
    printf('%.0f (%.0f-%.0f)', 100 * d.{0}_share, 100 * d.{0}_share_low, 100 * d.{0}_share_high)
"""

MAGNETS = f"""
select
    c.name as importer, d.year,
    {_PERCENT.format("face_value")} as "face value, %",
    {_PERCENT.format("made_in")} as "made in, %",
    {_PERCENT.format("processed_in")} as "processed in, %",
    printf('%+.0f', 100 * d.hidden_share) as "hidden, points"
from mart_supplier_exposure as d
inner join dim_country as c on c.iso3 = d.importer
where
    d.material = 'rare_earths' and d.stage = 'component' and d.country = 'CHN'
    and d.importer in {IMPORTERS} and d.processed_in_share is not null
qualify d.year = max(d.year) over ()
order by list_position({list(IMPORTERS)}, d.importer)
"""

# Magnet rare earths are the same chain on another basis; one of the two is enough here.
HIDDEN = """
select
    m.name as material, d.stage, d.year, c.name as country,
    cast(round(100 * d.face_value_share) as integer) as "face value, %",
    cast(round(100 * d.processed_in_share) as integer) as "processed in, %",
    printf('%+.0f', 100 * d.hidden_share) as "hidden, points"
from mart_supplier_exposure as d
inner join dim_country as c on c.iso3 = d.country
inner join dim_material as m on m.material = d.material
where d.importer = 'USA' and d.hidden_share is not null and d.material <> 'magnet_rare_earths'
qualify
    d.year = max(d.year) over ()
    and row_number() over (partition by d.material, d.year order by d.hidden_share desc) = 1
order by d.hidden_share desc
limit 3
"""

INGREDIENTS = """
select stage, year, ingredient_years, chain_sources as sources
from mart_coverage as d
left join dim_stage as s using (stage)
where d.material = 'rare_earths' and d.chain_status = 'closed' qualify d.year = max(d.year) over ()
order by s.position
"""


def headline() -> dict[str, pl.DataFrame]:
    """Return the headline tables of the published warehouse by title."""
    with connect() as db:
        return {
            "Rare-earth magnets from China, share of the importer's supply (interval)": db.execute(MAGNETS).pl(),
            "Largest hidden exposures of the United States": db.execute(HIDDEN).pl(),
            "What the magnet chain is made of": db.execute(INGREDIENTS).pl(),
        }


def print_headline(home: Home, version: str, *, unchanged: bool) -> None:
    """Print the headline and where the files are."""
    for title, table in headline().items():
        print_table(table, title)
        print()
    print("face value: who sold it; made in: whose plants made it; processed in: whose plants it ever passed through")
    print()
    claims = [] if unchanged else changed_claims(home.warehouse / "releases" / version)
    if claims:
        print("\n".join(claims), end="\n\n")
    print(f"release    {version}{' (same figures as before: nothing new to publish)' if unchanged else ''}")
    print(f"warehouse  {home.warehouse / 'oretrace.duckdb'}")
    site = home.warehouse / "site" / "index.html"
    if site.is_file():
        print(f"site       {site} (open it in a browser)")
    print(f"audit      {home.build / 'data_docs' / 'index.html'}")
    print("ask        .venv/bin/oretrace show makers --importer DEU --material rare_earths")
