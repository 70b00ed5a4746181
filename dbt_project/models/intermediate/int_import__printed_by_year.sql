-- Printed import sources by year: a window stands for its last year, and the newest window also for the year after it
-- (then assumed). Latest edition only, and only where exactly one printed form stands for a material and stage: two
-- forms cannot be added without their tonnes.
with latest as (
    select
        importer,
        material,
        stage,
        last_year,
        source,
        max(vintage) as vintage
    from {{ ref('stg_canonical__import_source') }}
    where
        material is not null
        and stage is not null
    group by importer, material, stage, last_year, source
),

printed as (
    select
        import_source.importer,
        import_source.material,
        import_source.stage,
        import_source.iso3,
        import_source.first_year,
        import_source.last_year,
        import_source.share,
        import_source.share_low,
        import_source.share_high,
        import_source.basis,
        import_source.source,
        import_source.vintage,
        import_source.evidence,
        concat_ws('', import_source.commodity, '/', import_source.form) as line,
        min(concat_ws('', import_source.commodity, '/', import_source.form)) over (
            partition by import_source.importer, import_source.material, import_source.stage, import_source.last_year
        ) as first_line,
        max(concat_ws('', import_source.commodity, '/', import_source.form)) over (
            partition by import_source.importer, import_source.material, import_source.stage, import_source.last_year
        ) as last_line,
        max(import_source.last_year) over (
            partition by import_source.importer, import_source.material, import_source.stage
        ) as newest_year
    from {{ ref('stg_canonical__import_source') }} as import_source
    inner join latest
        on
            import_source.importer = latest.importer
            and import_source.material = latest.material
            and import_source.stage = latest.stage
            and import_source.last_year = latest.last_year
            and import_source.source = latest.source
            and import_source.vintage = latest.vintage
),

single as (
    select
        importer,
        material,
        stage,
        iso3 as country,
        last_year,
        newest_year,
        share,
        share_low,
        share_high,
        coalesce(basis, 'as printed') as share_basis,
        concat_ws(
            '', cast(first_year as string), '-', substr(cast(last_year as string), 3, 2)
        ) as share_period,
        source,
        vintage,
        evidence
    from printed
    where first_line = last_line
)

select
    importer,
    material,
    stage,
    last_year as year,
    country,
    share as import_share,
    share_low as import_share_low,
    share_high as import_share_high,
    share_basis,
    share_period,
    source,
    vintage,
    evidence
from single
union all
select
    importer,
    material,
    stage,
    last_year + 1 as year,
    country,
    share as import_share,
    share_low as import_share_low,
    share_high as import_share_high,
    share_basis,
    share_period,
    source,
    vintage,
    'assumed' as evidence
from single
where last_year = newest_year
