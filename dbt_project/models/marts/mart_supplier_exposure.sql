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
    shares.import_share * supply.imports_t / nullif(supply.supply_t, 0.0) as face_value_share,
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
