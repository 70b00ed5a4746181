-- Policy events by importer. A year is counted from the day an event took effect.
select
    events.event,
    events.material,
    events.measured_material,
    importers.iso3 as importer,
    events.stages,
    events.supplier,
    cast(extract(year from coalesce(events.effective, events.event_date)) as int) as effect_year,
    cast(extract(year from coalesce(events.effective, events.event_date)) as int) - 1 as year_before,
    cast(extract(year from coalesce(events.effective, events.event_date)) as int) + 1 as year_after
from {{ ref('stg_canonical__policy_event') }} as events
inner join {{ ref('stg_canonical__country') }} as importers
    on concat(';', events.importers, ';') like concat('%;', importers.iso3, ';%')
