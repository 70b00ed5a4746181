select
    source,
    vintage,
    origin,
    raw_vintage,
    publisher,
    title,
    licence,
    citation,
    retrieved,
    content_sha256
from {{ ref('stg_canonical__vintage_used') }}
