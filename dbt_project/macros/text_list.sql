{#- Distinct values of a text expression as one sorted text with ';' between (an aggregate). -#}
{% macro text_list(expression) -%}
    {%- if target is defined and target.type == 'spark' -%}
        case when count({{ expression }}) > 0 then array_join(sort_array(collect_set({{ expression }})), ';') end
    {%- else -%}
        string_agg(distinct {{ expression }}, ';' order by {{ expression }})
    {%- endif -%}
{%- endmacro %}

{#- Values of a text expression, unique within the group, as one text in the order of a number (an aggregate). -#}
{% macro ordered_list(expression, position) -%}
    {%- if target is defined and target.type == 'spark' -%}
        nullif(array_join(transform(array_sort(collect_list(
            case when {{ expression }} is not null then named_struct('p', {{ position }}, 's', {{ expression }}) end
        )), x -> x.s), ';'), '')
    {%- else -%}
        string_agg({{ expression }}, ';' order by {{ position }})
    {%- endif -%}
{%- endmacro %}

{#- A number as text with one decimal: cast as it is, it reads 12345678.0 or 1.2345678E7 by engine. -#}
{% macro one_decimal(expression) -%}
    cast(cast(round({{ expression }}, 1) as decimal(30, 1)) as string)
{%- endmacro %}
