{{ config(materialized='view') }}

-- Every canonical or traced row that a claim may be recomputed from, in one shape.
select
    'production' as data_table,
    source,
    vintage,
    material,
    stage,
    form as line,
    cast(null as string) as importer,
    iso3 as country,
    cast(null as string) as commodity,
    year,
    measure,
    quantity_t as value,
    evidence
from {{ ref('stg_canonical__production') }}
union all
select
    'supply_share' as data_table,
    source,
    vintage,
    material,
    stage,
    form as line,
    cast(null as string) as importer,
    iso3 as country,
    cast(null as string) as commodity,
    last_year as year,
    concat_ws('', scope, '_share') as measure,
    share as value,
    evidence
from {{ ref('stg_canonical__supply_share') }}
union all
select
    'supply_share' as data_table,
    source,
    vintage,
    material,
    stage,
    form as line,
    cast(null as string) as importer,
    iso3 as country,
    cast(null as string) as commodity,
    last_year as year,
    concat_ws('', scope, '_quantity_t') as measure,
    quantity_t as value,
    evidence
from {{ ref('stg_canonical__supply_share') }}
where quantity_t is not null
union all
select
    'trade_flow' as data_table,
    source,
    vintage,
    cast(null as string) as material,
    cast(null as string) as stage,
    hs_code as line,
    importer,
    exporter as country,
    cast(null as string) as commodity,
    year,
    'value_usd' as measure,
    value_usd as value,
    evidence
from {{ ref('stg_canonical__trade_flow') }}
union all
select
    'trade_flow' as data_table,
    source,
    vintage,
    cast(null as string) as material,
    cast(null as string) as stage,
    hs_code as line,
    importer,
    exporter as country,
    cast(null as string) as commodity,
    year,
    'quantity_gross_t' as measure,
    quantity_gross_t as value,
    evidence
from {{ ref('stg_canonical__trade_flow') }}
where quantity_gross_t is not null
union all
select
    'import_line' as data_table,
    source,
    vintage,
    material,
    stage,
    line,
    importer,
    iso3 as country,
    cast(null as string) as commodity,
    year,
    'quantity_gross_t' as measure,
    quantity_gross_t as value,
    evidence
from {{ ref('stg_canonical__import_line') }}
union all
select
    'import_line' as data_table,
    source,
    vintage,
    material,
    stage,
    line,
    importer,
    iso3 as country,
    cast(null as string) as commodity,
    year,
    'quantity_t' as measure,
    quantity_t as value,
    evidence
from {{ ref('stg_canonical__import_line') }}
where quantity_t is not null
union all
select
    'import_source' as data_table,
    source,
    vintage,
    material,
    stage,
    form as line,
    importer,
    iso3 as country,
    commodity,
    last_year as year,
    'share' as measure,
    share as value,
    evidence
from {{ ref('stg_canonical__import_source') }}
union all
select
    'us_salient' as data_table,
    source,
    vintage,
    material,
    stage,
    detail as line,
    'USA' as importer,
    cast(null as string) as country,
    commodity,
    year,
    statistic as measure,
    value,
    evidence
from {{ ref('stg_canonical__us_salient') }}
union all
select
    'nir_identity' as data_table,
    source,
    vintage,
    material,
    cast(null as string) as stage,
    detail as line,
    'USA' as importer,
    cast(null as string) as country,
    commodity,
    year,
    'difference_pp' as measure,
    abs(difference_pp) as value,
    evidence
from {{ ref('stg_canonical__nir_identity') }}
where not trivial
union all
select
    'traced_exposure' as data_table,
    'tracing' as source,
    concat_ws('', cast(draws as string), ' draws, seed ', cast(seed as string)) as vintage,
    material,
    stage,
    cast(null as string) as line,
    importer,
    country,
    cast(null as string) as commodity,
    year,
    'face_value_share' as measure,
    face_value_share as value,
    evidence
from {{ ref('stg_traced__exposure') }}
where face_value_share is not null
union all
select
    'traced_exposure' as data_table,
    'tracing' as source,
    concat_ws('', cast(draws as string), ' draws, seed ', cast(seed as string)) as vintage,
    material,
    stage,
    cast(null as string) as line,
    importer,
    country,
    cast(null as string) as commodity,
    year,
    'made_in_share' as measure,
    made_in_share as value,
    evidence
from {{ ref('stg_traced__exposure') }}
where made_in_share is not null
union all
select
    'traced_exposure' as data_table,
    'tracing' as source,
    concat_ws('', cast(draws as string), ' draws, seed ', cast(seed as string)) as vintage,
    material,
    stage,
    cast(null as string) as line,
    importer,
    country,
    cast(null as string) as commodity,
    year,
    'processed_in_share' as measure,
    processed_in_share as value,
    evidence
from {{ ref('stg_traced__exposure') }}
where processed_in_share is not null
union all
select
    'traced_exposure' as data_table,
    'tracing' as source,
    concat_ws('', cast(draws as string), ' draws, seed ', cast(seed as string)) as vintage,
    material,
    stage,
    cast(null as string) as line,
    importer,
    country,
    cast(null as string) as commodity,
    year,
    'mine_origin_share' as measure,
    mine_origin_share as value,
    evidence
from {{ ref('stg_traced__exposure') }}
where mine_origin_share is not null
