select
    table_name,
    source,
    vintage,
    reason,
    row_count as rows
from {{ ref('stg_canonical__dropped') }}
