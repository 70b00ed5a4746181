"""Reading a release: each mart once, as rows that the pages share.

What belongs here: SQL on the published marts, names, orders, and why a figure is missing. What does not: HTML and
formatting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

Row = dict[str, Any]
# Same chain on another basis: it stands beside rare earths, not as a second exposure.
TWICE = "magnet_rare_earths"
NOT_A_COUNTRY = ("OTH", "WLD", "SECONDARY", "UNEXPLAINED")
SPECIAL = {"SECONDARY": "Recycled and stocks", "UNEXPLAINED": "Unexplained", "OTH": "Other and unspecified"}


@dataclass
class Marts:
    """An open release.

    Attributes:
        db: read-only connection.
        tables: names of the published tables.
    """

    db: duckdb.DuckDBPyConnection
    tables: frozenset[str] = field(default=frozenset())

    @classmethod
    def opened(cls, database: Path) -> Marts:
        """Open a release's DuckDB file read-only."""
        db = duckdb.connect(str(database), read_only=True)
        db.execute("set enable_progress_bar = false")
        names = db.execute("select table_name from duckdb_tables() where not internal").fetchall()
        return cls(db, frozenset(name for (name,) in names))

    def has(self, *tables: str) -> bool:
        """Say whether all these tables are published, so that a page without its mart is left out."""
        return set(tables) <= self.tables

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Run a query and return its rows as dictionaries."""
        found = self.db.execute(sql, parameters) if parameters else self.db.execute(sql)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def _names(self, table: str, key: str) -> dict[str, str]:
        return dict(self.db.execute(f"select {key}, coalesce(name, {key}) from {table} order by {key}").fetchall())

    @cached_property
    def countries(self) -> dict[str, str]:
        """Display names by code, with those that stand for no country."""
        return self._names("dim_country", "iso3") | SPECIAL

    @cached_property
    def materials(self) -> dict[str, str]:
        """Display names of materials that any mart has figures of, by slug, in order of names."""
        names = self._names("dim_material", "material")
        used = {
            name
            for table in sorted(self.tables & {"mart_dependence_by_stage", "mart_stage_output"})
            for (name,) in self.db.execute(f"select distinct material from {table}").fetchall()
        }
        return dict(sorted(((slug, names.get(slug, slug)) for slug in used), key=lambda item: item[1].casefold()))

    @cached_property
    def material_facts(self) -> dict[str, Row]:
        """What ``dim_material`` says of each material."""
        return {row["material"]: row for row in self.rows("from dim_material")}

    @cached_property
    def stages(self) -> dict[str, str]:
        """Display names of stages by slug, in chain order."""
        return dict(self.db.execute("select stage, name from dim_stage order by position").fetchall())

    @cached_property
    def stage_meaning(self) -> dict[str, str]:
        """Definitions of stages by slug."""
        return dict(self.db.execute("select stage, definition from dim_stage order by position").fetchall())

    @cached_property
    def year(self) -> int:
        """The newest year that was traced; without tracing, the newest year with trade of many importers."""
        row = self.db.execute(
            "select coalesce(max(year) filter (top_processor is not null), mode(year)) from mart_dependence_by_stage"
        ).fetchone()
        return int(row[0]) if row and row[0] is not None else 0

    @cached_property
    def importers(self) -> dict[str, str]:
        """Display names of importers with figures, by code, in order of names."""
        codes = self.db.execute("select distinct importer from mart_dependence_by_stage").fetchall()
        pairs = ((code, self.countries.get(code, code)) for (code,) in codes)
        return dict(sorted(pairs, key=lambda item: item[1].casefold()))

    @cached_property
    def coverage(self) -> dict[tuple[str, str], Row]:
        """Coverage of the year on show by material and stage."""
        found = self.rows("from mart_coverage where year = $year", {"year": self.year})
        return {(row["material"], row["stage"]): row for row in found}

    @cached_property
    def dependence(self) -> dict[str, dict[str, dict[str, Row]]]:
        """Newest row, up to the year on show, by importer, material and stage."""
        nested: dict[str, dict[str, dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
        for row in self.rows(_DEPENDENCE, {"year": self.year}):
            nested[row["importer"]][row["material"]][row["stage"]] = row
        return nested

    @cached_property
    def hidden(self) -> dict[str, list[Row]]:
        """Largest hidden exposures by importer: one stage and country per material, the largest first."""
        return by(self.rows(_HIDDEN, {"year": self.year, "twice": TWICE}), "importer")

    def why_no_supplier(self, importer: str, material: str, stage: str) -> str:
        """Say why there is no seller on show for a cell."""
        row = self.coverage.get((material, stage))
        if row is None:
            return "no publisher in this release covers this stage"
        if not row["has_trade"] and not row["has_import_sources"]:
            return f"no trade figures for this stage in {self.year}"
        return f"no imports of {self.countries.get(importer, importer)} recorded at this stage in {self.year}"

    def why_not_traced(self, importer: str, material: str, stage: str) -> str:
        """Say why there is no traced share for a cell."""
        row = self.coverage.get((material, stage))
        if row is None:
            return "no publisher in this release covers this stage"
        if row["chain_status"] == "closed":
            name = self.countries.get(importer, importer)
            return f"no supply of {name} through another country recorded at this stage in {self.year}"
        if row["chain_status"] == "blind":
            return f"not traced: {row['chain_reason']}"
        return "not traced: output or trade between all countries is missing"


def by(rows: Iterable[Row], *keys: str) -> dict[Any, list[Row]]:
    """Group rows by one column, or by a tuple of several, keeping their order."""
    grouped: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys)].append(row)
    return dict(grouped)


# The seller at face value is the other country with the largest share of supply where the stage is traced; elsewhere
# the largest share of imports is all that is known.
_DEPENDENCE = """
with newest as (
    select * from mart_dependence_by_stage where year <= $year
    qualify row_number() over (partition by importer, material, stage order by year desc) = 1
),
seller as (
    select importer, material, stage, year, country, face_value_share, face_value_share_low, face_value_share_high
    from mart_supplier_exposure
    where year = $year and face_value_basis = 'traced' and country <> importer and face_value_share > 0
        and country not in ('OTH', 'WLD', 'SECONDARY', 'UNEXPLAINED')
    qualify row_number() over (
        partition by importer, material, stage, year order by face_value_share desc, country) = 1
)
select
    d.*, s.country as seller, s.face_value_share as seller_share,
    s.face_value_share_low as seller_low, s.face_value_share_high as seller_high,
    p.face_value_share_low as face_low, p.face_value_share_high as face_high,
    p.made_in_share_low as made_low, p.made_in_share_high as made_high, p.mine_origin_share as mined,
    p.import_made_in_share as imports_made, p.import_made_in_share_low as imports_made_low,
    p.import_made_in_share_high as imports_made_high
from newest as d
left join seller as s using (importer, material, stage, year)
left join mart_supplier_exposure as p
    on p.importer = d.importer and p.material = d.material and p.stage = d.stage and p.year = d.year
    and p.country = d.top_processor
order by d.importer, d.material, d.stage
"""

# The list of world output to show of each stage: the newest of the preferred publisher, else of published statements.
NEWEST_LISTS = """
    select material, stage, year, source from mart_stage_concentration where is_preferred
    qualify row_number() over (partition by material, stage order by year desc) = 1
    union all
    select material, stage, max(year) as year, source from mart_stage_output as o
    where source = 'published' and not exists (
        select 1 from mart_stage_concentration as k where k.material = o.material and k.stage = o.stage)
    group by material, stage, source
"""

_HIDDEN = """
select importer, material, stage, year, country, face_value_share, face_value_share_low, face_value_share_high,
    processed_in_share, processed_in_share_low, processed_in_share_high, hidden_share, traced_evidence
from mart_supplier_exposure
where year = $year and hidden_share > 0 and material <> $twice and country <> importer
    and country not in ('OTH', 'WLD', 'SECONDARY', 'UNEXPLAINED')
qualify row_number() over (partition by importer, material order by hidden_share desc, stage, country) = 1
order by importer, hidden_share desc, material
"""
