select
    cast(material as string) as material,
    cast(stages as string) as bottleneck_stages,
    cast(supply_risk as double) as supply_risk,
    cast(supply_risk_unadjusted as double) as supply_risk_unadjusted,
    cast(published_supply_risk as double) as published_supply_risk,
    100.0 * cast(deviation as double) as deviation_pct,
    cast(missing_inputs as string) as missing_inputs,
    cast(cause as string) as cause,
    cast(cause_note as string) as cause_note,
    cast(economic_importance as double) as economic_importance,
    cast(economic_importance_unadjusted as double) as economic_importance_unadjusted,
    cast(published_economic_importance as double) as published_economic_importance
from {{ source('traced', 'criticality_check') }}
