select
    cast("table" as string) as table_name,
    cast(source as string) as source,
    cast(vintage as string) as vintage,
    cast(reason as string) as reason,
    cast("rows" as int) as row_count
from {{ source('canonical', 'dropped') }}
