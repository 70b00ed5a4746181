select
    cast(importer as string) as importer,
    cast(material as string) as material,
    cast(stage as string) as stage,
    cast(line as string) as line,
    cast(iso3 as string) as iso3,
    cast(year as int) as year,
    cast(quantity_gross_t as double) as quantity_gross_t,
    cast(quantity_t as double) as quantity_t,
    cast(token as string) as token,
    cast(source as string) as source,
    cast(vintage as string) as vintage,
    cast(evidence as string) as evidence
from {{ source('canonical', 'import_line') }}
