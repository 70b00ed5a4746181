"""One module per layer of assets: raw, canonical, dbt models, the published warehouse."""
