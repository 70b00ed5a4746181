with

stopped as (
    select distinct
        scenario,
        material,
        stopped_stages
    from {{ ref('stg_traced__disruption') }}
),

traced as (
    select
        d.scenario,
        d.material,
        n.stage
    from stopped as d
    inner join {{ ref('stg_canonical__stage') }} as n
        on (';' || d.stopped_stages || ';') like ('%;' || n.stage || ';%')
)

select
    s.scenario,
    s.kind,
    s.mechanism,
    s.title,
    s.actor,
    s.material,
    s.stage,
    s.stopped_share,
    s.target,
    s.authority_no,
    s.announced,
    s.effective,
    s.status,
    s.suspended,
    s.n_minus_1_ratio,
    cast(count(t.stage) as int) as traced_stages,
    cast(
        case
            when count(t.stage) = 0
                then 'output and trade of all countries are not both known (see mart_coverage)'
        end
        as string
    ) as not_traced_reason,
    s.confidence,
    s.source,
    s.vintage,
    s.evidence
from {{ ref('stg_canonical__scenario') }} as s
left join traced as t
    on
        s.scenario = t.scenario
        and (s.material = 'all' or s.material = t.material)
        and (s.stage = 'all' or s.stage = t.stage)
group by
    s.scenario,
    s.kind,
    s.mechanism,
    s.title,
    s.actor,
    s.material,
    s.stage,
    s.stopped_share,
    s.target,
    s.authority_no,
    s.announced,
    s.effective,
    s.status,
    s.suspended,
    s.n_minus_1_ratio,
    s.confidence,
    s.source,
    s.vintage,
    s.evidence
