{#- Values of a column lie in [low, high]; null passes. Fails with the values outside. -#}
{% test within(model, column_name, low, high) %}
    select {{ column_name }}
    from {{ model }}
    where
        {{ column_name }} < {{ low }}
        or {{ column_name }} > {{ high }}
{% endtest %}
