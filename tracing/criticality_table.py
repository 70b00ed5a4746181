"""Criticality from tables: the cells of the EU study and of the traced networks, assessed alike.

What belongs here: turning shares, output, trade and parameters into the cells that ``assessment`` rates.
What does not: formulas, parameters, files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tracing.assessment import ENDS, INPUTS, KEYS, NETWORK, PATHS, STUDY, concentrations, with_scores, with_supply_risk
from tracing.chain_networks import STAGE, ChainNetworks
from tracing.concentration import weighted_hhi
from tracing.criticality import economic_importance, governance_risk
from tracing.economies import Union, balances, merged, single_views, union_views
from tracing.trade_factor import trade_factors

RATES = [*INPUTS, "substitution_ei"]
_CONFIDENCE = ("high", "medium", "low")


@dataclass(frozen=True)
class Facts:
    """What the assessment reads.

    Attributes:
        supply_share: shares printed by the EU study: ``material, stage, scope, iso3, first_year, last_year,
            share`` with bounds, ``trade_factor``.
        governance: ``iso3, year, indicator, estimate``.
        restriction: export controls (``tracing.trade_factor``).
        end_use: ``economy, material, share, value_added_eur``.
        import_reliance: printed for the USA: ``material, stage, year, value, value_low, value_high``, percent.
        parameter: ``economy, material, parameter, value, confidence``; ``all`` stands for every one.
        baskets: ``material, member``.
        networks: networks of the reference years.
        exposure: traced shares of single importers.
        union: the EU.
    """

    supply_share: pl.DataFrame
    governance: pl.DataFrame
    restriction: pl.DataFrame
    end_use: pl.DataFrame
    import_reliance: pl.DataFrame
    parameter: pl.DataFrame
    baskets: pl.DataFrame
    networks: ChainNetworks
    exposure: pl.DataFrame
    union: Union


def assess(facts: Facts, *, country: str = "USA", draws: int = 10, seed: int = 0) -> pl.DataFrame:
    """Assess every cell.

    Args:
        facts: the tables.
        country: the economy beside the union.
        draws: Monte Carlo draws behind the bounds of the union's network shares.
        seed: of the draws.

    Returns:
        One row per economy, basis (``eu_study`` | ``network``), material, stage and year; see
        ``assessment.with_supply_risk`` and ``with_scores``.
    """
    balance = balances(merged(facts.networks, facts.union), [facts.union.name, country])
    supply = pl.concat(
        [
            union_views(facts.networks, facts.union, draws=draws, seed=seed),
            single_views(facts.exposure, country),
        ]
    )
    home = {facts.union.name: facts.union.members, country: [country]}
    study, network = study_views(facts), network_views(facts, supply, balance, home)
    views = pl.concat([study, network], how="diagonal")
    cells = pl.concat([_study_reliance(study, facts.union), _network_reliance(facts, balance)], how="diagonal")
    cells = cells.join(concentrations(views), on=KEYS, how="left")
    cells = cells.join(_potential(views, general(facts.parameter)), on=KEYS, how="left")
    cells = _with_inputs(_with_exposure(cells, facts.import_reliance, country), facts)
    evidence = network.group_by(KEYS).agg(pl.col("evidence").drop_nulls().first())
    cells = cells.join(evidence, on=KEYS, how="left").with_columns(pl.col("evidence").fill_null("derived"))
    return with_scores(with_supply_risk(cells), general(facts.parameter)).sort(KEYS)


def general(parameter: pl.DataFrame) -> Mapping[str, float]:
    """Parameters that hold for every economy and material, by name."""
    rows = parameter.filter((pl.col("economy") == "all") & (pl.col("material") == "all"))
    return {str(name): float(value) for name, value in rows.select("parameter", "value").iter_rows()}


def study_views(facts: Facts) -> pl.DataFrame:
    """World supply and EU sourcing as the study prints them, with its trade factors."""
    rows = facts.supply_share.filter(pl.col("iso3") != "OTH")
    first, last = rows["first_year"].min(), rows["last_year"].max()
    risk = governance_risk(
        facts.governance, int(str(first)), int(str(last)), general(facts.parameter)["governance_best"]
    )
    rows = rows.select(
        economy=pl.lit(facts.union.name),
        basis=pl.lit(STUDY),
        material="material",
        stage="stage",
        year="last_year",
        view=pl.col("scope").replace_strict({"global": "world", "eu": "face_value"}),
        country="iso3",
        share="share",
        share_low="share_low",
        share_high="share_high",
        factor="trade_factor",
    )
    return rows.join(risk, on="country", how="left")


def network_views(
    facts: Facts, supply: pl.DataFrame, balance: pl.DataFrame, home: Mapping[str, Collection[str]]
) -> pl.DataFrame:
    """World output, face value and made-in shares in the networks, with risk and trade factor of each country.

    Args:
        facts: the tables.
        supply: shares of each economy's supply, as ``economies.union_views`` gives them.
        balance: of ``economies.balances``.
        home: countries of each economy.
    """
    sides = [
        supply.select(
            "economy",
            *STAGE,
            "country",
            "evidence",
            *(pl.col(f"{name}_share{end}").alias(f"share{end}") for end in ENDS),
            view=pl.lit(view),
        )
        for view, name in zip(PATHS, ("face_value", "made_in"), strict=True)
    ]
    output = facts.networks.production.with_columns(
        share=pl.col("quantity_t") / pl.col("quantity_t").sum().over(STAGE), view=pl.lit("world")
    )
    world = pl.DataFrame({"economy": list(home)}).join(output, how="cross")
    world = world.select("economy", *STAGE, "country", "share", "view")
    rows = pl.concat([world, *sides], how="diagonal").filter(
        pl.col("share").is_not_null() & (pl.col("country") != "OTH")
    )
    rungs = facts.parameter.filter(pl.col("parameter").str.starts_with("trade_factor"))
    rows = trade_factors(
        rows,
        home=home,
        ladder=rungs.select("economy", "parameter", "value"),
        printed=facts.supply_share.select("material", "trade_factor", country="iso3"),
        restriction=facts.restriction,
        baskets=facts.baskets,
    )
    rows = rows.join(_risks(facts, rows["year"].unique().sort().to_list()), on=["country", "year"], how="left")
    return pl.concat([rows, _recycled(rows, balance)], how="diagonal").with_columns(basis=pl.lit(NETWORK))


def _risks(facts: Facts, years: Sequence[int]) -> pl.DataFrame:
    """Governance risk by ``country`` and ``year``; of the newest year with estimates where that is earlier."""
    newest = int(str(facts.governance["year"].max()))
    best = general(facts.parameter)["governance_best"]
    parts = [
        governance_risk(facts.governance, min(year, newest), min(year, newest), best).with_columns(
            year=pl.lit(year, pl.Int32)
        )
        for year in years
    ]
    none = pl.DataFrame(schema={"country": pl.String, "risk": pl.Float64, "year": pl.Int32})
    return pl.concat([none, *parts])


def _recycled(rows: pl.DataFrame, balance: pl.DataFrame) -> pl.DataFrame:
    """Recycled supply: part of the supply, but of no country to depend on, so it weighs nothing."""
    own = balance.filter(pl.col("secondary_share") > 0).select("economy", *STAGE, share="secondary_share")
    cells = rows.filter(pl.col("view") != "world").select("economy", *STAGE, "view").unique()
    return cells.join(own, on=["economy", *STAGE]).with_columns(
        country=pl.lit("SECONDARY"), risk=pl.lit(0.0), factor=pl.lit(1.0)
    )


def _study_reliance(study: pl.DataFrame, union: Union) -> pl.DataFrame:
    """Import reliance as the part of EU sourcing from outside: an upper bound, exports are not printed."""
    own = pl.col("share").filter(pl.col("country").is_in(list(union.members))).sum()
    eu = study.filter(view="face_value").sort(*KEYS, "country").group_by(KEYS).agg(import_reliance=(1 - own).clip(0, 1))
    cells = study.select(KEYS).unique().join(eu, on=KEYS, how="left")
    world = study.filter(view="world").select(KEYS).unique().with_columns(has_world=pl.lit(True))
    cells = cells.join(world, on=KEYS, how="left")
    known = pl.col("import_reliance").is_not_null()
    return cells.select(
        *KEYS,
        "import_reliance",
        import_reliance_low=pl.when(known).then(0.0),
        import_reliance_high="import_reliance",
        import_reliance_basis=pl.when(known).then(pl.lit("outside share of EU sourcing, exports not taken off")),
        supply_reason=pl.when(pl.col("has_world").is_null()).then(pl.lit("no world supply list")),
    )


def _network_reliance(facts: Facts, balance: pl.DataFrame) -> pl.DataFrame:
    """Import reliance from output and trade; no market where hardly anything is supplied."""
    world = facts.networks.production.sort(*STAGE, "country").group_by(STAGE).agg(world_t=pl.col("quantity_t").sum())
    supply = pl.col("production_t") + pl.col("imports_t")
    least = general(facts.parameter)["least_supply_share"]
    reason = (
        pl.when(supply <= 0)
        .then(pl.lit("no recorded supply of this stage"))
        .when(supply < least * pl.col("world_t"))
        .then(pl.lit("hardly any supply of this stage"))
    )
    rows = balance.join(world, on=STAGE, how="left").with_columns(basis=pl.lit(NETWORK), supply_reason=reason)
    return rows.select(
        *KEYS,
        "import_reliance",
        import_reliance_low="import_reliance",
        import_reliance_high="import_reliance",
        import_reliance_basis=pl.when(pl.col("import_reliance").is_not_null()).then(
            pl.lit("output and trade of the network")
        ),
        supply_reason="supply_reason",
    )


def _potential(views: pl.DataFrame, parameter: Mapping[str, float]) -> pl.DataFrame:
    """Disruption potential: world concentration weighted with governance risk in 0..1."""
    exponent = parameter["usgs_governance_exponent"]
    rows = views.filter(view="world").with_columns(weight=(pl.col("risk") / 10) ** exponent)
    return weighted_hhi(rows, KEYS, ceiling=1.0).select(*KEYS, disruption_potential="hhi")


def _with_exposure(cells: pl.DataFrame, printed: pl.DataFrame, country: str) -> pl.DataFrame:
    """Trade exposure ``max(0, net import reliance)``: printed for the country, else import reliance."""
    alone = printed.filter(pl.len().over("material", "stage", "year") == 1)
    exporter = pl.col("value").is_null() & (pl.col("value_high") <= 0)
    own = alone.select(
        pl.lit(country).alias("economy"),
        *STAGE,
        printed=(pl.when(exporter).then(0.0).otherwise("value") / 100).clip(0, 1),
        printed_low=(pl.when(exporter).then(0.0).otherwise("value_low") / 100).clip(0, 1),
        printed_high=(pl.col("value_high") / 100).clip(0, 1),
        is_printed=pl.lit(True),
    )
    rows = cells.join(own, on=["economy", *STAGE], how="left")
    chosen = [
        pl.when(pl.col("is_printed"))
        .then(f"printed{end}")
        .otherwise(f"import_reliance{end}")
        .alias(f"trade_exposure{end}")
        for end in ENDS
    ]
    basis = pl.when(pl.col("is_printed")).then(pl.lit("printed net import reliance")).otherwise("import_reliance_basis")
    return rows.with_columns(*chosen, trade_exposure_basis=basis).drop(
        "printed", "printed_low", "printed_high", "is_printed"
    )


def _with_inputs(cells: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Add recycling, substitution, their confidence (the worst of them) and economic importance."""
    inputs = facts.parameter.filter(pl.col("parameter").is_in(RATES))
    by = ["economy", "material"]
    wide = inputs.pivot("parameter", index=by, values="value")
    wide = wide.with_columns(pl.lit(None, pl.Float64).alias(name) for name in RATES if name not in wide.columns)
    place = {name: number for number, name in enumerate(_CONFIDENCE)}
    worst = inputs.group_by(by).agg(confidence=pl.col("confidence").replace_strict(place, return_dtype=pl.Int32).max())
    worst = worst.with_columns(
        pl.col("confidence").replace_strict(dict(enumerate(_CONFIDENCE)), return_dtype=pl.String)
    )
    parameter = general(facts.parameter)
    importance = economic_importance(
        facts.end_use,
        facts.baskets,
        scale=parameter["economic_importance_scale"],
        least=parameter["assessed_use_share_min"],
    )
    for table in (wide.select(*by, *RATES), worst, importance):
        cells = cells.join(table, on=by, how="left")
    return cells
