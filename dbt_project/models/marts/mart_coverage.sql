-- Every stage of a material that any publisher ever covers, in every year that the world lists reach: a cell without
-- output is a row with status missing, never an absent row.
with known_stages as (
    select distinct
        material,
        stage
    from {{ ref('int_coverage__facts') }}
),

known_years as (
    select distinct year
    from {{ ref('int_production__latest') }}
),

cells as (
    select
        known_stages.material,
        known_stages.stage,
        known_years.year
    from known_stages
    cross join known_years
    union distinct
    select
        material,
        stage,
        year
    from {{ ref('int_coverage__facts') }}
    union distinct
    select
        material,
        stage,
        year
    from {{ ref('stg_traced__coverage') }}
),

origins as (
    select
        facts.material,
        facts.stage,
        facts.year,
        {{ text_list('used.origin') }} as origins
    from {{ ref('int_coverage__facts') }} as facts
    inner join {{ ref('stg_canonical__vintage_used') }} as used
        on
            facts.vintage = used.vintage
            -- what is derived from trade carries the edition of the trade
            and (facts.source = used.source or facts.source = 'stage_flow')
    group by facts.material, facts.stage, facts.year
),

covered as (
    select
        material,
        stage,
        year,
        min(case when kind = 'production' and is_withheld = 0 then {{ evidence_rank('evidence') }} end) as best_rank,
        max(case when kind = 'production' and is_withheld = 0 then 1 else 0 end) as production_cells,
        max(case when kind = 'trade' then 1 else 0 end) as trade_cells,
        max(case when kind = 'import_sources' then 1 else 0 end) as import_source_cells,
        max(case when kind = 'nir' then 1 else 0 end) as nir_cells,
        count(distinct case
            when kind = 'production' and is_withheld = 0 and evidence = 'reported' and country <> 'OTH' then country
        end) as countries_reported,
        count(distinct case
            when kind = 'production' and is_withheld = 0 and evidence <> 'reported' and country <> 'OTH' then country
        end) as countries_estimated,
        count(distinct case when kind = 'production' and is_withheld = 1 then country end) as countries_withheld,
        {{ text_list('source') }} as sources,
        {{ text_list("concat_ws('', source, ' ', vintage)") }} as vintages
    from {{ ref('int_coverage__facts') }}
    group by material, stage, year
),

conflicts as (
    select
        material,
        stage,
        year,
        cast(count(*) as int) as conflicts,
        {{ text_list("concat_ws('', iso3, ' ', source, ' ', " ~ one_decimal('quantity_t') ~ ", ' against ', "
           ~ "replace(alternatives, '; ', ', '))") }} as conflict_figures
    from {{ ref('stg_canonical__stage_production') }}
    where conflict
    group by material, stage, year
)

select
    cells.material,
    cells.stage,
    cells.year,
    coalesce({{ evidence_name('covered.best_rank') }}, 'missing') as status,
    coalesce(covered.production_cells, 0) = 1 as has_production,
    coalesce(covered.trade_cells, 0) = 1 as has_trade,
    coalesce(covered.import_source_cells, 0) = 1 as has_import_sources,
    coalesce(covered.nir_cells, 0) = 1 as has_nir,
    cast(coalesce(covered.countries_reported, 0) as int) as countries_reported,
    cast(coalesce(covered.countries_estimated, 0) as int) as countries_estimated,
    cast(coalesce(covered.countries_withheld, 0) as int) as countries_withheld,
    covered.sources,
    covered.vintages,
    origins.origins,
    coalesce(conflicts.conflicts, 0) as conflicts,
    conflicts.conflict_figures,
    chain.chain_status,
    chain.chain_reason,
    chain.ingredient_years,
    chain.chain_sources,
    case
        when coalesce(covered.production_cells, 0) = 0 and cells.stage = 'mine'
            then 'No output by country: a USGS Mineral Commodity Summaries world table of this year would open it.'
        when coalesce(covered.production_cells, 0) = 0
            then concat(
                'No output by country at this stage: refinery and plant statistics (IEA dataset, ',
                'USGS Minerals Yearbook, national agencies) would open it.'
            )
        when coalesce(covered.trade_cells, 0) = 0
            then 'No trade by partner: CEPII BACI or UN Comtrade for the headings of this stage and year would open it.'
        when chain.chain_status = 'blind'
            then concat_ws(
                '', 'Not traced (', chain.chain_reason, '): trade in tonnes between all countries for the headings of ',
                'this stage and year (CEPII BACI, UN Comtrade) would open it.'
            )
        when coalesce(covered.countries_withheld, 0) > 0
            then 'Output of some countries is withheld by the publisher: company reports would open it.'
    end as gap
from cells
left join covered
    on
        cells.material = covered.material
        and cells.stage = covered.stage
        and cells.year = covered.year
left join origins
    on
        cells.material = origins.material
        and cells.stage = origins.stage
        and cells.year = origins.year
left join conflicts
    on
        cells.material = conflicts.material
        and cells.stage = conflicts.stage
        and cells.year = conflicts.year
left join {{ ref('stg_traced__coverage') }} as chain
    on
        cells.material = chain.material
        and cells.stage = chain.stage
        and cells.year = chain.year
