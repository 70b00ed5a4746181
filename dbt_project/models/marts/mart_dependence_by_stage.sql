select
    supply.importer,
    supply.material,
    supply.stage,
    supply.year,
    supply.production_t,
    supply.production_t_low,
    supply.production_t_high,
    supply.production_source,
    supply.production_vintage,
    supply.imports_t,
    supply.imports_t_low,
    supply.imports_t_high,
    supply.exports_t,
    supply.imports_usd,
    supply.supply_t,
    supply.apparent_consumption_t,
    supply.trade_source,
    supply.trade_vintage,
    nir.nir_pct,
    nir.nir_low_pct,
    nir.nir_high_pct,
    nir.nir_token,
    nir.nir_source,
    nir.nir_vintage,
    supply.nir_derived_pct,
    shares.top_supplier,
    shares.top_supplier_import_share,
    case
        when traced.importer is not null then supplier.face_value_share
        else shares.top_supplier_import_share * supply.imports_t / nullif(supply.supply_t, 0.0)
    end as top_supplier_face_value_share,
    shares.share_basis,
    shares.share_period,
    shares.share_source,
    shares.share_vintage,
    shares.suppliers,
    shares.hhi_low,
    shares.hhi_high,
    10000.0 / nullif(shares.hhi_high, 0.0) as effective_suppliers_low,
    10000.0 / nullif(shares.hhi_low, 0.0) as effective_suppliers_high,
    traced.top_processor,
    traced.top_processor_share,
    traced.top_processor_share_low,
    traced.top_processor_share_high,
    traced.top_processor_made_in_share,
    traced.top_processor_face_value_share,
    traced.top_processor_hidden_share,
    traced.unexplained_share,
    {{ evidence_name('traced.evidence_rank') }} as traced_evidence,
    -- The weakest grade of what the row shows: where the shares come from, the printed reliance, the trade.
    {{ evidence_name('greatest(coalesce(shares.evidence_rank, 1), coalesce(' ~ evidence_rank('nir.evidence') ~ ', 1), '
       ~ 'coalesce(supply.trade_evidence_rank, 1), coalesce(supply.production_evidence_rank, 1))') }} as evidence
from {{ ref('int_supply__by_stage') }} as supply
left join {{ ref('int_import__concentration') }} as shares
    on
        supply.importer = shares.importer
        and supply.material = shares.material
        and supply.stage = shares.stage
        and supply.year = shares.year
left join {{ ref('int_traced__markets') }} as traced
    on
        supply.importer = traced.importer
        and supply.material = traced.material
        and supply.stage = traced.stage
        and supply.year = traced.year
left join {{ ref('stg_traced__exposure') }} as supplier
    on
        supply.importer = supplier.importer
        and supply.material = supplier.material
        and supply.stage = supplier.stage
        and supply.year = supplier.year
        and shares.top_supplier = supplier.country
left join {{ ref('int_nir__printed') }} as nir
    on
        supply.importer = 'USA'
        and supply.material = nir.material
        and supply.stage = nir.stage
        and supply.year = nir.year
