-- United States output from the salient statistics, latest edition, where exactly one line stands for the stage.
with latest as (
    select
        material,
        stage,
        year,
        source,
        max(vintage) as vintage
    from {{ ref('stg_canonical__us_salient') }}
    where
        statistic = 'production'
        and unit = 't'
        and material is not null
        and stage is not null
    group by material, stage, year, source
),

lines as (
    select
        us_salient.material,
        us_salient.stage,
        us_salient.year,
        us_salient.detail,
        us_salient.value,
        us_salient.value_low,
        us_salient.value_high,
        us_salient.source,
        us_salient.vintage,
        us_salient.evidence,
        count(*) over (
            partition by us_salient.material, us_salient.stage, us_salient.year, us_salient.source
        ) as line_count
    from {{ ref('stg_canonical__us_salient') }} as us_salient
    inner join latest
        on
            us_salient.material = latest.material
            and us_salient.stage = latest.stage
            and us_salient.year = latest.year
            and us_salient.source = latest.source
            and us_salient.vintage = latest.vintage
    where
        us_salient.statistic = 'production'
        and us_salient.unit = 't'
)

select
    material,
    stage,
    year,
    detail,
    value as production_t,
    value_low as production_t_low,
    value_high as production_t_high,
    source,
    vintage,
    evidence
from lines
where line_count = 1
