select
    cast(material as string) as material,
    cast(year as int) as year,
    cast(stage as string) as stage,
    cast(importer as string) as importer,
    cast(country as string) as country,
    cast(via as string) as via,
    cast(share as double) as share
from {{ source('traced', 'via') }}
