"""Which pictures Dagster shows of which mart: the rows, and the words around them.

What belongs here: queries on the candidate and titles. What does not: how a picture is drawn (``orchestration.plots``).
"""

from __future__ import annotations

import textwrap
from base64 import b64encode
from collections.abc import Callable, Mapping

import dagster as dg
import duckdb
import polars as pl

from ingest.mapping import reference
from orchestration import plots
from orchestration.headline import IMPORTERS

LINE = 80  # characters of a subtitle: browsers without Arial take a wider font
READ_SHARES = (
    "Orange: share at face value (who sold it). Blue: share that passed through the country's plants at any stage, "
    "with its interval. Shares of the importer's supply, contained element."
)
EDITIONS = """
select distinct trim(edition) as edition
from (select unnest(string_split(vintages, ';')) as edition, * from mart_coverage)
where year = $year and chain_status = 'closed' and ($material is null or material = $material)
    and edition not like 'stage_flow %'  -- derived from the trade named beside it
order by edition
"""
COVERAGE = """
select m.name as material, c.stage, s.position, c.status, coalesce(c.chain_status = 'closed', false) as traced
from mart_coverage as c inner join dim_material as m using (material) inner join dim_stage as s using (stage)
where c.year = $year order by m.name, s.position
"""
PERCENT = """
100 * d.face_value_share as face_value, 100 * d.processed_in_share as traced,
100 * d.processed_in_share_low as traced_low, 100 * d.processed_in_share_high as traced_high
"""
MAGNETS = f"""
select c.name as label, {PERCENT}
from mart_supplier_exposure as d inner join dim_country as c on c.iso3 = d.importer
inner join mart_dependence_by_stage as size using (importer, material, stage, year)
where d.material = 'rare_earths' and d.stage = 'component' and d.country = 'CHN' and d.year = $year
    and d.processed_in_share is not null and d.face_value_share is not null
qualify row_number() over (order by size.imports_usd desc nulls last, d.importer) <= 20
order by d.hidden_share desc, label
"""
LEADS = """
select m.name || ', ' || d.stage || ' (' || c.name || ')' as label,
    100 * d.top_processor_face_value_share as face_value, 100 * d.top_processor_share as traced,
    100 * d.top_processor_share_low as traced_low, 100 * d.top_processor_share_high as traced_high
from mart_dependence_by_stage as d inner join dim_material as m using (material)
inner join dim_country as c on c.iso3 = d.top_processor
where d.importer = 'USA' and d.year = $year and d.material <> 'magnet_rare_earths'
order by d.top_processor_hidden_share desc, label limit 30
"""
CHAIN = f"""
select i.name as importer, s.name as stage, {PERCENT}
from mart_supplier_exposure as d inner join dim_country as i on i.iso3 = d.importer
inner join dim_stage as s using (stage)
where d.material = 'rare_earths' and d.country = 'CHN' and d.year = $year and d.importer in {IMPORTERS}
    and d.processed_in_share is not null
order by s.position, i.name
"""
SCORES = """
with bottlenecks as (
    select m.name as material, c.* from mart_criticality as c inner join dim_material as m using (material)
    where c.economy = 'EUU' and c.economic_importance is not null
)
select material, 'study, 2016-2020' as shares, economic_importance as importance, sr_face_value as risk
from bottlenecks where basis = 'eu_study' and is_bottleneck and sr_face_value is not null
union all
select material, 'face value, ' || year, economic_importance, sr_face_value
from bottlenecks where basis = 'network' and year = $year and is_bottleneck and sr_face_value is not null
union all
select material, 'traced, ' || year, economic_importance, sr_traced
from bottlenecks where basis = 'network' and year = $year and is_bottleneck_traced and sr_traced is not null
"""

Draw = Callable[[duckdb.DuckDBPyConnection, int], str | None]


def pictures(
    candidate: duckdb.DuckDBPyConnection, warn: Callable[[str], None]
) -> dict[str, dict[str, dg.MarkdownMetadataValue]]:
    """Return the pictures of each mart by what they show.

    Args:
        candidate: the warehouse that was built.
        warn: told of a picture that cannot be drawn; a release does not wait for a picture.
    """
    traced = candidate.execute("select max(year) from mart_coverage where chain_status = 'closed'").fetchone()
    year = traced[0] if traced else None
    found: dict[str, dict[str, dg.MarkdownMetadataValue]] = {}
    if year is None:
        return found
    for (mart, name), draw in PICTURES.items():
        try:
            drawn = draw(candidate, int(year))
        except Exception as error:
            warn(f"the picture {name!r} of {mart} cannot be drawn. {type(error).__name__}: {error}")
            continue
        if drawn is not None:
            found.setdefault(mart, {})[name] = markdown(name, drawn)
    return found


def markdown(name: str, svg: str) -> dg.MarkdownMetadataValue:
    """Return a picture as Markdown that holds it; the UI shows it without asking for a file."""
    return dg.MetadataValue.md(f"![{name}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})")


def _rows(candidate: duckdb.DuckDBPyConnection, sql: str, year: int) -> pl.DataFrame:
    return candidate.execute(sql, {"year": year}).pl()


def _subtitle(candidate: duckdb.DuckDBPyConnection, text: str, year: int, material: str | None = None) -> list[str]:
    """Return how to read a picture, and the editions behind it."""
    editions = [edition for (edition,) in candidate.execute(EDITIONS, {"year": year, "material": material}).fetchall()]
    return [*textwrap.wrap(text, LINE), *textwrap.wrap(f"Editions: {', '.join(editions)}.", LINE)]


def _coverage(candidate: duckdb.DuckDBPyConnection, year: int) -> str | None:
    cells = _rows(candidate, COVERAGE, year)
    how = "Evidence of the output by country; a dot: imports are traced through it; white: no publisher covers it."
    title = f"What is known of each material and stage, {year}"
    return plots.coverage(cells, title=title, subtitle=_subtitle(candidate, how, year)) if cells.height else None


def _magnets(candidate: duckdb.DuckDBPyConnection, year: int) -> str | None:
    rows = _rows(candidate, MAGNETS, year)
    title = f"Rare-earth magnets from China, % of the importer's supply, {year}"
    lines = _subtitle(candidate, READ_SHARES, year, "rare_earths")
    return plots.dumbbell(rows, title=title, subtitle=lines) if rows.height else None


def _leads(candidate: duckdb.DuckDBPyConnection, year: int) -> str | None:
    rows = _rows(candidate, LEADS, year)
    title = f"Lead processor of what the United States uses, % of supply, {year}"
    return plots.dumbbell(rows, title=title, subtitle=_subtitle(candidate, READ_SHARES, year)) if rows.height else None


def _chain(candidate: duckdb.DuckDBPyConnection, year: int) -> str | None:
    rows = _rows(candidate, CHAIN, year)
    title = f"Rare earths and China, stage by stage, % of the importer's supply, {year}"
    lines = _subtitle(candidate, READ_SHARES, year, "rare_earths")
    return plots.intervals(rows, title=title, subtitle=lines) if rows.height else None


def _criticality(candidate: duckdb.DuckDBPyConnection, year: int) -> str | None:
    scores = _rows(candidate, SCORES, year)
    if not scores.height:
        return None
    limits = _limits()
    how = (
        "Supply risk and economic importance (scores of the EU method, no unit) of each material at its bottleneck "
        "stage. Above both broken lines a material is critical. Sources: EU study 2023 (grey), output and trade of the "
        "traced chains, see mart_coverage."
    )
    return plots.criticality(
        scores,
        risk_limit=limits["threshold_supply_risk"],
        importance_limit=limits["threshold_economic_importance"],
        title=f"Criticality for the European Union, study and {year}",
        subtitle=textwrap.wrap(how, LINE),
    )


def _limits() -> Mapping[str, float]:
    rows = reference("criticality_parameters.csv").filter(economy="all").select("parameter", "value")
    return {name: float(value) for name, value in rows.iter_rows()}


PICTURES: dict[tuple[str, str], Draw] = {
    ("mart_coverage", "coverage by evidence"): _coverage,
    ("mart_supplier_exposure", "face value against traced"): _magnets,
    ("mart_supplier_exposure", "stage by stage"): _chain,
    ("mart_dependence_by_stage", "lead processors"): _leads,
    ("mart_criticality", "risk and importance"): _criticality,
}
