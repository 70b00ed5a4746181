select
    cast(commodity as string) as commodity,
    cast(material as string) as material,
    cast(stage as string) as stage,
    cast(statistic as string) as statistic,
    cast(detail as string) as detail,
    cast(year as int) as year,
    cast(value as double) as value,
    cast(value_low as double) as value_low,
    cast(value_high as double) as value_high,
    cast(token as string) as token,
    cast(unit as string) as unit,
    cast(basis as string) as basis,
    cast(source as string) as source,
    cast(vintage as string) as vintage,
    cast(evidence as string) as evidence
from {{ source('canonical', 'us_salient') }}
