-- Import sources and the traced network side by side: a row is there when either has the country.
with traced_markets as (
    select distinct
        importer,
        material,
        stage,
        year
    from {{ ref('stg_traced__exposure') }}
),

imports as (
    select
        shares.importer,
        shares.material,
        shares.stage,
        shares.year,
        shares.country,
        shares.import_share,
        shares.import_share_low,
        shares.import_share_high,
        -- M/S with M = share of all imports: the printed share stands for the mix, the trade statistics for the level.
        -- A traced market has one definition only, that of the network.
        case
            when traced_markets.importer is null
                then shares.import_share * supply.imports_t / nullif(supply.supply_t, 0.0)
        end as face_value_share,
        shares.imports_t,
        shares.imports_usd,
        shares.share_basis,
        shares.share_period,
        shares.source,
        shares.vintage,
        shares.evidence
    from {{ ref('int_import__shares') }} as shares
    left join {{ ref('int_supply__by_stage') }} as supply
        on
            shares.importer = supply.importer
            and shares.material = supply.material
            and shares.stage = supply.stage
            and shares.year = supply.year
    left join traced_markets
        on
            shares.importer = traced_markets.importer
            and shares.material = traced_markets.material
            and shares.stage = traced_markets.stage
            and shares.year = traced_markets.year
)

select
    coalesce(imports.importer, traced.importer) as importer,
    coalesce(imports.material, traced.material) as material,
    coalesce(imports.stage, traced.stage) as stage,
    coalesce(imports.year, traced.year) as year,
    coalesce(imports.country, traced.country) as country,
    imports.import_share,
    imports.import_share_low,
    imports.import_share_high,
    coalesce(traced.face_value_share, imports.face_value_share) as face_value_share,
    traced.face_value_share_low,
    traced.face_value_share_high,
    case
        when traced.face_value_share is not null then 'traced' when imports.face_value_share is not null then 'imports'
    end as face_value_basis,
    traced.made_in_share,
    traced.made_in_share_low,
    traced.made_in_share_high,
    traced.import_made_in_share,
    traced.import_made_in_share_low,
    traced.import_made_in_share_high,
    traced.processed_in_share,
    traced.processed_in_share_low,
    traced.processed_in_share_high,
    traced.processed_in_share_p05,
    traced.processed_in_share_p50,
    traced.processed_in_share_p95,
    traced.mine_origin_share,
    traced.hidden_share,
    traced.draws,
    traced.seed,
    traced.evidence as traced_evidence,
    imports.imports_t,
    imports.imports_usd,
    imports.share_basis,
    imports.share_period,
    imports.source,
    imports.vintage,
    coalesce(imports.evidence, traced.evidence) as evidence
from imports
full outer join {{ ref('stg_traced__exposure') }} as traced
    on
        imports.importer = traced.importer
        and imports.material = traced.material
        and imports.stage = traced.stage
        and imports.year = traced.year
        and imports.country = traced.country
