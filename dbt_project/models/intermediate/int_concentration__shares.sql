-- Each country's share of a stage's world output, forms of the stage added up (a line `all` stands alone).
with output as (
    select
        material,
        stage,
        form,
        year,
        country,
        source,
        production_t,
        share,
        is_total,
        basis,
        vintage,
        evidence,
        max(case when form = 'all' then 1 else 0 end) over (partition by material, stage, year, source) as has_line_all,
        sum(case when not is_total then production_t end) over (partition by material, stage, year, source) as listed_t
    from {{ ref('int_output__by_country') }}
),

countries as (
    select
        material,
        stage,
        year,
        source,
        country,
        sum(production_t) as production_t,
        sum(case when is_total then null when listed_t > 0 then production_t else share end) as weight,
        max(basis) as basis,
        max(vintage) as vintage,
        max({{ evidence_rank('evidence') }}) as evidence_rank
    from output
    where has_line_all = 0 or form = 'all'
    group by material, stage, year, source, country
),

shares as (
    select
        material,
        stage,
        year,
        source,
        country,
        production_t,
        max(case when country = 'WLD' then production_t end) over (
            partition by material, stage, year, source
        ) as world_printed_t,
        weight,
        weight / nullif(sum(weight) over (partition by material, stage, year, source), 0.0) as share,
        basis,
        vintage,
        evidence_rank
    from countries
)

select
    material,
    stage,
    year,
    source,
    country,
    production_t,
    world_printed_t,
    share,
    row_number() over (
        partition by material, stage, year, source
        order by case when country = 'OTH' then 1 else 0 end, coalesce(weight, 0.0) desc, country
    ) as place,
    basis,
    vintage,
    evidence_rank
from shares
where country <> 'WLD'
