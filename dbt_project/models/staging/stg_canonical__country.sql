select
    cast(iso3 as string) as iso3,
    cast(name as string) as name,
    cast(kind as string) as kind,
    cast(eu_member as boolean) as eu_member
from {{ source('canonical', 'country') }}
