with bounds as (
    select
        claim.claim,
        claim.statement,
        claim.metric,
        claim.importer,
        claim.material,
        claim.stage,
        claim.country,
        claim.commodity,
        claim.year,
        claim.published,
        coalesce(claim.published_low, claim.published) as published_low,
        coalesce(claim.published_high, claim.published) as published_high,
        claim.published_token,
        claim.unit,
        claim.tolerance,
        claim.tolerance_rule,
        claim.recomputed_from,
        claim.reason,
        claim.claim_source,
        claim.claim_vintage,
        claim.citation,
        claim.citation_basis,
        case when claim.metric <> 'not_measurable' then recomputed.recomputed end as recomputed,
        recomputed.inputs
    from {{ ref('stg_canonical__claim') }} as claim
    left join {{ ref('int_claims__recomputed') }} as recomputed
        on claim.claim = recomputed.claim
),

verdicts as (
    select
        claim,
        statement,
        metric,
        importer,
        material,
        stage,
        country,
        commodity,
        year,
        published,
        published_low,
        published_high,
        published_token,
        unit,
        tolerance,
        tolerance_rule,
        recomputed_from,
        reason,
        claim_source,
        claim_vintage,
        citation,
        citation_basis,
        recomputed,
        inputs,
        case
            when recomputed is null then 'not measurable here'
            when
                recomputed >= coalesce(published_low, recomputed) - tolerance - 0.000000001
                and recomputed <= coalesce(published_high, recomputed) + tolerance + 0.000000001
                then 'reproduced'
            else 'differs'
        end as verdict
    from bounds
)

select
    claim,
    statement,
    metric,
    importer,
    material,
    stage,
    country,
    commodity,
    year,
    published,
    published_low,
    published_high,
    published_token,
    unit,
    tolerance,
    tolerance_rule,
    recomputed_from,
    recomputed,
    -- Distance to the nearest published value: to the figure itself, or to the interval of a censored one.
    case
        when recomputed < published_low then recomputed - published_low
        when recomputed > published_high then recomputed - published_high
        when recomputed is not null then 0.0
    end as difference,
    verdict,
    case
        when recomputed is null
            then coalesce(reason, 'No canonical row of this run matches what this statement is recomputed from.')
        when verdict = 'differs' then reason
    end as reason,
    claim_source,
    claim_vintage,
    citation,
    citation_basis,
    inputs,
    case
        when recomputed is not null then concat_ws('', 'select * from mart_claim_inputs where claim = ''', claim, '''')
    end as query
from verdicts
