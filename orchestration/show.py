"""The views behind ``oretrace show`` and the headline of a run; all from the published marts.

What belongs here: questions put to the marts and how the user's words are checked. What does not:
figures that the marts do not hold.
"""

from __future__ import annotations

from typing import Any

import duckdb
import polars as pl

from ingest.errors import BadInput
from ingest.words import known_value


def vocabulary(db: duckdb.DuckDBPyConnection, column: str) -> dict[str, str]:
    """Return the slugs that occur in the dependence mart, with their names."""
    names = {
        "importer": ("dim_country", "iso3"),
        "material": ("dim_material", "material"),
        "stage": ("dim_stage", "stage"),
    }
    table, key = names[column]
    rows = db.execute(
        f"select distinct d.{column}, coalesce(n.name, d.{column}) from mart_dependence_by_stage d "
        f"left join {table} n on n.{key} = d.{column} order by 1"
    ).fetchall()
    return dict(rows)


def dependence(
    db: duckdb.DuckDBPyConnection, importer: str, material: str, stage: str | None, year: int | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the dependence of an importer on a material, and its suppliers.

    Args:
        db: the published warehouse.
        importer: ISO3 code or country name.
        material: slug or name.
        stage: slug or name; all stages when None.
        year: one year; the newest three with figures when None.

    Returns:
        ``(stages, suppliers)``: one row per stage and year; one row per stage, year and supplier.

    Raises:
        BadInput: an unknown importer, material, stage, or no figures for the year.
    """
    chosen: dict[str, Any] = {
        "importer": known_value(importer, vocabulary(db, "importer"), "importer"),
        "material": known_value(material, vocabulary(db, "material"), "material"),
    }
    if stage:
        chosen["stage"] = known_value(stage, vocabulary(db, "stage"), "stage")
    where = " and ".join(f"d.{name} = ${name}" for name in chosen)
    years = [
        found
        for (found,) in db.execute(
            f"select distinct year from mart_dependence_by_stage d where {where} order by 1 desc", chosen
        ).fetchall()
    ]
    if not years:
        raise BadInput(f"no figures for {', '.join(chosen.values())}. See mart_coverage for what is there.")
    if year is not None and year not in years:
        raise BadInput(f"no figures for {year}; there are: {', '.join(map(str, years))}.")
    chosen |= {"first": year or min(years[:3]), "last": year or years[0]}
    span = f"{where} and d.year between $first and $last"
    stages = db.execute(_STAGES.format(where=span), chosen).pl()
    suppliers = db.execute(_SUPPLIERS.format(where=span), chosen).pl()
    return stages, suppliers


def makers(
    db: duckdb.DuckDBPyConnection,
    importer: str,
    material: str,
    stage: str | None,
    year: int | None,
    *,
    smallest: float = 0.005,
) -> tuple[str, pl.DataFrame]:
    """Return who sold what an importer imports and who made it, in percent of its imports.

    Args:
        db: the published warehouse.
        importer: ISO3 code or country name.
        material: slug or name.
        stage: slug or name; the last that was seen through when None.
        year: one year; the newest that was seen through when None.
        smallest: countries that sold and made less than this share of imports are left out.

    Returns:
        ``(title, countries)``: what is shown, and one row per country with its evidence.

    Raises:
        BadInput: an unknown importer, material or stage, or imports that were not seen through.
    """
    names = {column: vocabulary(db, column) for column in ("importer", "material", "stage")}
    chosen: dict[str, Any] = {
        "importer": known_value(importer, names["importer"], "importer"),
        "material": known_value(material, names["material"], "material"),
        "stage": known_value(stage, names["stage"], "stage") if stage else None,
        "year": year,
    }
    found = db.execute(_SEEN_THROUGH, chosen).fetchall()
    if not found:
        raise BadInput(_why_not(db, chosen))
    chosen |= {"stage": found[0][0], "year": found[0][1]}
    countries = db.execute(_MAKERS, {**chosen, "smallest": smallest}).pl()
    title = (
        f"{names['material'][chosen['material']]}, {chosen['stage']}: imports of "
        f"{names['importer'][chosen['importer']]} in {chosen['year']}, percent sold by and made in each country"
    )
    return title, countries


def _why_not(db: duckdb.DuckDBPyConnection, chosen: dict[str, Any]) -> str:
    """Say why the makers of imports are not known, and where they are."""
    asked = " ".join(str(chosen[name]) for name in ("material", "stage", "year") if chosen[name] is not None)
    others = db.execute(
        "select string_agg(distinct stage || ' ' || year, ', ' order by stage || ' ' || year) "
        "from mart_supplier_exposure where importer = $importer and material = $material "
        "and import_made_in_share is not null",
        {name: chosen[name] for name in ("importer", "material")},
    ).fetchall()[0][0]
    reasons = db.execute(
        "select string_agg(distinct stage || ' ' || year || ': ' || chain_reason, '; ') from mart_coverage "
        "where material = $material and chain_status = 'blind' and (stage = $stage or $stage is null) "
        "and (year = $year or $year is null)",
        {name: chosen[name] for name in ("material", "stage", "year")},
    ).fetchall()[0][0]
    return (
        f"who made the imports of {chosen['importer']} is not known for {asked}"
        + (f" (blind: {reasons})" if reasons else "")
        + (f". It is for: {others}." if others else ", nor for any other stage or year of the material.")
        + " Who sold them: oretrace show dependence"
    )


_SEEN_THROUGH = """
select d.stage, d.year
from mart_supplier_exposure as d
inner join dim_stage as s on s.stage = d.stage
where d.importer = $importer and d.material = $material and d.import_made_in_share is not null
    and (d.stage = $stage or $stage is null) and (d.year = $year or $year is null)
order by d.year desc, s.position desc limit 1
"""

_MAKERS = """
select
    d.stage, d.year, d.country, coalesce(c.name, d.country) as name,
    round(100 * d.import_share, 1) as sold_pct,
    round(100 * d.import_made_in_share, 1) as made_pct,
    printf('%.0f-%.0f', 100 * d.import_made_in_share_low, 100 * d.import_made_in_share_high) as made_interval,
    d.share_basis as basis,
    d.traced_evidence as evidence
from mart_supplier_exposure as d
left join dim_country as c on c.iso3 = d.country
where d.importer = $importer and d.material = $material and d.stage = $stage and d.year = $year
    and (d.import_share >= $smallest or d.import_made_in_share >= $smallest)
order by d.country in ('OTH', 'SECONDARY', 'UNEXPLAINED'), made_pct desc nulls last, sold_pct desc nulls last, d.country
"""

_STAGES = """
select
    d.stage, d.year,
    coalesce(d.nir_token, cast(round(d.nir_pct) as varchar)) as nir_pct,
    d.top_supplier as supplier,
    round(100 * d.top_supplier_import_share, 1) as share_pct,
    d.share_basis as basis, d.share_period as period,
    round(d.hhi_low) as hhi_low, round(d.hhi_high) as hhi_high,
    d.production_t, d.imports_t, d.exports_t,
    concat_ws(' + ', d.share_source || ' ' || d.share_vintage, d.nir_source || ' ' || d.nir_vintage) as source,
    d.evidence
from mart_dependence_by_stage as d
left join dim_stage as s on s.stage = d.stage
where {where}
order by s.position, d.year
"""

_SUPPLIERS = """
select
    d.stage, d.year, d.country, coalesce(c.name, d.country) as name,
    round(100 * d.import_share, 1) as share_pct,
    d.share_basis as basis, d.share_period as period, d.source || ' ' || d.vintage as source,
    round(100 * d.face_value_share, 1) as face_value_pct,
    round(100 * d.made_in_share, 1) as made_in_pct,
    round(100 * d.processed_in_share, 1) as processed_in_pct,
    printf('%.0f-%.0f', 100 * d.processed_in_share_low, 100 * d.processed_in_share_high) as interval,
    round(100 * d.mine_origin_share, 1) as mined_in_pct
from mart_supplier_exposure as d
left join dim_country as c on c.iso3 = d.country
left join dim_stage as s on s.stage = d.stage
where {where} and (d.import_share >= 0.005 or d.processed_in_share >= 0.005 or d.mine_origin_share >= 0.005)
order by
    s.position, d.year, d.country in ('OTH', 'SECONDARY', 'UNEXPLAINED'),
    greatest(coalesce(d.processed_in_share, 0), coalesce(d.import_share, 0)) desc, d.country
"""
