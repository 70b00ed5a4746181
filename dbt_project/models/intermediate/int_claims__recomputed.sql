-- What each claim comes out as on the rows it was given.
with sums as (
    select
        claim,
        sum(part_weight * value) as part,
        sum(whole_weight * value) as whole,
        max(abs(value)) as largest,
        count(value) as input_rows,
        min(data_table) as data_table,
        {{ text_list("concat_ws('', source, ' ', vintage)") }} as editions,
        min(year) as first_year,
        max(year) as last_year
    from {{ ref('int_claims__inputs') }}
    group by claim
)

select
    claim.claim,
    case
        when sums.input_rows = 0 then null
        when claim.metric = 'largest_difference' then sums.largest
        when claim.metric in ('sum_of_countries', 'sum_of_lines') then sums.part
        when claim.metric = 'traced_share' then 100.0 * sums.part
        when claim.metric = 'ratio_to_rest' then sums.part / nullif(sums.whole, 0.0)
        else 100.0 * sums.part / nullif(sums.whole, 0.0)
    end as recomputed,
    concat_ws(
        '', sums.data_table, ' (', sums.editions, '), ', cast(sums.first_year as string),
        case when sums.last_year > sums.first_year then concat_ws('', '-', cast(sums.last_year as string)) else '' end,
        ': ', cast(sums.input_rows as string), ' rows'
    ) as inputs
from {{ ref('stg_canonical__claim') }} as claim
inner join sums
    on claim.claim = sums.claim
