-- World output by country from statistics in tonnes and from published shares of world supply, in one shape.
with latest_share as (
    select
        material,
        stage,
        last_year,
        source,
        max(vintage) as vintage
    from {{ ref('stg_canonical__supply_share') }}
    where scope = 'global'
    group by material, stage, last_year, source
),

output as (
    select
        material,
        stage,
        form,
        country,
        year,
        production_t,
        production_t_low,
        production_t_high,
        cast(null as double) as printed_share,
        token,
        rounding_t,
        basis,
        source,
        vintage,
        evidence
    from {{ ref('int_production__latest') }}
    union all
    select
        supply_share.material,
        supply_share.stage,
        supply_share.form,
        supply_share.iso3 as country,
        supply_share.last_year as year,
        supply_share.quantity_t as production_t,
        supply_share.quantity_t as production_t_low,
        supply_share.quantity_t as production_t_high,
        supply_share.share as printed_share,
        supply_share.token,
        cast(null as double) as rounding_t,
        case
            when supply_share.first_year < supply_share.last_year
                then concat_ws(
                    '', 'share of world supply, average ',
                    cast(supply_share.first_year as string), '-', cast(supply_share.last_year as string)
                )
            else 'share of world supply'
        end as basis,
        supply_share.source,
        supply_share.vintage,
        supply_share.evidence
    from {{ ref('stg_canonical__supply_share') }} as supply_share
    inner join latest_share
        on
            supply_share.material = latest_share.material
            and supply_share.stage = latest_share.stage
            and supply_share.last_year = latest_share.last_year
            and supply_share.source = latest_share.source
            and supply_share.vintage = latest_share.vintage
    where supply_share.scope = 'global'
),

world as (
    select
        material,
        stage,
        form,
        year,
        source,
        max(case when country = 'WLD' then production_t end) as world_printed_t,
        sum(case when country <> 'WLD' then production_t end) as countries_t,
        sum(case when country <> 'WLD' then printed_share end) as countries_share
    from output
    group by material, stage, form, year, source
)

select
    output.material,
    output.stage,
    output.form,
    output.year,
    output.country,
    output.source,
    output.production_t,
    output.production_t_low,
    output.production_t_high,
    output.token,
    world.world_printed_t,
    output.rounding_t,
    case
        when output.country = 'WLD' then null
        when world.countries_t > 0 then output.production_t / world.countries_t
        when world.countries_share > 0 then output.printed_share / world.countries_share
    end as share,
    output.printed_share,
    output.country = 'WLD' as is_total,
    output.basis,
    output.vintage,
    output.evidence
from output
inner join world
    on
        output.material = world.material
        and output.stage = world.stage
        and output.form = world.form
        and output.year = world.year
        and output.source = world.source
