select
    via.importer,
    via.material,
    via.stage,
    via.year,
    via.country,
    via.via,
    via.share,
    exposure.processed_in_share,
    exposure.evidence
from {{ ref('stg_traced__via') }} as via
left join {{ ref('stg_traced__exposure') }} as exposure
    on
        via.importer = exposure.importer
        and via.material = exposure.material
        and via.stage = exposure.stage
        and via.year = exposure.year
        and via.country = exposure.country
