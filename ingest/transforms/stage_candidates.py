"""What each source says of production by stage: one candidate figure per source, stage, country and year.

What belongs here: bringing every source to tonnes contained with bounds. What does not: which of
several figures is taken (``stage_production.py``), and looking through trade (``tracing``).
"""

from __future__ import annotations

import polars as pl

from ingest.mapping import reference

GROUP = ["material", "stage", "year"]
CELL = [*GROUP, "iso3"]
CANDIDATE = [
    *CELL,
    "quantity_t",
    "quantity_t_low",
    "quantity_t_high",
    "basis",
    "source",
    "vintage",
    "evidence",
    "method",
]
"""``iso3`` is also WLD and OTH; ``quantity_t`` is null where the source lists a country without a figure."""

YEARS = (2023, 2024)
"""Reference years: a source that has figures for one of two neighbouring years serves the other as well."""

# Net exports below this share of what the stage trades are noise of mirror statistics, not plants.
NOISE = 0.001
_TONNES = ["quantity_t", "quantity_t_low", "quantity_t_high"]


def numbers(file: str, columns: list[str], *, year: bool = False) -> pl.DataFrame:
    """Return a reference file with those columns as numbers."""
    table = reference(file).with_columns(pl.col(columns).cast(pl.Float64))
    return table.with_columns(pl.col("year").cast(pl.Int32)) if year else table


def source_order() -> pl.DataFrame:
    """Return the stated order: ``rank, source, method``, relative half-widths ``spread, carried_spread``.

    ``carried_spread`` is null where a source's figures do not serve the year beside theirs.
    """
    table = numbers("production_source_order.csv", ["spread", "carried_spread"])
    return table.with_columns(pl.col("rank").cast(pl.Int32)).drop("note")


def _latest(frame: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    return frame.filter(pl.col("vintage") == pl.col("vintage").max().over(by))


def _sum_or_null(name: str) -> pl.Expr:
    return pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum())


def world_tables(production: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Candidates of the world tables, latest edition of each year, forms added up.

    Returns:
        The candidates, and the rows left out with ``source, vintage, reason``.
    """
    rows = _latest(production.filter(measure="production"), [*GROUP, "source"])
    odd = reference("production_forms_left_out.csv").drop("source")
    rows = rows.join(odd, on=["material", "stage", "form"], how="left", validate="m:1")
    lost = rows.filter(pl.col("reason").is_not_null()).select("source", "vintage", "reason")
    middle = pl.coalesce("quantity_t", (pl.col("quantity_t_low") + pl.col("quantity_t_high")) / 2)
    kept = rows.filter(pl.col("reason").is_null()).with_columns(
        quantity_t_low=pl.when(pl.col("quantity_t").is_null()).then("quantity_t_low").otherwise(middle - "rounding_t"),
        quantity_t_high=pl.when(pl.col("quantity_t").is_null())
        .then("quantity_t_high")
        .otherwise(middle + pl.col("rounding_t")),
        quantity_t=middle,
    )
    added = (
        kept.sort([*CELL, "form"])
        .group_by([*CELL, "source", "vintage"])
        .agg(
            *(_sum_or_null(name).alias(name) for name in _TONNES),
            basis=pl.col("basis").first(),
            evidence=pl.col("evidence").sort_by(pl.col("evidence") == "estimated").last(),
        )
    )
    return added.with_columns(method=pl.lit("reported")).select(CANDIDATE), lost


def equivalents(tables: pl.DataFrame) -> pl.DataFrame:
    """Candidates of a material whose stage a world table prints in another unit (bauxite as aluminium)."""
    rules = numbers("production_equivalents.csv", ["factor", "factor_low", "factor_high"]).drop("source")
    rows = tables.rename({"material": "from_material", "stage": "from_stage"}).drop("basis")
    rows = rows.join(rules, on=["from_material", "from_stage"], how="inner").with_columns(
        quantity_t=pl.col("quantity_t") * pl.col("factor"),
        quantity_t_low=pl.col("quantity_t_low") * pl.col("factor_low"),
        quantity_t_high=pl.col("quantity_t_high") * pl.col("factor_high"),
        evidence=pl.lit("estimated"),
    )
    return rows.select(CANDIDATE)


def salient(us_salient: pl.DataFrame) -> pl.DataFrame:
    """Candidates of US lines that no world table holds, latest edition of each year."""
    lines = reference("salient_production.csv").drop("source", "form")
    rows = us_salient.filter(statistic="production", unit="t").drop("material", "stage", "basis")
    rows = rows.join(lines, on=["commodity", "detail"], how="inner", validate="m:1")
    return (
        _latest(rows, [*GROUP, "source"])
        .with_columns(
            iso3=pl.lit("USA"),
            method=pl.lit("reported"),
            quantity_t=pl.coalesce("value", (pl.col("value_low") + pl.col("value_high")) / 2),
            quantity_t_low="value_low",
            quantity_t_high="value_high",
        )
        .select(CANDIDATE)
    )


def published_tonnes(supply_share: pl.DataFrame, bases: pl.DataFrame) -> pl.DataFrame:
    """Candidates of tables that print shares and tonnes."""
    rows = supply_share.filter((pl.col("scope") == "global") & pl.col("quantity_t").is_not_null())
    scale = pl.col("quantity_t") / pl.col("share")
    rows = rows.join(bases, on="material", how="left").with_columns(
        year="last_year",
        quantity_t_low=pl.when(pl.col("share") > 0).then(pl.col("share_low") * scale).otherwise("quantity_t"),
        quantity_t_high=pl.when(pl.col("share") > 0).then(pl.col("share_high") * scale).otherwise("quantity_t"),
        method=pl.lit("reported"),
    )
    return rows.group_by([*CELL, "source", "vintage", "basis", "method"]).agg(
        *(pl.col(name).sum() for name in _TONNES), pl.col("evidence").last()
    ).select(CANDIDATE)  # fmt: skip


def world_totals(candidates: pl.DataFrame) -> pl.DataFrame:
    """World total of each stage and year with bounds, by the best source that has one.

    Printed totals come first, then the sum of a table that is whole (it has a line for other
    countries), then the total of an earlier stage where ``world_total_proxies.csv`` lets it stand in.

    Returns:
        ``material, stage, year, world_t, world_t_low, world_t_high, grade`` (evidence of the total).
    """
    ranked = candidates.join(source_order().select("rank", "source", "method"), on=["source", "method"], how="left")
    # Sorted, so that sums are the same to the last bit in every run.
    ranked = ranked.sort([*CELL, "rank"])
    table = [*GROUP, "source"]
    printed = ranked.filter((pl.col("iso3") == "WLD") & pl.col("quantity_t").is_not_null())
    whole = (pl.col("iso3") == "OTH").any().over(table) & ~(pl.col("iso3") == "WLD").any().over(table)
    sums = ranked.filter(whole).group_by([*GROUP, "rank"]).agg(pl.col(_TONNES).sum())
    totals = pl.concat([printed.select(*GROUP, "rank", *_TONNES), sums.select(*GROUP, "rank", *_TONNES)])
    totals = totals.sort("rank").unique(GROUP, keep="first").drop("rank")
    totals = totals.rename(dict(zip(_TONNES, ("world_t", "world_t_low", "world_t_high"), strict=True)))
    totals = totals.with_columns(grade=pl.lit("estimated"))
    rules = numbers("world_total_proxies.csv", ["factor", "factor_low", "factor_high"]).drop("source")
    proxies = (
        totals.rename({"stage": "from_stage"})
        .join(rules, on=["material", "from_stage"], how="inner")
        .join(totals, on=GROUP, how="anti")
    )
    proxies = proxies.with_columns(
        world_t=pl.col("world_t") * pl.col("factor"),
        world_t_low=pl.col("world_t_low") * pl.col("factor_low"),
        world_t_high=pl.col("world_t_high") * pl.col("factor_high"),
        grade=pl.lit("assumed"),
    )
    return pl.concat([totals, proxies.select(totals.columns)])


def shares_of_total(supply_share: pl.DataFrame, totals: pl.DataFrame, bases: pl.DataFrame) -> pl.DataFrame:
    """Candidates of shares without tonnes, times the world total of every year that has one."""
    rows = supply_share.filter((pl.col("scope") == "global") & pl.col("quantity_t").is_null()).sort("iso3", "form")
    rows = rows.group_by("material", "stage", "iso3", "source", "vintage").agg(
        pl.col("share", "share_low", "share_high").sum()
    )
    rows = rows.join(totals, on=["material", "stage"], how="inner").join(bases, on="material", how="left")
    return rows.with_columns(
        quantity_t=pl.col("share") * pl.col("world_t"),
        quantity_t_low=pl.coalesce("share_low", "share") * pl.col("world_t_low"),
        quantity_t_high=pl.coalesce("share_high", "share") * pl.col("world_t_high"),
        evidence="grade",
        method=pl.lit("share_x_total"),
    ).select(CANDIDATE)


def published_shares(bases: pl.DataFrame) -> pl.DataFrame:
    """Candidates of ``published_shares.csv``, each share times its world total."""
    columns = ["share", "share_low", "share_high", "world_t", "world_t_low", "world_t_high"]
    rows = numbers("published_shares.csv", columns, year=True).join(bases, on="material", how="left")
    return rows.with_columns(
        quantity_t=pl.col("share") * pl.col("world_t"),
        quantity_t_low=pl.col("share_low") * pl.col("world_t_low"),
        quantity_t_high=pl.col("share_high") * pl.col("world_t_high"),
        source=pl.lit("published"),
        vintage=pl.lit("2024"),
        evidence=pl.when(confidence="medium").then(pl.lit("estimated")).otherwise(pl.lit("assumed")),
        method=pl.lit("published_share"),
    ).select(CANDIDATE)


def net_exports(stage_flow: pl.DataFrame) -> pl.DataFrame:
    """Candidates of countries that ship more than they take: ``P >= max(0, X - M)`` (methods, section 3).

    Only where a source covers the trade of all countries (``flow_networks.csv``); a country's
    residual under OTH counts for its partner but makes no producer of OTH.
    """
    networks = reference("flow_networks.csv").filter(network="true")["source"].implode()
    known = stage_flow.filter(pl.col("quantity_t").is_not_null())
    covered = known.filter(pl.col("source").is_in(networks)).select(GROUP).unique()
    known = known.join(covered, on=GROUP, how="semi").sort([*GROUP, "exporter", "importer", "source"])
    sides = [
        known.group_by([*GROUP, "basis", pl.col(end).alias("iso3")]).agg(
            *(pl.col(name).sum().alias(f"{end}_{name}") for name in _TONNES)
        )
        for end in ("exporter", "importer")
    ]
    both = sides[0].join(sides[1], on=[*GROUP, "basis", "iso3"], how="left")
    both = both.with_columns(pl.col(f"importer_{name}").fill_null(0.0) for name in _TONNES).sort(CELL)
    traded = pl.col("exporter_quantity_t").sum().over(GROUP)
    net = pl.col("exporter_quantity_t") - pl.col("importer_quantity_t")
    both = both.filter((net > NOISE * traded) & ~pl.col("iso3").is_in(["OTH", "WLD"]))
    vintage = covered.join(known, on=GROUP).select("source", "vintage").filter(pl.col("source").is_in(networks))
    return both.with_columns(
        quantity_t=net,
        quantity_t_low=(pl.col("exporter_quantity_t_low") - pl.col("importer_quantity_t_high")).clip(lower_bound=0),
        quantity_t_high="exporter_quantity_t_high",
        source=pl.lit("stage_flow"),
        vintage=pl.lit(vintage["vintage"].max() if vintage.height else "", pl.String),
        evidence=pl.lit("derived"),
        method=pl.lit("derived_balance"),
    ).select(CANDIDATE)


def carried(candidates: pl.DataFrame) -> pl.DataFrame:
    """Candidates of a reference year that a source leaves out, from the year beside it (assumed).

    World tables print both years, and shares of a window are multiplied by the total of each.
    """
    lenders = source_order().filter(pl.col("carried_spread").is_not_null())["source"].implode()
    rows = candidates.filter(pl.col("source").is_in(lenders))
    out = [rows.clear()]
    for year, beside in zip(YEARS, reversed(YEARS), strict=True):
        there = rows.filter(year=year).select("material", "stage", "source").unique()
        lent = rows.filter(year=beside).join(there, on=["material", "stage", "source"], how="anti")
        out.append(lent.with_columns(year=pl.lit(year, pl.Int32), evidence=pl.lit("assumed")))
    return pl.concat(out)
