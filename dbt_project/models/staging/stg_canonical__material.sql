select
    cast(material as string) as material,
    cast(name as string) as name,
    cast(basis as string) as basis,
    cast(critical_us_2025 as boolean) as critical_us_2025,
    cast(critical_eu_2023 as boolean) as critical_eu_2023,
    cast(note as string) as note
from {{ source('canonical', 'material') }}
