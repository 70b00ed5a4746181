-- What a report that stops at mining and oxides sees of an importer's dependence, against the whole traced chain: the
-- largest face value share of one foreign country at the first stages beside the largest processed-in share at the
-- last one (methods sections 1 and 3).
with traced_stages as (
    select distinct
        material,
        year,
        stage
    from {{ ref('int_traced__markets') }}
),

compound as (
    select position
    from {{ ref('stg_canonical__stage') }}
    where stage = 'compound'
),

stages as (
    select
        traced_stages.material,
        traced_stages.year,
        traced_stages.stage,
        stage.position,
        max(stage.position) over (partition by traced_stages.material, traced_stages.year) as last_position,
        stage.position <= compound.position as is_early
    from traced_stages
    inner join {{ ref('stg_canonical__stage') }} as stage
        on traced_stages.stage = stage.stage
    cross join compound
),

chains as (
    select
        material,
        year,
        max(case when position = last_position then stage end) as last_stage,
        {{ ordered_list('stage', 'position') }} as chain_stages,
        {{ ordered_list("case when is_early and position < last_position then stage end", 'position') }} as first_stages
    from stages
    group by material, year
),

first_stages as (
    select
        material,
        year,
        stage,
        position
    from stages
    where is_early and position < last_position
),

seen as (
    select
        markets.importer,
        markets.material,
        markets.year,
        markets.stage,
        markets.face_value_supplier,
        markets.face_value_supplier_share,
        row_number() over (
            partition by markets.importer, markets.material, markets.year
            order by coalesce(markets.face_value_supplier_share, 0.0) desc, first_stages.position
        ) as choice
    from {{ ref('int_traced__markets') }} as markets
    inner join first_stages
        on
            markets.material = first_stages.material
            and markets.year = first_stages.year
            and markets.stage = first_stages.stage
),

-- What each country sells the importer at the first stages.
early_exposure as (
    select
        exposure.importer,
        exposure.material,
        exposure.year,
        exposure.country,
        max(exposure.face_value_share) as face_value_share
    from {{ ref('stg_traced__exposure') }} as exposure
    inner join first_stages
        on
            exposure.material = first_stages.material
            and exposure.year = first_stages.year
            and exposure.stage = first_stages.stage
    group by exposure.importer, exposure.material, exposure.year, exposure.country
),

compared as (
    select
        markets.importer,
        markets.material,
        markets.year,
        chains.chain_stages,
        chains.first_stages,
        seen.stage as seen_stage,
        seen.face_value_supplier as seen_country,
        case
            when chains.first_stages is not null then coalesce(seen.face_value_supplier_share, 0.0)
        end as seen_share,
        chains.last_stage,
        markets.top_processor as lead_country,
        markets.top_processor_share as lead_processed_in_share,
        markets.top_processor_share_low as lead_processed_in_share_low,
        markets.top_processor_share_high as lead_processed_in_share_high,
        markets.top_processor_face_value_share as lead_face_value_share,
        case
            when chains.first_stages is not null then coalesce(early_exposure.face_value_share, 0.0)
        end as lead_seen_share,
        markets.unexplained_share,
        markets.evidence_rank
    from {{ ref('int_traced__markets') }} as markets
    inner join chains
        on
            markets.material = chains.material
            and markets.year = chains.year
            and markets.stage = chains.last_stage
    left join seen
        on
            markets.importer = seen.importer
            and markets.material = seen.material
            and markets.year = seen.year
            and seen.choice = 1
            and seen.face_value_supplier is not null
    left join early_exposure
        on
            markets.importer = early_exposure.importer
            and markets.material = early_exposure.material
            and markets.year = early_exposure.year
            and markets.top_processor = early_exposure.country
    where markets.top_processor is not null
)

select
    importer,
    material,
    year,
    chain_stages,
    first_stages,
    seen_stage,
    seen_country,
    seen_share,
    last_stage,
    lead_country,
    lead_processed_in_share,
    lead_processed_in_share_low,
    lead_processed_in_share_high,
    lead_face_value_share,
    lead_seen_share,
    100.0 * (lead_processed_in_share - seen_share) as blind_pp,
    100.0 * (lead_processed_in_share_low - seen_share) as blind_low_pp,
    100.0 * (lead_processed_in_share_high - seen_share) as blind_high_pp,
    unexplained_share,
    {{ evidence_name('evidence_rank') }} as evidence
from compared
