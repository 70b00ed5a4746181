"""Own output, recycling and consumption of an economy, held against benchmarks on its capacity.

What belongs here: balances with bounds and the 10, 40 and 25 % of the Critical Raw Materials Act (methods
section 2). What does not: suppliers (``diversification``), the values (given as a table).
"""

from __future__ import annotations

import polars as pl

from tracing.chain_networks import STAGE, TONNES, ChainNetworks
from tracing.economies import Union, merged

KEYS = ["importer", *STAGE]
TOLERANCE = 1e-12
"""A share that reaches a limit exactly must not miss it because of rounding."""

_TERMS = {"made": "production", "recycled": "secondary", "bought": "flows", "sold": "flows"}
_ENDS = ("", "_low", "_high")


def consumption(parts: ChainNetworks, union: Union) -> pl.DataFrame:
    """Apparent consumption of every country and of the union as one, and what own output is of it.

    ``consumption = output + recycled + imports - exports``; tonnes contained. The bounds hold those of every
    figure at once, so they are wider than a joint draw.

    Returns:
        ``importer, material, year, stage``; ``consumption_t`` (null where exports take all that comes in);
        ``own_output_share`` and ``recycled_share`` of it with ``_low`` and ``_high``: 0.., above 1 for net
        exporters; null where none is recorded or there is no consumption; an upper end of null is open;
        ``has_output``.
    """
    single, whole = _balance(parts), _balance(merged(parts, union)).filter(importer=union.name)
    rows = pl.concat([single, whole])
    terms = {end: {name: pl.col(f"{name}{end}") for name in _TERMS} for end in _ENDS}
    made, recycled, bought, sold = terms[""].values()
    used = made + recycled + bought - sold
    return rows.select(
        *KEYS,
        consumption_t=pl.when(used > 0).then(used),
        has_output=pl.col("made") > 0,
        **_shares("own_output_share", "made", "recycled", terms),
        **_shares("recycled_share", "recycled", "made", terms),
    ).sort(KEYS)


def _balance(parts: ChainNetworks) -> pl.DataFrame:
    """The four terms of the balance with bounds, zero where the network has none."""
    country = {"made": "country", "recycled": "country", "bought": "importer", "sold": "exporter"}
    sums = []
    for name, table in _TERMS.items():
        frame: pl.DataFrame = getattr(parts, table)
        frame = frame.select(*STAGE, pl.col(country[name]).alias("importer"), *TONNES).sort([*KEYS, *TONNES])
        renamed = {tonnes: tonnes.replace("quantity_t", name) for tonnes in TONNES}
        sums.append(frame.rename(renamed).group_by(KEYS).agg(pl.col(list(renamed.values())).sum()))
    rows = pl.concat([frame.select(KEYS) for frame in sums]).unique()
    for frame in sums:
        rows = rows.join(frame, on=KEYS, how="left")
    return rows.with_columns(pl.col(f"{name}{end}" for name in _TERMS for end in _ENDS).fill_null(0.0))


def _shares(name: str, part: str, rest: str, terms: dict[str, dict[str, pl.Expr]]) -> dict[str, pl.Expr]:
    """``part / (part + balance)`` with its bounds; where exports exceed imports it falls as the part grows.

    The lower end takes the greatest balance of the other terms, the upper end the least; each takes whichever
    end of the part is worse.
    """

    def balance(end: str, other: str) -> pl.Expr:
        return terms[end][rest] + terms[end]["bought"] - terms[other]["sold"]

    def share(end: str, others: pl.Expr) -> pl.Expr:
        used = terms[end][part] + others
        return pl.when(used > 0).then(terms[end][part] / used)

    central, most, least = balance("", ""), balance("_high", "_low"), balance("_low", "_high")
    closed = (terms["_low"][part] + least > 0) & (terms["_high"][part] + least > 0)
    here = (terms[""][part] > 0) & (terms[""][part] + central > 0)
    bounds = {
        name: share("", central),
        f"{name}_low": pl.min_horizontal(share("_low", most), share("_high", most)),
        f"{name}_high": pl.when(closed).then(pl.max_horizontal(share("_low", least), share("_high", least))),
    }
    return {column: pl.when(here).then(bound) for column, bound in bounds.items()}


def reached(share: str, target: pl.Expr) -> pl.Expr:
    """``met``, ``not_met`` or ``uncertain`` by the bounds of a share; null where there is no share or target."""
    low, high = pl.col(f"{share}_low") >= target - TOLERANCE, pl.col(f"{share}_high") < target - TOLERANCE
    verdict = pl.when(low).then(pl.lit("met")).when(high.fill_null(False)).then(pl.lit("not_met"))
    return pl.when(pl.col(f"{share}_low").is_not_null() & target.is_not_null()).then(
        verdict.otherwise(pl.lit("uncertain"))
    )


def benchmarked(rows: pl.DataFrame, benchmarks: pl.DataFrame, recycling: pl.DataFrame, union: Union) -> pl.DataFrame:
    """Add the benchmarks of the Act to the balance of the union; every other row says that they are the union's.

    Args:
        rows: as ``consumption`` gives, one row per market.
        benchmarks: ``benchmark`` (extraction | processing | recycling), ``stage`` (or ``all``), ``value`` (0..1).
        recycling: ``material, value``: end-of-life recycling input rate of the union, where recycled tonnes of
            it are not recorded.
        union: the union.

    Returns:
        The rows with ``benchmark, benchmark_target, benchmark_verdict, benchmark_reason``, and
        ``recycling_share, recycling_basis, recycling_target, recycling_verdict, recycling_reason``.
    """
    capacity = benchmarks.filter(pl.col("benchmark").is_in(["extraction", "processing"]))
    capacity = capacity.select("stage", "benchmark", benchmark_target="value")
    target = benchmarks.filter(benchmark="recycling")["value"].item()
    inside = pl.col("importer") == union.name
    rows = rows.join(capacity, on="stage", how="left", validate="m:1")
    rows = rows.join(recycling.select("material", rate="value"), on="material", how="left", validate="m:1")
    rows = rows.with_columns(
        pl.when(inside).then(name).alias(name) for name in ("benchmark", "benchmark_target", "rate")
    )
    tonnes = pl.col("recycled_share").is_not_null()
    rows = rows.with_columns(
        recycling_share=pl.coalesce("recycled_share", "rate"),
        recycling_share_low=pl.coalesce("recycled_share_low", "rate"),
        recycling_share_high=pl.when(tonnes).then("recycled_share_high").otherwise("rate"),
        recycling_basis=pl.when(tonnes)
        .then(pl.lit("recycled tonnes"))
        .when(pl.col("rate").is_not_null())
        .then(pl.lit("end-of-life recycling input rate")),
        recycling_target=pl.when(inside).then(pl.lit(target)),
    )
    return rows.with_columns(
        benchmark_verdict=reached("own_output_share", pl.col("benchmark_target")),
        recycling_verdict=reached("recycling_share", pl.col("recycling_target")),
        benchmark_reason=_why(inside, pl.col("has_output"), pl.col("own_output_share"), pl.col("benchmark_target")),
        recycling_reason=pl.when(pl.col("recycling_share").is_not_null() & inside)
        .then(None)
        .when(~inside)
        .then(pl.lit(_ELSEWHERE))
        .otherwise(pl.lit("neither recycled tonnes nor a recycling rate among the sources")),
    ).drop("rate", "has_output", "recycled_share", "recycled_share_low", "recycled_share_high")


_ELSEWHERE = "set for the Union as a whole"


def _why(inside: pl.Expr, made: pl.Expr, share: pl.Expr, target: pl.Expr) -> pl.Expr:
    """Why there is no verdict; null where there is one."""
    return (
        pl.when(~inside)
        .then(pl.lit(_ELSEWHERE))
        .when(target.is_null())
        .then(pl.lit("the Act sets no benchmark for this stage"))
        .when(~made.fill_null(False))
        .then(pl.lit("no output of its own in the figures"))
        .when(share.is_null())
        .then(pl.lit("exports take all of output and imports"))
    )
