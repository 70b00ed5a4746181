{#- Distinct values of a text expression as one sorted text with ';' between (an aggregate). -#}
{% macro text_list(expression) -%}
    {{ return(adapter.dispatch('text_list')(expression)) }}
{%- endmacro %}

{% macro default__text_list(expression) -%}
    string_agg(distinct {{ expression }}, ';' order by {{ expression }})
{%- endmacro %}

{% macro spark__text_list(expression) -%}
    array_join(sort_array(collect_set({{ expression }})), ';')
{%- endmacro %}
