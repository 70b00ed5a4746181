-- Largest supplier, number of suppliers and the interval of the HHI of each list of import shares. A censored share
-- (>99) ranks by its middle and enters the interval with its bounds.
with ranked as (
    select
        importer,
        material,
        stage,
        year,
        country,
        import_share,
        coalesce(import_share_low, import_share, 0.0) as share_low,
        coalesce(import_share_high, import_share, 0.0) as share_high,
        share_basis,
        share_period,
        source,
        vintage,
        evidence,
        row_number() over (
            partition by importer, material, stage, year
            order by
                case when country = 'OTH' then 1 else 0 end,
                coalesce(import_share, (import_share_low + import_share_high) / 2.0, 0.0) desc,
                country
        ) as place
    from {{ ref('int_import__shares') }}
),

lists as (
    select
        importer,
        material,
        stage,
        year,
        max(case when place = 1 and country <> 'OTH' then country end) as top_supplier,
        max(case when place = 1 and country <> 'OTH' then import_share end) as top_supplier_import_share,
        cast(sum(case when country <> 'OTH' and share_high > 0 then 1 else 0 end) as int) as suppliers,
        sum(case when country <> 'OTH' then share_low * share_low else 0.0 end) as sum_of_squares_low,
        sum(case when country <> 'OTH' then share_high * share_high else 0.0 end) as sum_of_squares_high,
        sum(case when country = 'OTH' then share_high else 0.0 end) as residual,
        min(case when country <> 'OTH' and share_high > 0 then share_high end) as smallest,
        max(share_basis) as share_basis,
        max(share_period) as share_period,
        max(source) as share_source,
        max(vintage) as share_vintage,
        max({{ evidence_rank('evidence') }}) as evidence_rank
    from ranked
    group by importer, material, stage, year
)

select
    importer,
    material,
    stage,
    year,
    top_supplier,
    top_supplier_import_share,
    suppliers,
    {{ hhi_low('sum_of_squares_low') }} as hhi_low,
    least({{ hhi_high('sum_of_squares_high', 'residual', 'smallest') }}, 10000.0) as hhi_high,
    share_basis,
    share_period,
    share_source,
    share_vintage,
    evidence_rank
from lists
