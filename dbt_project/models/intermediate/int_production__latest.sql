-- Each year's output as the latest edition that prints it has it. The edition is chosen for the whole stage, not line
-- by line: lines are named and split differently from edition to edition, and two editions never mix.
with production as (
    select
        material,
        stage,
        form,
        iso3,
        year,
        quantity_t,
        quantity_t_low,
        quantity_t_high,
        token,
        rounding_t,
        basis,
        source,
        vintage,
        evidence
    from {{ ref('stg_canonical__production') }}
    where measure = 'production'
),

latest as (
    select
        material,
        stage,
        year,
        source,
        max(vintage) as vintage
    from production
    group by material, stage, year, source
)

select
    production.material,
    production.stage,
    production.form,
    production.iso3 as country,
    production.year,
    production.quantity_t as production_t,
    production.quantity_t_low as production_t_low,
    production.quantity_t_high as production_t_high,
    production.token,
    production.rounding_t,
    production.basis,
    production.source,
    production.vintage,
    production.evidence
from production
inner join latest
    on
        production.material = latest.material
        and production.stage = latest.stage
        and production.year = latest.year
        and production.source = latest.source
        and production.vintage = latest.vintage
