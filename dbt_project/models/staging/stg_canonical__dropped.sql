-- `table` and `rows` are words of SQL, and engines quote names differently; behind a dot they are names everywhere.
select
    cast(dropped.table as string) as table_name,
    cast(dropped.source as string) as source,
    cast(dropped.vintage as string) as vintage,
    cast(dropped.reason as string) as reason,
    cast(dropped.rows as int) as row_count
from {{ source('canonical', 'dropped') }} as dropped
