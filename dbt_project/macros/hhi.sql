{#-
    Interval of the Herfindahl-Hirschman index (0..10000) of a truncated list, methods section 2.
    `sum_of_squares` of the listed shares, `residual` share r of everyone unlisted, `smallest` listed share s_K; all 0..1.
    Low: the unlisted are infinitely many. High: they are as few as can be without passing the smallest listed.
-#}
{% macro hhi_low(sum_of_squares) -%}
    10000.0 * ({{ sum_of_squares }})
{%- endmacro %}

{% macro hhi_high(sum_of_squares, residual, smallest) -%}
    {%- set unit -%}
    (case when {{ smallest }} is null or {{ smallest }} > {{ residual }} then {{ residual }} else {{ smallest }} end)
    {%- endset -%}
    {%- set whole -%}
    floor(cast(({{ residual }}) / nullif({{ unit }}, 0.0) + 0.000000001 as double))
    {%- endset -%}
    10000.0 * (
        ({{ sum_of_squares }})
        + coalesce(
            {{ whole }} * {{ unit }} * {{ unit }}
            + power(({{ residual }}) - {{ whole }} * {{ unit }}, 2),
            0.0
        )
    )
{%- endmacro %}
