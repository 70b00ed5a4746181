-- Who an importer's imports of a stage come from: printed import sources first, else tonnes, else value of flows.
with flow_groups as (
    select
        importer,
        material,
        stage,
        year,
        sum(quantity_t) as total_t,
        sum(value_usd) as total_usd,
        {{ tonnes_cover_the_value('quantity_t', 'value_usd') }} as is_covered,
        max(coverage) as coverage
    from {{ ref('int_trade__flows') }}
    group by importer, material, stage, year
),

flow_basis as (
    select
        importer,
        material,
        stage,
        year,
        total_t,
        total_usd,
        coverage,
        coalesce(total_t, 0.0) > 0 and is_covered as by_tonnes
    from flow_groups
),

by_flow as (
    select
        flows.importer,
        flows.material,
        flows.stage,
        flows.year,
        flows.exporter as country,
        case
            when flow_basis.by_tonnes then flows.quantity_t / flow_basis.total_t
            else flows.value_usd / nullif(flow_basis.total_usd, 0.0)
        end as import_share,
        flows.quantity_t as imports_t,
        flows.value_usd as imports_usd,
        concat_ws(
            '', case when flow_basis.by_tonnes then 'tonnes contained' else 'value' end, ', ', flow_basis.coverage
        ) as share_basis,
        cast(flows.year as string) as share_period,
        flows.source,
        flows.vintage,
        flows.evidence
    from {{ ref('int_trade__flows') }} as flows
    inner join flow_basis
        on
            flows.importer = flow_basis.importer
            and flows.material = flow_basis.material
            and flows.stage = flow_basis.stage
            and flows.year = flow_basis.year
),

has_print as (
    select distinct
        importer,
        material,
        stage,
        year
    from {{ ref('int_import__printed_by_year') }}
)

select
    printed.importer,
    printed.material,
    printed.stage,
    printed.year,
    printed.country,
    printed.import_share,
    printed.import_share_low,
    printed.import_share_high,
    by_flow.imports_t,
    by_flow.imports_usd,
    printed.share_basis,
    printed.share_period,
    printed.source,
    printed.vintage,
    printed.evidence
from {{ ref('int_import__printed_by_year') }} as printed
left join by_flow
    on
        printed.importer = by_flow.importer
        and printed.material = by_flow.material
        and printed.stage = by_flow.stage
        and printed.year = by_flow.year
        and printed.country = by_flow.country
union all
select
    by_flow.importer,
    by_flow.material,
    by_flow.stage,
    by_flow.year,
    by_flow.country,
    by_flow.import_share,
    by_flow.import_share as import_share_low,
    by_flow.import_share as import_share_high,
    by_flow.imports_t,
    by_flow.imports_usd,
    by_flow.share_basis,
    by_flow.share_period,
    by_flow.source,
    by_flow.vintage,
    by_flow.evidence
from by_flow
left join has_print
    on
        by_flow.importer = has_print.importer
        and by_flow.material = has_print.material
        and by_flow.stage = has_print.stage
        and by_flow.year = has_print.year
where
    has_print.importer is null
    and by_flow.import_share is not null
