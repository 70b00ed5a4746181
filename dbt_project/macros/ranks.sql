{#- Which publisher to prefer where several give the same cell: statistics, then datasets, then rounded shares. -#}
{% macro source_rank(source) -%}
    case {{ source }}
        when 'usgs_mcs' then 1 when 'usgs_myb' then 2 when 'iea' then 3 when 'eu_crm' then 4
        when 'baci' then 5 when 'comtrade' then 6 when 'usitc' then 7 when 'census' then 8 when 'bgs' then 9 else 10
    end
{%- endmacro %}

{#- Grades of evidence as numbers, 1 best, so that max() is the weakest of a group; and back to their names. -#}
{% macro evidence_rank(evidence) -%}
    case {{ evidence }} when 'reported' then 1 when 'estimated' then 2 when 'derived' then 3 when 'assumed' then 4 end
{%- endmacro %}

{% macro evidence_name(rank) -%}
    case {{ rank }} when 1 then 'reported' when 2 then 'estimated' when 3 then 'derived' when 4 then 'assumed' end
{%- endmacro %}
