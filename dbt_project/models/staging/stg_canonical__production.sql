select
    cast(material as string) as material,
    cast(stage as string) as stage,
    cast(form as string) as form,
    cast(measure as string) as measure,
    cast(iso3 as string) as iso3,
    cast(year as int) as year,
    cast(quantity_t as double) as quantity_t,
    cast(quantity_t_low as double) as quantity_t_low,
    cast(quantity_t_high as double) as quantity_t_high,
    cast(token as string) as token,
    cast(unit_printed as string) as unit_printed,
    cast(rounding_t as double) as rounding_t,
    cast(basis as string) as basis,
    cast(source as string) as source,
    cast(vintage as string) as vintage,
    cast(evidence as string) as evidence
from {{ source('canonical', 'production') }}
