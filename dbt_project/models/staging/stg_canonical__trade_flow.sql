select
    cast(year as int) as year,
    cast(exporter as string) as exporter,
    cast(importer as string) as importer,
    cast(hs_code as string) as hs_code,
    cast(hs_level as int) as hs_level,
    cast(hs_edition as string) as hs_edition,
    cast(flow as string) as flow,
    cast(value_usd as double) as value_usd,
    cast(quantity_gross_t as double) as quantity_gross_t,
    cast(scope as string) as scope,
    cast(source as string) as source,
    cast(vintage as string) as vintage,
    cast(evidence as string) as evidence
from {{ source('canonical', 'trade_flow') }}
