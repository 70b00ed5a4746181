select
    cast(material as string) as material,
    cast(stage as string) as stage,
    cast(form as string) as form,
    cast(scope as string) as scope,
    cast(iso3 as string) as iso3,
    cast(first_year as int) as first_year,
    cast(last_year as int) as last_year,
    cast(share as double) as share,
    cast(share_low as double) as share_low,
    cast(share_high as double) as share_high,
    cast(quantity_t as double) as quantity_t,
    cast(token as string) as token,
    cast(trade_factor as double) as trade_factor,
    cast(source as string) as source,
    cast(vintage as string) as vintage,
    cast(evidence as string) as evidence
from {{ source('canonical', 'supply_share') }}
