-- Flows into each importer from the one publisher that covers the cell best: one that gives tonnes, then the most complete.
with flows as (
    select
        year,
        exporter,
        importer,
        material,
        stage,
        quantity_t,
        quantity_t_low,
        quantity_t_high,
        value_usd,
        basis,
        source,
        vintage,
        evidence
    from {{ ref('stg_canonical__stage_flow') }}
    where
        exporter <> importer
        and exporter <> 'WLD'
        and importer <> 'WLD'
),

import_side as (
    select
        importer,
        material,
        stage,
        year,
        source,
        vintage,
        row_number() over (
            partition by importer, material, stage, year
            order by
                case when sum(quantity_t) > 0 then 0 else 1 end,
                min({{ source_rank('source') }}),
                vintage desc
        ) as choice
    from flows
    group by importer, material, stage, year, source, vintage
)

select
    flows.importer,
    flows.material,
    flows.stage,
    flows.year,
    flows.exporter,
    flows.quantity_t,
    flows.quantity_t_low,
    flows.quantity_t_high,
    flows.value_usd,
    flows.basis,
    flows.source,
    flows.vintage,
    flows.evidence
from flows
inner join import_side
    on
        flows.importer = import_side.importer
        and flows.material = import_side.material
        and flows.stage = import_side.stage
        and flows.year = import_side.year
        and flows.source = import_side.source
        and flows.vintage = import_side.vintage
where import_side.choice = 1
