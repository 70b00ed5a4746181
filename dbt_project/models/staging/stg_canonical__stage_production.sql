select
    cast(material as string) as material,
    cast(stage as string) as stage,
    cast(iso3 as string) as iso3,
    cast(year as int) as year,
    cast(quantity_t as double) as quantity_t,
    cast(quantity_t_low as double) as quantity_t_low,
    cast(quantity_t_high as double) as quantity_t_high,
    cast(basis as string) as basis,
    cast(source as string) as source,
    cast(vintage as string) as vintage,
    cast(evidence as string) as evidence,
    cast(method as string) as method,
    cast(alternatives as string) as alternatives,
    cast(conflict as boolean) as conflict
from {{ source('canonical', 'stage_production') }}
