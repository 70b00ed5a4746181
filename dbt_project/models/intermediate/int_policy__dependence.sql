-- The supplier's share before and after in one line of one source: the one that reaches both years and, of those, the
-- one with the most trade.
with recorded as (
    select
        importer,
        material,
        stage,
        year,
        hs_codes,
        source,
        vintage,
        share_basis,
        sum(value_usd) as value_usd
    from {{ ref('int_policy__shares') }}
    group by importer, material, stage, year, hs_codes, source, vintage, share_basis
),

reach as (
    select
        markets.event,
        markets.material,
        markets.importer,
        recorded.stage,
        recorded.hs_codes,
        recorded.source,
        recorded.vintage,
        recorded.share_basis,
        markets.measured_material,
        markets.supplier,
        markets.year_before,
        markets.year_after,
        max(case when recorded.year = markets.year_before then 1 else 0 end) as has_before,
        max(case when recorded.year = markets.year_after then 1 else 0 end) as has_after,
        sum(recorded.value_usd) as value_usd
    from {{ ref('int_policy__markets') }} as markets
    inner join recorded
        on
            markets.importer = recorded.importer
            and markets.measured_material = recorded.material
    where
        recorded.year in (markets.year_before, markets.year_after)
        and (markets.stages is null or concat(';', markets.stages, ';') like concat('%;', recorded.stage, ';%'))
    group by
        markets.event,
        markets.material,
        markets.importer,
        recorded.stage,
        recorded.hs_codes,
        recorded.source,
        recorded.vintage,
        recorded.share_basis,
        markets.measured_material,
        markets.supplier,
        markets.year_before,
        markets.year_after
),

ranked as (
    select
        event,
        material,
        importer,
        stage,
        hs_codes,
        source,
        vintage,
        share_basis,
        measured_material,
        supplier,
        year_before,
        year_after,
        has_before,
        has_after,
        row_number() over (
            partition by event, material, importer, stage
            order by
                has_before + has_after desc,
                has_before desc,
                value_usd desc,
                hs_codes asc,
                {{ source_rank('source') }}
        ) as choice
    from reach
),

leads as (
    select
        importer,
        material,
        stage,
        year,
        hs_codes,
        source,
        country,
        row_number() over (
            partition by importer, material, stage, year, hs_codes, source
            order by import_share desc, country asc
        ) as place
    from {{ ref('int_policy__shares') }}
),

chosen as (
    select
        ranked.event,
        ranked.material,
        ranked.importer,
        ranked.stage,
        ranked.hs_codes,
        ranked.source,
        ranked.vintage,
        ranked.share_basis,
        ranked.measured_material,
        ranked.year_before,
        ranked.year_after,
        ranked.has_before,
        ranked.has_after,
        coalesce(ranked.supplier, leads.country) as supplier,
        case when ranked.supplier is not null then 'named' when leads.country is not null then 'lead' end
            as supplier_basis
    from ranked
    left join leads
        on
            ranked.importer = leads.importer
            and ranked.measured_material = leads.material
            and ranked.stage = leads.stage
            and ranked.source = leads.source
            and ranked.hs_codes = leads.hs_codes
            and ranked.year_before = leads.year
            and leads.place = 1
    where ranked.choice = 1
)

select
    chosen.event,
    chosen.material,
    chosen.importer,
    chosen.stage,
    chosen.supplier,
    chosen.supplier_basis,
    chosen.has_before,
    chosen.has_after,
    before_it.import_share as share_before,
    after_it.import_share as share_after,
    chosen.hs_codes as share_hs_codes,
    chosen.share_basis,
    chosen.source as share_source,
    chosen.vintage as share_vintage,
    {{ evidence_name('greatest(coalesce(before_it.evidence_rank, after_it.evidence_rank), '
       ~ 'coalesce(after_it.evidence_rank, before_it.evidence_rank))') }} as share_evidence
from chosen
left join {{ ref('int_policy__shares') }} as before_it
    on
        chosen.importer = before_it.importer
        and chosen.measured_material = before_it.material
        and chosen.stage = before_it.stage
        and chosen.source = before_it.source
        and chosen.hs_codes = before_it.hs_codes
        and chosen.year_before = before_it.year
        and chosen.supplier = before_it.country
left join {{ ref('int_policy__shares') }} as after_it
    on
        chosen.importer = after_it.importer
        and chosen.measured_material = after_it.material
        and chosen.stage = after_it.stage
        and chosen.source = after_it.source
        and chosen.hs_codes = after_it.hs_codes
        and chosen.year_after = after_it.year
        and chosen.supplier = after_it.country
