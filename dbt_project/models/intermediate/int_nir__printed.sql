-- United States net import reliance, the latest edition that prints the year, one figure per material and stage.
with printed as (
    select
        commodity,
        material,
        stage,
        detail,
        year,
        value,
        value_low,
        value_high,
        token,
        source,
        vintage,
        evidence,
        row_number() over (
            partition by material, stage, year
            order by vintage desc, commodity asc, detail asc
        ) as choice
    from {{ ref('stg_canonical__us_salient') }}
    where
        statistic = 'net_import_reliance'
        and material is not null
        and stage is not null
)

select
    material,
    stage,
    year,
    commodity,
    detail,
    value as nir_pct,
    value_low as nir_low_pct,
    value_high as nir_high_pct,
    token as nir_token,
    source as nir_source,
    vintage as nir_vintage,
    evidence
from printed
where choice = 1
