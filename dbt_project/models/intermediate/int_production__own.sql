-- An economy's own output at a stage: world lists in tonnes first, United States salient statistics where no list has
-- it. A withheld line leaves the sum unknown; what is known is then its lower bound.
with lines as (
    select
        country,
        material,
        stage,
        year,
        production_t,
        production_t_low,
        production_t_high,
        source,
        vintage,
        evidence,
        form = 'all' as is_line_all,
        max(case when form = 'all' then 1 else 0 end) over (
            partition by country, material, stage, year, source
        ) as has_line_all,
        0 as is_salient
    from {{ ref('int_output__by_country') }}
    where
        country not in ('WLD', 'OTH')
        and coalesce(production_t, production_t_low, world_printed_t) is not null
    union all
    select
        'USA' as country,
        material,
        stage,
        year,
        production_t,
        production_t_low,
        production_t_high,
        source,
        vintage,
        evidence,
        false as is_line_all,
        0 as has_line_all,
        1 as is_salient
    from {{ ref('int_salient__production') }}
),

by_source as (
    select
        country,
        material,
        stage,
        year,
        source,
        is_salient,
        max(vintage) as vintage,
        case when count(*) = count(production_t) then sum(production_t) end as production_t,
        sum(coalesce(production_t_low, production_t, 0.0)) as production_t_low,
        case
            when count(*) = count(coalesce(production_t_high, production_t))
                then sum(coalesce(production_t_high, production_t))
        end as production_t_high,
        max({{ evidence_rank('evidence') }}) as evidence_rank
    from lines
    where has_line_all = 0 or is_line_all
    group by country, material, stage, year, source, is_salient
),

chosen as (
    select
        country,
        material,
        stage,
        year,
        source,
        vintage,
        production_t,
        production_t_low,
        production_t_high,
        evidence_rank,
        row_number() over (
            partition by country, material, stage, year
            order by
                case when production_t is null then 1 else 0 end,
                -- a compilation of national figures comes after the national figure
                case when source = 'bgs' then 1 else 0 end,
                is_salient,
                {{ source_rank('source') }}
        ) as choice
    from by_source
)

select
    country,
    material,
    stage,
    year,
    production_t,
    production_t_low,
    production_t_high,
    source as production_source,
    vintage as production_vintage,
    evidence_rank
from chosen
where choice = 1
