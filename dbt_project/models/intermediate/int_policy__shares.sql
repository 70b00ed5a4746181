-- Who an importer buys from, by value: tonnes are known for too few years to compare one with the next. One edition
-- per source and one line of customs codes at a time, so that neither a revision nor another set of codes is taken for
-- a change of supplier.
with latest as (
    select
        source,
        max(vintage) as vintage
    from {{ ref('stg_canonical__stage_flow') }}
    group by source
),

flows as (
    select
        flows.importer,
        flows.exporter,
        flows.material,
        flows.stage,
        flows.year,
        flows.hs_codes,
        flows.value_usd,
        {{ evidence_rank('flows.evidence') }} as evidence_rank,
        flows.source,
        flows.vintage
    from {{ ref('stg_canonical__stage_flow') }} as flows
    inner join latest
        on
            flows.source = latest.source
            and flows.vintage = latest.vintage
    where
        flows.exporter <> flows.importer
        and flows.exporter <> 'WLD'
        and flows.importer <> 'WLD'
        and flows.value_usd > 0
        -- Records of the United States alone hold of any other importer only what it buys there.
        and (flows.source not in ('usitc', 'census') or flows.importer = 'USA')
),

markets as (
    select
        importer,
        exporter,
        material,
        stage,
        year,
        hs_codes,
        value_usd,
        evidence_rank,
        source,
        vintage
    from flows
    union all
    select
        'EUU' as importer,
        flows.exporter,
        flows.material,
        flows.stage,
        flows.year,
        flows.hs_codes,
        flows.value_usd,
        flows.evidence_rank,
        flows.source,
        flows.vintage
    from flows
    inner join {{ ref('stg_canonical__country') }} as buyers
        on flows.importer = buyers.iso3
    left join {{ ref('stg_canonical__country') }} as sellers
        on flows.exporter = sellers.iso3
    where
        buyers.eu_member
        and not coalesce(sellers.eu_member, false)
),

by_country as (
    select
        importer,
        exporter as country,
        material,
        stage,
        year,
        hs_codes,
        source,
        vintage,
        sum(value_usd) as value_usd,
        max(evidence_rank) as evidence_rank
    from markets
    where importer in (select distinct concerned.importer from {{ ref('int_policy__markets') }} as concerned)
    group by importer, exporter, material, stage, year, hs_codes, source, vintage
)

select
    importer,
    material,
    stage,
    year,
    country,
    hs_codes,
    value_usd,
    value_usd / nullif(
        sum(value_usd) over (partition by importer, material, stage, year, hs_codes, source), 0.0
    ) as import_share,
    source,
    vintage,
    case when source = 'usitc' then 'value, selected partners' else 'value, flows recorded' end as share_basis,
    evidence_rank
from by_country
