{#- Schemas carry exactly the name a folder asks for, on Spark after the prefix of the home, because a cluster has one
    catalog for everybody; models without one go to the target's schema. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name and target.type == 'spark' -%}
        {{ target.schema }}_{{ custom_schema_name | trim }}
    {%- else -%}
        {{ (custom_schema_name or target.schema) | trim }}
    {%- endif -%}
{%- endmacro %}
