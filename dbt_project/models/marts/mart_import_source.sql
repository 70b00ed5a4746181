select
    importer,
    commodity,
    form,
    first_year,
    last_year,
    iso3 as country,
    vintage,
    material,
    stage,
    share,
    share_low,
    share_high,
    token,
    basis,
    source,
    evidence
from {{ ref('stg_canonical__import_source') }}
