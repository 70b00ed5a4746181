"""An economy as one market: the European Union without its inner trade, and what each economy takes in.

What belongs here: merging members into one market, its shares by supplier at face value and made in, its
balance of output and trade. What does not: the tracing itself (``exposure``, ``montecarlo``), supply risk
(``criticality``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import polars as pl

from tracing.chain_networks import STAGE, TONNES, UNRECORDED, ChainNetworks
from tracing.montecarlo import monte_carlo
from tracing.network import STAGES

_VIEWS = ("face_value", "made_in")
_SHARES = [f"{view}_share{end}" for view in _VIEWS for end in ("", "_low", "_high")]


@dataclass(frozen=True)
class Union:
    """Several countries as one market.

    Attributes:
        name: its code (``EUU``).
        members: codes of its members.
    """

    name: str
    members: Collection[str]

    def code(self, column: str) -> pl.Expr:
        """The column with members replaced by the union."""
        inside = pl.col(column).is_in(list(self.members))
        return pl.when(inside).then(pl.lit(self.name)).otherwise(pl.col(column)).alias(column)


def merged(parts: ChainNetworks, union: Union) -> ChainNetworks:
    """The networks with the union as one country: trade among members is none, their plants feed as one.

    Feed weights are averaged by the members' output. Tonnes and their bounds are added up.
    """
    plant = [*STAGE, "country"]
    made = parts.production.select(*plant, "quantity_t")
    fed = parts.feed.join(made, on=plant, how="left").with_columns(pl.col("quantity_t").fill_null(0.0))
    fed = fed.sort([*plant, "from_stage"]).with_columns(union.code("country"))
    whole = made.sort(plant).with_columns(union.code("country")).group_by(plant).agg(whole=pl.col("quantity_t").sum())
    feeds = fed.join(whole, on=plant, how="left").group_by([*plant, "from_stage"], maintain_order=True)
    weight = (pl.col("weight") * pl.col("quantity_t")).sum() / pl.col("whole").first()
    return replace(
        parts,
        production=_added(parts.production, plant, union),
        secondary=_added(parts.secondary, plant, union),
        flows=_added(parts.flows, [*STAGE, "exporter", "importer"], union).filter(
            pl.col("exporter") != pl.col("importer")
        ),
        feed=feeds.agg(weight=weight).filter(pl.col("weight") > 0),
    )


def _added(frame: pl.DataFrame, keys: list[str], union: Union) -> pl.DataFrame:
    codes = [union.code(name) for name in keys if name not in STAGE]
    rows = frame.sort([*keys, "quantity_t"]).with_columns(codes)
    return rows.group_by(keys, maintain_order=True).agg(pl.col(TONNES).sum())


def union_views(parts: ChainNetworks, union: Union, *, draws: int, seed: int) -> pl.DataFrame:
    """Shares of the union's supply by country, members standing for their part of its own output.

    Args:
        parts: networks of single countries, as ``prepare`` makes them.
        union: the members and their common code.
        draws: Monte Carlo draws behind the bounds.
        seed: of the draws.

    Returns:
        ``economy, material, year, stage, country``; ``face_value_share`` and ``made_in_share`` (0..1 of
        supply) with ``_low`` and ``_high``; ``evidence``.
    """
    whole = merged(parts, union)
    traced = monte_carlo(
        whole.production,
        whole.flows,
        stages=(UNRECORDED, *STAGES),
        secondary=whole.secondary,
        feed=whole.feed,
        draws=draws,
        seed=seed,
    )
    rows = single_views(traced.join(parts.evidence, on=STAGE, how="left", validate="m:1"), union.name)
    own = parts.production.filter(pl.col("country").is_in(list(union.members)) & (pl.col("quantity_t") > 0))
    part = pl.col("quantity_t") / pl.col("quantity_t").sum().over(STAGE)
    own = own.select(*STAGE, member="country", part=part, country=pl.lit(union.name)).sort([*STAGE, "member"])
    rows = rows.join(own, on=[*STAGE, "country"], how="left")
    return rows.with_columns(
        pl.col(_SHARES) * pl.col("part").fill_null(1.0), country=pl.coalesce("member", "country")
    ).drop("member", "part")


def single_views(exposure: pl.DataFrame, importer: str) -> pl.DataFrame:
    """The same shares of one importer of a traced table; columns as ``union_views``."""
    rows = exposure.filter((pl.col("importer") == importer) & pl.col("face_value_share").is_not_null())
    return rows.select(pl.col("importer").alias("economy"), *STAGE, "country", *_SHARES, "evidence")


def balances(parts: ChainNetworks, economies: Collection[str]) -> pl.DataFrame:
    """Output, trade and import reliance of each economy and stage.

    Import reliance is ``(imports - exports) / (output + imports - exports)``, held to 0..1; null where exports
    take all of output and imports. Recycled supply is no part of it (methods section 5).

    Returns:
        ``economy, material, year, stage, production_t, imports_t, exports_t, secondary_share`` (of supply),
        ``import_reliance``; only where the stage has trade.
    """
    sums = [
        _total(parts.production, "country", "production_t"),
        _total(parts.flows, "importer", "imports_t"),
        _total(parts.flows, "exporter", "exports_t"),
        _total(parts.secondary, "country", "secondary_t"),
    ]
    names = pl.DataFrame({"economy": list(economies)}, schema={"economy": pl.String})
    rows = parts.flows.select(STAGE).unique().join(names, how="cross")
    for part in sums:
        rows = rows.join(part, on=["economy", *STAGE], how="left")
    rows = rows.with_columns(pl.col("production_t", "imports_t", "exports_t", "secondary_t").fill_null(0.0))
    net = pl.col("imports_t") - pl.col("exports_t")
    supply = pl.col("production_t") + pl.col("imports_t") + pl.col("secondary_t")
    used = pl.col("production_t") + net
    return rows.select(
        "economy",
        *STAGE,
        "production_t",
        "imports_t",
        "exports_t",
        secondary_share=pl.when(supply > 0).then(pl.col("secondary_t") / supply).otherwise(0.0),
        import_reliance=pl.when(used > 0).then((net / used).clip(0, 1)),
    ).sort("economy", *STAGE)


def _total(frame: pl.DataFrame, country: str, name: str) -> pl.DataFrame:
    rows = frame.rename({country: "economy"}).sort(["economy", *STAGE, "quantity_t"])
    return rows.group_by(["economy", *STAGE]).agg(pl.col("quantity_t").sum().alias(name))
