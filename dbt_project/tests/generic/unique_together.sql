{#- A row per combination of `columns`; null counts as a value. Fails with the combinations that repeat. -#}
{% test unique_together(model, columns) %}
    select
        {{ columns | join(',\n        ') }},
        count(*) as row_count
    from {{ model }}
    group by
        {{ columns | join(',\n        ') }}
    having count(*) > 1
{% endtest %}
