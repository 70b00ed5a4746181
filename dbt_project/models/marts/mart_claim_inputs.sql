select
    claim,
    data_table,
    source,
    vintage,
    material,
    stage,
    line,
    importer,
    country,
    commodity,
    year,
    measure,
    value,
    part_weight,
    whole_weight,
    evidence
from {{ ref('int_claims__inputs') }}
