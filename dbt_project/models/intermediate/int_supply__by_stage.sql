-- One row per importer, material, stage and year: own output, trade and what is supplied. A country that a complete
-- world list does not name produces nothing; where the list has an "other" line it produces between nothing and that.
with cells as (
    select
        importer,
        material,
        stage,
        year
    from {{ ref('int_trade__totals') }}
    union distinct
    select
        importer,
        material,
        stage,
        year
    from {{ ref('int_import__printed_by_year') }}
    union distinct
    select
        'USA' as importer,
        material,
        stage,
        year
    from {{ ref('int_nir__printed') }}
    union distinct
    select
        importer,
        material,
        stage,
        year
    from {{ ref('int_traced__markets') }}
),

lists as (
    select
        material,
        stage,
        year,
        source,
        max(vintage) as vintage,
        sum(case when country = 'OTH' then coalesce(production_t_high, production_t, 0.0) else 0.0 end) as other_t,
        max(
            case when country = 'OTH' and coalesce(production_t_high, production_t) is null then 1 else 0 end
        ) as other_unknown
    from {{ ref('int_output__by_country') }}
    where source = 'usgs_mcs' and not is_total
    group by material, stage, year, source
),

supply as (
    select
        cells.importer,
        cells.material,
        cells.stage,
        cells.year,
        case
            when own.country is not null then own.production_t
            when lists.other_unknown = 0 and lists.other_t = 0 then 0.0
        end as production_t,
        case
            when own.country is not null then own.production_t_low
            when lists.source is not null then 0.0
        end as production_t_low,
        case
            when own.country is not null then own.production_t_high
            when lists.other_unknown = 0 then lists.other_t
        end as production_t_high,
        coalesce(own.production_source, lists.source) as production_source,
        coalesce(own.production_vintage, lists.vintage) as production_vintage,
        case
            when own.country is not null then own.evidence_rank
            when lists.source is not null then 3
        end as production_evidence_rank,
        trade.imports_t,
        trade.imports_t_low,
        trade.imports_t_high,
        trade.imports_usd,
        trade.exports_t,
        trade.trade_source,
        trade.trade_vintage,
        trade.evidence_rank as trade_evidence_rank
    from cells
    left join {{ ref('int_production__own') }} as own
        on
            cells.importer = own.country
            and cells.material = own.material
            and cells.stage = own.stage
            and cells.year = own.year
    left join lists
        on
            cells.material = lists.material
            and cells.stage = lists.stage
            and cells.year = lists.year
    left join {{ ref('int_trade__totals') }} as trade
        on
            cells.importer = trade.importer
            and cells.material = trade.material
            and cells.stage = trade.stage
            and cells.year = trade.year
)

select
    importer,
    material,
    stage,
    year,
    production_t,
    production_t_low,
    production_t_high,
    production_source,
    production_vintage,
    imports_t,
    imports_t_low,
    imports_t_high,
    imports_usd,
    exports_t,
    production_t + imports_t as supply_t,
    production_t + imports_t - exports_t as apparent_consumption_t,
    case
        when production_t + imports_t - exports_t > 0
            then 100.0 * (imports_t - exports_t) / (production_t + imports_t - exports_t)
    end as nir_derived_pct,
    trade_source,
    trade_vintage,
    production_evidence_rank,
    trade_evidence_rank
from supply
