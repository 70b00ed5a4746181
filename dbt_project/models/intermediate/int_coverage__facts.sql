-- Which kind of fact covers which material, stage and year, and at what grade.
select
    'production' as kind,
    material,
    stage,
    year,
    country,
    source,
    vintage,
    evidence,
    case when production_t is null and production_t_low is null then 1 else 0 end as is_withheld
from {{ ref('int_output__by_country') }}
where country <> 'WLD'
union all
-- output that no list prints: shares of a world total, and what a country sells beyond what it buys
select
    'production' as kind,
    material,
    stage,
    year,
    iso3 as country,
    source,
    vintage,
    evidence,
    0 as is_withheld
from {{ ref('stg_canonical__stage_production') }}
where method <> 'reported'
union all
select distinct
    'trade' as kind,
    material,
    stage,
    year,
    cast(null as string) as country,
    source,
    vintage,
    evidence,
    0 as is_withheld
from {{ ref('int_trade__flows') }}
union all
select
    'import_sources' as kind,
    material,
    stage,
    year,
    country,
    source,
    vintage,
    evidence,
    0 as is_withheld
from {{ ref('int_import__printed_by_year') }}
where evidence <> 'assumed'
union all
select
    'nir' as kind,
    material,
    stage,
    year,
    'USA' as country,
    nir_source as source,
    nir_vintage as vintage,
    evidence,
    0 as is_withheld
from {{ ref('int_nir__printed') }}
