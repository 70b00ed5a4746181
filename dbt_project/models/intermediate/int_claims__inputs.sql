-- The rows each claim is recomputed from, with their weight in the numerator (part) and the denominator (whole).
with matched as (
    select
        claim.claim,
        claim.metric,
        claim.country as claim_country,
        facts.data_table,
        facts.source,
        facts.vintage,
        facts.material,
        facts.stage,
        facts.line,
        facts.importer,
        facts.country,
        facts.commodity,
        facts.year,
        facts.measure,
        facts.value,
        facts.evidence,
        row_number() over (
            partition by claim.claim
            order by
                case when facts.country in ('WLD', 'OTH') then 1 else 0 end,
                coalesce(facts.value, 0.0) desc,
                facts.country nulls last
        ) as place
    from {{ ref('stg_canonical__claim') }} as claim
    inner join {{ ref('int_claims__facts') }} as facts
        on
            claim.data_table = facts.data_table
            and claim.data_source = facts.source
            -- empty in a claim means any; a column that a table does not have does not restrict it
            and (claim.data_vintage is null or claim.data_vintage = facts.vintage)
            and (claim.measure is null or claim.measure = facts.measure)
            and (claim.material is null or facts.material is null or claim.material = facts.material)
            and (claim.stage is null or facts.stage is null or claim.stage = facts.stage)
            and (claim.importer is null or facts.importer is null or claim.importer = facts.importer)
            and (claim.commodity is null or facts.commodity is null or claim.commodity = facts.commodity)
            and (claim.lines is null or concat(';', claim.lines, ';') like concat('%;', facts.line, ';%'))
            -- a printed total over importers is no pair of countries
            and (claim.importer is not null or coalesce(facts.importer, '') <> 'WLD')
            and (claim.year is null or claim.year >= facts.year)
            and (claim.year is null or coalesce(claim.first_year, claim.year) <= facts.year)
),

weighted as (
    select
        claim,
        data_table,
        source,
        vintage,
        material,
        stage,
        line,
        importer,
        country,
        commodity,
        year,
        measure,
        value,
        evidence,
        cast(case
            when
                metric in ('share_of_countries', 'share_of_world', 'ratio_to_rest') and country = claim_country
                then 1.0
            when metric = 'top3_share' and place <= 3 and country not in ('WLD', 'OTH') then 1.0
            when metric = 'top_share' and place = 1 and country not in ('WLD', 'OTH') then 1.0
            when
                metric = 'sum_of_countries' and country <> 'WLD' and country = coalesce(claim_country, country)
                then 1.0
            when metric = 'traced_share' and concat(';', claim_country, ';') like concat('%;', country, ';%') then 1.0
            when metric in ('largest_difference', 'sum_of_lines') then 1.0
            when metric = 'net_import_reliance' and measure = 'apparent_consumption' then 1.0
            when metric = 'net_import_reliance' and measure = 'production' then -1.0
            else 0.0
        end as double) as part_weight,
        cast(case
            when metric in ('share_of_countries', 'top3_share', 'top_share') and country <> 'WLD' then 1.0
            when metric = 'share_of_world' and country = 'WLD' then 1.0
            when metric = 'ratio_to_rest' and country not in ('WLD', claim_country) then 1.0
            when metric = 'net_import_reliance' and measure = 'apparent_consumption' then 1.0
            else 0.0
        end as double) as whole_weight
    from matched
)

select
    claim,
    data_table,
    source,
    vintage,
    material,
    stage,
    line,
    importer,
    country,
    commodity,
    year,
    measure,
    value,
    part_weight,
    whole_weight,
    evidence
from weighted
where part_weight <> 0.0 or whole_weight <> 0.0
