-- Each country's share of a stage's world output. A line `all` stands alone, else the lines of the stage are added up;
-- lines that only print a world total take no part, and lines that count different things cannot be added.
-- Published shares are brought to a sum of one like tonnes, so that rounding does not move the HHI.
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
        max(case when form = 'all' and not is_total and share is not null then 1 else 0 end) over (
            partition by material, stage, year, source
        ) as has_line_all,
        max(case when is_total then 0 else 1 end) over (
            partition by material, stage, form, year, source
        ) as has_countries,
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
        min(basis) as basis,
        max(basis) as other_basis,
        max(vintage) as vintage,
        max({{ evidence_rank('evidence') }}) as evidence_rank
    from output
    where
        has_countries = 1
        and (has_line_all = 0 or form = 'all')
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
        min(basis) over (partition by material, stage, year, source) as first_basis,
        max(other_basis) over (partition by material, stage, year, source) as last_basis,
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
where
    country <> 'WLD'
    and first_basis = last_basis
