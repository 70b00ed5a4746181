{#-
    Interval of the Herfindahl-Hirschman index (0..10000) of a truncated list, methods section 2.
    `sum_of_squares` of the listed shares, `residual` share r of everyone unlisted, `smallest` listed share s_K; all 0..1.
    Low: the unlisted are infinitely many. High: they are as few as can be without passing the smallest listed.
-#}
{% macro hhi_low(sum_of_squares) -%}
    10000.0 * ({{ sum_of_squares }})
{%- endmacro %}

{% macro hhi_high(sum_of_squares, residual, smallest) -%}
    {%- set unit = '(case when ' ~ smallest ~ ' < ' ~ residual ~ ' then ' ~ smallest ~ ' else ' ~ residual ~ ' end)' -%}
    {#- a residual of exactly n units must not count n - 1 because of a rounding error -#}
    {%- set whole = 'floor(' ~ residual ~ ' / nullif(' ~ unit ~ ', 0.0) + 0.000000001)' -%}
    10000.0 * (
        ({{ sum_of_squares }})
        + coalesce({{ whole }} * power({{ unit }}, 2) + power({{ residual }} - {{ whole }} * {{ unit }}, 2), 0.0)
    )
{%- endmacro %}
