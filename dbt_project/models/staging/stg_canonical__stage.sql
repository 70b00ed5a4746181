select
    cast(stage as string) as stage,
    cast(position as int) as position,
    cast(name as string) as name,
    cast(definition as string) as definition
from {{ source('canonical', 'stage') }}
