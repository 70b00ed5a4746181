with lists as (
    select
        material,
        stage,
        year,
        source,
        max(world_printed_t) as world_printed_t,
        sum(production_t) as listed_t,
        sum(case when country <> 'OTH' then production_t end) as named_t,
        cast(sum(case when country <> 'OTH' and share > 0 then 1 else 0 end) as int) as countries,
        max(case when place = 1 and country <> 'OTH' then country end) as top_country,
        max(case when place = 1 and country <> 'OTH' then share end) as top_share,
        concat_ws(
            '', coalesce(max(case when place = 1 and country <> 'OTH' and share > 0 then country end), ''),
            coalesce(max(case when place = 2 and country <> 'OTH' and share > 0 then concat(';', country) end), ''),
            coalesce(max(case when place = 3 and country <> 'OTH' and share > 0 then concat(';', country) end), '')
        ) as top3_countries,
        sum(case when place <= 3 and country <> 'OTH' then share end) as top3_share,
        sum(case when country <> 'OTH' then share * share else 0.0 end) as sum_of_squares,
        sum(case when country = 'OTH' then share else 0.0 end) as residual,
        min(case when country <> 'OTH' and share > 0 then share end) as smallest,
        max(basis) as basis,
        max(vintage) as vintage,
        max(evidence_rank) as evidence_rank
    from {{ ref('int_concentration__shares') }}
    group by material, stage, year, source
),

measured as (
    select
        material,
        stage,
        year,
        source,
        coalesce(world_printed_t, listed_t) as world_t,
        countries,
        top_country,
        top_share,
        top3_countries,
        top3_share,
        {{ hhi_low('sum_of_squares') }} as hhi_low,
        {{ hhi_high('sum_of_squares', 'residual', 'smallest') }} as hhi_high,
        case
            when named_t is null then 1.0 - residual
            when world_printed_t > named_t then named_t / world_printed_t
            else named_t / nullif(listed_t, 0.0)
        end as covered_share,
        basis,
        vintage,
        evidence_rank
    from lists
    where top_share is not null
)

select
    material,
    stage,
    year,
    source,
    world_t,
    countries,
    top_country,
    top_share,
    top3_countries,
    top3_share,
    hhi_low,
    hhi_high,
    10000.0 / nullif(hhi_high, 0.0) as effective_low,
    10000.0 / nullif(hhi_low, 0.0) as effective_high,
    covered_share,
    basis,
    vintage,
    {{ evidence_name('evidence_rank') }} as evidence,
    row_number() over (
        partition by material, stage, year
        order by {{ source_rank('source') }}, source
    ) = 1 as is_preferred
from measured
