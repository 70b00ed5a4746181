with figures as (
    select
        concat_ws(
            '', source, '/us_salient/', commodity, '/', statistic, '/', detail, '/', coalesce(unit, ''), '/',
            cast(year as string)
        ) as figure,
        statistic,
        material,
        commodity,
        stage,
        'USA' as country,
        year,
        detail,
        source,
        vintage,
        value,
        value_low as low,
        value_high as high,
        token,
        unit
    from {{ ref('stg_canonical__us_salient') }}
    union all
    select
        concat_ws(
            '', source, '/production/', material, '/', stage, '/', form, '/', measure, '/', iso3, '/',
            cast(year as string)
        ) as figure,
        measure as statistic,
        material,
        cast(null as string) as commodity,
        stage,
        iso3 as country,
        year,
        form as detail,
        source,
        vintage,
        quantity_t as value,
        quantity_t_low as low,
        quantity_t_high as high,
        token,
        't' as unit
    from {{ ref('stg_canonical__production') }}
    union all
    select
        concat_ws(
            '', source, '/import_source/', importer, '/', commodity, '/', form, '/', iso3, '/',
            cast(first_year as string), '-', cast(last_year as string)
        ) as figure,
        'import_source' as statistic,
        material,
        commodity,
        stage,
        iso3 as country,
        last_year as year,
        form as detail,
        source,
        vintage,
        share as value,
        share_low as low,
        share_high as high,
        token,
        'share' as unit
    from {{ ref('stg_canonical__import_source') }}
),

editions as (
    select
        figure,
        vintage,
        statistic,
        material,
        commodity,
        stage,
        country,
        year,
        detail,
        source,
        value,
        low,
        high,
        token,
        unit,
        count(*) over (partition by figure) as edition_count,
        lag(vintage) over (partition by figure order by vintage) as previous_vintage,
        lag(value) over (partition by figure order by vintage) as previous_value,
        lag(token) over (partition by figure order by vintage) as previous_token,
        lead(vintage) over (partition by figure order by vintage) as next_vintage
    from figures
)

select
    figure,
    vintage,
    statistic,
    material,
    commodity,
    stage,
    country,
    year,
    detail,
    source,
    value,
    low,
    high,
    token,
    unit,
    previous_vintage,
    previous_value,
    previous_token,
    value - previous_value as change,
    100.0 * (value - previous_value) / nullif(abs(previous_value), 0.0) as change_pct,
    next_vintage is null as is_latest
from editions
where edition_count > 1
