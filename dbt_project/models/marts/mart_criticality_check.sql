select
    material,
    bottleneck_stages,
    supply_risk,
    supply_risk_unadjusted,
    published_supply_risk,
    deviation_pct,
    missing_inputs,
    cause,
    cause_note,
    economic_importance,
    economic_importance_unadjusted,
    published_economic_importance
from {{ ref('stg_traced__criticality_check') }}
