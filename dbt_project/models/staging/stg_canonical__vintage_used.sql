select
    cast(source as string) as source,
    cast(vintage as string) as vintage,
    cast(origin as string) as origin,
    cast(raw_vintage as string) as raw_vintage,
    cast(publisher as string) as publisher,
    cast(title as string) as title,
    cast(licence as string) as licence,
    cast(citation as string) as citation,
    cast(retrieved as string) as retrieved,
    cast(content_sha256 as string) as content_sha256
from {{ source('canonical', 'vintage_used') }}
