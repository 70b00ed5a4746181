select
    cast("table" as string) as table_name,  -- noqa: RF06
    cast(source as string) as source,
    cast(vintage as string) as vintage,
    cast(reason as string) as reason,
    cast("rows" as int) as row_count  -- noqa: RF06
from {{ source('canonical', 'dropped') }}
