select
    iso3,
    name,
    kind,
    eu_member
from {{ ref('stg_canonical__country') }}
