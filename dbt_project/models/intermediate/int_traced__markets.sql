-- One row per traced market: whom it depends on most, through whose plants the material passed and who sells it. The
-- importer itself and unspecified partners are no country to depend on.
with ranked as (
    select
        importer,
        material,
        stage,
        year,
        country,
        face_value_share,
        made_in_share,
        processed_in_share,
        processed_in_share_low,
        processed_in_share_high,
        mine_origin_share,
        hidden_share,
        evidence,
        row_number() over (
            partition by importer, material, stage, year
            order by
                case when country in (importer, 'OTH', 'SECONDARY', 'UNEXPLAINED') then 1 else 0 end,
                coalesce(processed_in_share, 0.0) desc,
                country
        ) as processor_place,
        row_number() over (
            partition by importer, material, stage, year
            order by
                case when country in (importer, 'OTH', 'SECONDARY', 'UNEXPLAINED') then 1 else 0 end,
                coalesce(face_value_share, 0.0) desc,
                country
        ) as supplier_place,
        country not in (importer, 'OTH', 'SECONDARY', 'UNEXPLAINED') as is_foreign
    from {{ ref('stg_traced__exposure') }}
),

leads as (
    select
        importer,
        material,
        stage,
        year,
        country,
        face_value_share,
        made_in_share,
        processed_in_share,
        processed_in_share_low,
        processed_in_share_high,
        mine_origin_share,
        hidden_share,
        evidence,
        is_foreign and processor_place = 1 and processed_in_share > 0.0 as is_processor,
        is_foreign and supplier_place = 1 and face_value_share > 0.0 as is_supplier
    from ranked
)

select
    importer,
    material,
    stage,
    year,
    max(case when is_processor then country end) as top_processor,
    max(case when is_processor then processed_in_share end) as top_processor_share,
    max(case when is_processor then processed_in_share_low end) as top_processor_share_low,
    max(case when is_processor then processed_in_share_high end) as top_processor_share_high,
    max(case when is_processor then made_in_share end) as top_processor_made_in_share,
    max(case when is_processor then face_value_share end) as top_processor_face_value_share,
    max(case when is_processor then hidden_share end) as top_processor_hidden_share,
    max(case when is_supplier then country end) as face_value_supplier,
    max(case when is_supplier then face_value_share end) as face_value_supplier_share,
    coalesce(max(case when country = 'UNEXPLAINED' then mine_origin_share end), 0.0) as unexplained_share,
    max({{ evidence_rank('evidence') }}) as evidence_rank
from leads
group by importer, material, stage, year
