-- Flows into each importer from the one publisher that covers the cell best: one that gives tonnes, then the one that
-- records more trade. `coverage` says whether all pairs of countries, only main flows or only selected partners are in.
-- The statistics of one country say what that country imports. Of any other importer they hold one seller alone, which
-- is neither its imports nor a share of them.
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
        hs_codes,
        source,
        vintage,
        evidence
    from {{ ref('stg_canonical__stage_flow') }}
    where
        exporter <> importer
        and exporter <> 'WLD'
        and importer <> 'WLD'
        and not (source in ('usitc', 'census') and importer <> 'USA')
),

codes as (
    select
        source,
        vintage,
        year,
        hs_code,
        min(case scope when 'all_pairs' then 1 when 'selected_partners' then 2 else 3 end) as scope_rank
    from {{ ref('stg_canonical__trade_flow') }}
    where scope not in ('world_total', 'country_total')
    group by source, vintage, year, hs_code
),

cells as (
    select distinct
        source,
        vintage,
        year,
        hs_codes
    from {{ ref('stg_canonical__stage_flow') }}
),

-- A row made of several codes is as complete as its least complete code.
scopes as (
    select
        cells.source,
        cells.vintage,
        cells.year,
        cells.hs_codes,
        max(codes.scope_rank) as scope_rank
    from cells
    inner join codes
        on
            cells.source = codes.source
            and cells.vintage = codes.vintage
            and cells.year = codes.year
            and concat(';', cells.hs_codes, ';') like concat('%;', codes.hs_code, ';%')
    group by cells.source, cells.vintage, cells.year, cells.hs_codes
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
                sum(value_usd) desc,
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
    case scopes.scope_rank
        when 1 then 'all pairs' when 2 then 'selected partners' else 'main flows'
    end as coverage,
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
left join scopes
    on
        flows.source = scopes.source
        and flows.vintage = scopes.vintage
        and flows.year = scopes.year
        and flows.hs_codes = scopes.hs_codes
where import_side.choice = 1
