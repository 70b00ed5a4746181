{#- Distinct values of a text expression as one sorted text with ';' between (an aggregate). -#}
{% macro text_list(expression) -%}
    {%- if target is defined and target.type == 'spark' -%}
        array_join(sort_array(collect_set({{ expression }})), ';')
    {%- else -%}
        string_agg(distinct {{ expression }}, ';' order by {{ expression }})
    {%- endif -%}
{%- endmacro %}
