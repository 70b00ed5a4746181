select
    cast(year as int) as year,
    cast(exporter as string) as exporter,
    cast(importer as string) as importer,
    cast(material as string) as material,
    cast(stage as string) as stage,
    cast(quantity_t as double) as quantity_t,
    cast(quantity_t_low as double) as quantity_t_low,
    cast(quantity_t_high as double) as quantity_t_high,
    cast(value_usd as double) as value_usd,
    cast(basis as string) as basis,
    cast(hs_codes as string) as hs_codes,
    cast(source as string) as source,
    cast(vintage as string) as vintage,
    cast(evidence as string) as evidence
from {{ source('canonical', 'stage_flow') }}
