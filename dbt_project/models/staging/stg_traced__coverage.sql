select
    cast(material as string) as material,
    cast(year as int) as year,
    cast(stage as string) as stage,
    cast(status as string) as chain_status,
    cast(reason as string) as chain_reason,
    cast(ingredient_years as string) as ingredient_years,
    cast(sources as string) as chain_sources
from {{ source('traced', 'coverage') }}
