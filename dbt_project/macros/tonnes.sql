{#-
    Whether the rows of a group that give tonnes hold at least 95 percent of its value (an aggregate); a sum over the
    others alone would read as the whole.
-#}
{% macro tonnes_cover_the_value(quantity, value) -%}
    coalesce(sum(case when {{ quantity }} is null then {{ value }} else 0.0 end), 0.0)
    <= 0.05 * coalesce(sum({{ value }}), 0.0)
{%- endmacro %}
