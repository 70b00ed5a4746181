select
    material,
    name,
    basis,
    critical_us_2025,
    critical_eu_2023
from {{ ref('stg_canonical__material') }}
