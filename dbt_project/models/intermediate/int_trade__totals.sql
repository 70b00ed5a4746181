-- What each economy imported and exported at a stage; exports come from the publisher that covers the exporter best.
-- Tonnes that leave out more than five percent of the value are no total and stay unknown.
with imports as (
    select
        importer,
        material,
        stage,
        year,
        source as trade_source,
        vintage as trade_vintage,
        case
            when {{ tonnes_cover_the_value('quantity_t', 'value_usd') }} then sum(quantity_t)
        end as imports_t,
        case
            when {{ tonnes_cover_the_value('quantity_t', 'value_usd') }} then sum(quantity_t_low)
        end as imports_t_low,
        case
            when {{ tonnes_cover_the_value('quantity_t', 'value_usd') }} then sum(quantity_t_high)
        end as imports_t_high,
        sum(value_usd) as imports_usd,
        max({{ evidence_rank('evidence') }}) as evidence_rank
    from {{ ref('int_trade__flows') }}
    group by importer, material, stage, year, source, vintage
),

export_side as (
    select
        exporter,
        material,
        stage,
        year,
        source,
        vintage,
        case
            when {{ tonnes_cover_the_value('quantity_t', 'value_usd') }} then sum(quantity_t)
        end as exports_t,
        row_number() over (
            partition by exporter, material, stage, year
            order by
                case when sum(quantity_t) > 0 then 0 else 1 end,
                sum(value_usd) desc,
                min({{ source_rank('source') }}),
                vintage desc
        ) as choice
    from {{ ref('stg_canonical__stage_flow') }}
    where
        exporter <> importer
        and exporter <> 'WLD'
        and importer <> 'WLD'
    group by exporter, material, stage, year, source, vintage
)

select
    imports.importer,
    imports.material,
    imports.stage,
    imports.year,
    imports.imports_t,
    imports.imports_t_low,
    imports.imports_t_high,
    imports.imports_usd,
    export_side.exports_t,
    imports.trade_source,
    imports.trade_vintage,
    imports.evidence_rank
from imports
left join export_side
    on
        imports.importer = export_side.exporter
        and imports.material = export_side.material
        and imports.stage = export_side.stage
        and imports.year = export_side.year
        and export_side.choice = 1
