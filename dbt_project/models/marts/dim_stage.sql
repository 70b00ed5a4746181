select
    stage,
    position,
    name,
    definition
from {{ ref('stg_canonical__stage') }}
