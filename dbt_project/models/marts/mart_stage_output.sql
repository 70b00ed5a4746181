-- Stages that no publisher lists, but published statements tell of: the whole list as the look-through uses it, makers
-- known from their net exports included, so that shares are of all that is known.
with listed as (
    select distinct
        material,
        stage,
        year
    from {{ ref('int_output__by_country') }}
    where share is not null
),

told as (
    select
        made.material,
        made.stage,
        made.year,
        sum(made.quantity_t) as world_t,
        max(case when made.source = 'published' then made.vintage end) as vintage
    from {{ ref('stg_canonical__stage_production') }} as made
    left join listed
        on
            made.material = listed.material
            and made.stage = listed.stage
            and made.year = listed.year
    where
        made.iso3 <> 'WLD'
        and listed.material is null
    group by made.material, made.stage, made.year
    having max(case when made.source = 'published' then 1 else 0 end) = 1
)

select
    material,
    stage,
    form,
    year,
    country,
    source,
    production_t,
    production_t_low,
    production_t_high,
    token,
    world_printed_t,
    rounding_t,
    share,
    printed_share,
    is_total,
    basis,
    vintage,
    evidence
from {{ ref('int_output__by_country') }}
union all
select
    made.material,
    made.stage,
    'all' as form,
    made.year,
    made.iso3 as country,
    'published' as source,
    made.quantity_t as production_t,
    made.quantity_t_low as production_t_low,
    made.quantity_t_high as production_t_high,
    cast(null as string) as token,
    cast(null as double) as world_printed_t,
    cast(null as double) as rounding_t,
    made.quantity_t / nullif(told.world_t, 0.0) as share,
    cast(null as double) as printed_share,
    false as is_total,
    case
        when made.source = 'published' then concat_ws('', made.basis, ', published share of world output')
        when made.source = 'stage_flow' then concat_ws('', made.basis, ', exports less imports')
        else concat_ws('', made.basis, ', ', made.source, ' ', made.vintage)
    end as basis,
    told.vintage,
    made.evidence
from {{ ref('stg_canonical__stage_production') }} as made
inner join told
    on
        made.material = told.material
        and made.stage = told.stage
        and made.year = told.year
where made.iso3 <> 'WLD'
