-- A row for every stage that trade records or a printed reliance reach, one row with stage `none` where neither does.
with reliance as (
    select
        markets.event,
        markets.material,
        markets.importer,
        nir.stage,
        max(case when nir.year = markets.year_before then nir.nir_pct end) as nir_before_pct,
        max(case when nir.year = markets.year_before then nir.nir_token end) as nir_before_token,
        max(case when nir.year = markets.year_before then nir.nir_vintage end) as nir_before_vintage,
        max(case when nir.year = markets.year_after then nir.nir_pct end) as nir_after_pct,
        max(case when nir.year = markets.year_after then nir.nir_token end) as nir_after_token,
        max(case when nir.year = markets.year_after then nir.nir_vintage end) as nir_after_vintage,
        max(nir.nir_source) as nir_source
    from {{ ref('int_policy__markets') }} as markets
    inner join {{ ref('int_nir__printed') }} as nir
        on markets.measured_material = nir.material
    where
        markets.importer = 'USA'
        and nir.year in (markets.year_before, markets.year_after)
        and (markets.stages is null or concat(';', markets.stages, ';') like concat('%;', nir.stage, ';%'))
    group by markets.event, markets.material, markets.importer, nir.stage
),

reached as (
    select
        event,
        material,
        importer,
        stage
    from {{ ref('int_policy__dependence') }}
    union distinct
    select
        event,
        material,
        importer,
        stage
    from reliance
)

select
    events.event,
    events.event_date,
    events.date_precision,
    events.effective,
    events.suspended,
    events.suspended_until,
    markets.effect_year,
    events.jurisdiction,
    events.counterparty,
    events.kind,
    events.instrument,
    events.statement,
    events.material,
    events.measured_material,
    events.stages,
    markets.importer,
    coalesce(reached.stage, 'none') as stage,
    coalesce(dependence.supplier, events.supplier) as supplier,
    case
        when dependence.supplier is not null then dependence.supplier_basis
        when events.supplier is not null then 'named'
    end as supplier_basis,
    markets.year_before,
    markets.year_after,
    dependence.share_before,
    dependence.share_after,
    100.0 * (dependence.share_after - dependence.share_before) as share_change_pp,
    dependence.share_hs_codes,
    dependence.share_basis,
    dependence.share_source,
    dependence.share_vintage,
    dependence.share_evidence,
    case
        when dependence.share_before is not null and dependence.share_after is not null then null
        when events.measured_material is null then 'the event names no single material'
        when dependence.stage is null then 'no yearly trade record of this material and stage reaches either year'
        when dependence.has_before = 0 then 'the trade record does not reach the year before'
        when dependence.has_after = 0 then 'the trade record does not reach the year after'
        else 'the supplier is not among the flows recorded in one of the years'
    end as share_reason,
    reliance.nir_before_pct,
    reliance.nir_before_token,
    reliance.nir_before_vintage,
    reliance.nir_after_pct,
    reliance.nir_after_token,
    reliance.nir_after_vintage,
    reliance.nir_source,
    case
        when reliance.nir_before_token is not null and reliance.nir_after_token is not null then null
        when events.measured_material is null then 'the event names no single material'
        when markets.importer <> 'USA' then 'printed for the United States only'
        when reliance.stage is null then 'not printed for this material and stage in either year'
        when reliance.nir_before_token is null then 'not printed for the year before'
        else 'not printed for the year after'
    end as nir_reason,
    events.authority_no,
    events.citation,
    events.url,
    events.confidence,
    events.listed_in,
    events.evidence
from {{ ref('stg_canonical__policy_event') }} as events
inner join {{ ref('int_policy__markets') }} as markets
    on
        events.event = markets.event
        and events.material = markets.material
left join reached
    on
        markets.event = reached.event
        and markets.material = reached.material
        and markets.importer = reached.importer
left join {{ ref('int_policy__dependence') }} as dependence
    on
        reached.event = dependence.event
        and reached.material = dependence.material
        and reached.importer = dependence.importer
        and reached.stage = dependence.stage
left join reliance
    on
        reached.event = reliance.event
        and reached.material = reliance.material
        and reached.importer = reliance.importer
        and reached.stage = reliance.stage
