"""The view behind ``oretrace scenario``: one ban, stage by stage of one chain, for one importer.

What belongs here: checking the user's words, reading the canonical tables of ORETRACE_HOME, laying the answer
out. What does not: the loss itself (``tracing.disruption``), writing anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from ingest.chain_inputs import network_sources, stage_feed
from ingest.countries import countries
from ingest.errors import BadInput
from ingest.home import Home
from ingest.mapping import reference
from ingest.scenario_inputs import links, parameters
from ingest.words import known_value
from orchestration.assets.canonical import read_input
from orchestration.assets.disrupted import european_union, in_store
from orchestration.assets.networks import TABLES as NETWORK
from orchestration.assets.networks import networks
from orchestration.publish import current_release
from tracing.chain_networks import ChainNetworks
from tracing.disruption import BAN, disrupt

_SHOWN = ("supply_t", "face_value_share", "loss_low", "loss_high", "loss_t_low", "loss_t_high", "binds")
_DAYS = ("days_until_bite", "days_until_bite_latest", "days_reason")


@dataclass(frozen=True)
class Ban:
    """What the user asks: ``actor`` exports nothing of ``material`` at ``stages`` (all where none is named)."""

    actor: str
    material: str
    stages: tuple[str, ...]
    importer: str
    share: float
    year: int


def read_ban(by: str, material: str, stages: tuple[str, ...], to: str, share: float, year: int | None) -> Ban:
    """Match the user's words to codes and slugs.

    Raises:
        BadInput: an unknown country, material or stage (with the nearest), an importer that bans itself.
    """
    actor, importer = country_code(by, "country"), country_code(to, "importer")
    slug, chosen = chain_slug(material), parameters()["year"] if year is None else year
    chain = stage_feed().filter(material=slug)["stage"].unique().to_list()
    names = {
        stage: name for stage, name in reference("stages.csv").select("stage", "name").iter_rows() if stage in chain
    }
    ban = Ban(actor, slug, tuple(known_value(stage, names, "stage") for stage in stages), importer, share, int(chosen))
    if actor == importer:
        raise BadInput(f"--by and --to are both {actor}: a ban on exports takes nothing from the country itself.")
    if importer == european_union().name and actor in european_union().members:
        raise BadInput(
            f"{actor} is a member of {importer}: a ban inside the union is not a ban on it. Ask --to a member."
        )
    return ban


def country_code(given: str, what: str) -> str:
    """ISO 3166 alpha-3 code of a country named by code or name, or EUU.

    Raises:
        BadInput: unknown; names the nearest.
    """
    rows = countries().filter((pl.col("kind") == "country") | (pl.col("iso3") == "EUU")).select("iso3", "name")
    return known_value(given, dict(rows.iter_rows()), what)


def chain_slug(given: str) -> str:
    """Slug of a material that has a supply chain here.

    Raises:
        BadInput: unknown; names the nearest.
    """
    chains = stage_feed().select("material").unique()
    named = reference("materials.csv").join(chains, on="material", how="semi").sort("material")
    return known_value(given, dict(named.select("material", "name").iter_rows()), "material")


def run_ban(home: Home, ban: Ban) -> pl.DataFrame:
    """Run one ban on the canonical tables.

    Returns:
        One row per stage of the chain, in order: ``stage, supply_t`` (tonnes contained), ``face_value_share`` of
        the country that bans, ``loss_low, loss_high`` (0..1 of supply), ``loss_t_low, loss_t_high, binds,
        days_until_bite, days_until_bite_latest, days_reason, evidence, figures`` (years and sources). A stage
        that is not traced, or of which the importer has no supply, has no loss; ``binds`` says why.

    Raises:
        BadInput: no canonical tables, nothing traced in the year, a stage that is not traced, or an importer or
            country without any recorded trade of the material.
    """
    check_tables(home)
    parts = networks(home, ban.year, ban.material)
    _check(home, parts, ban)
    scenarios = pl.DataFrame(
        [("asked", BAN, ban.actor, ban.material, stage, ban.share, None) for stage in ban.stages or (None,)],
        schema={
            **dict.fromkeys(("scenario", "mechanism", "actor", "material", "stage"), pl.String()),
            "stopped_share": pl.Float64(),
            "target": pl.String(),
        },
        orient="row",
    )
    union = european_union() if ban.importer == european_union().name else None
    rows = disrupt(parts, scenarios, links(), union=union, stock=in_store(home), smallest=0.0).filter(
        importer=ban.importer
    )
    if rows.is_empty():
        raise BadInput(f"{ban.importer} has no recorded supply of {ban.material} in {ban.year}. See mart_coverage.")
    return _chain(parts, rows)


def check_tables(home: Home) -> None:
    """Refuse a home without the canonical tables.

    Raises:
        BadInput: one is missing.
    """
    missing = [name for name in NETWORK if not (home.canonical / f"{name}.parquet").exists()]
    if missing:
        raise BadInput(
            f"no canonical tables {', '.join(missing)} in {home.canonical}: a scenario runs on the networks of the "
            "last run, which the published file does not hold. Build them with: oretrace run"
        )


def _check(home: Home, parts: ChainNetworks, ban: Ban) -> None:
    closed = parts.coverage.filter(status="closed")["stage"].to_list()
    if not closed:
        flows = read_input(home, "stage_flow").filter(pl.col("source").is_in(network_sources()), material=ban.material)
        years = flows.drop_nulls("quantity_t")["year"].unique().sort().to_list()
        there = f"Years with the trade of all countries: {', '.join(map(str, years)) or 'none'}."
        raise BadInput(f"no stage of {ban.material} can be traced in {ban.year}. {there}")
    for stage in ban.stages:
        if stage not in closed:
            reason = parts.coverage.filter(stage=stage)["reason"].item()
            raise BadInput(
                f"stage {stage} of {ban.material} is not traced in {ban.year} ({reason}). Traced: {', '.join(closed)}."
            )
    ends = (parts.production["country"], parts.flows["exporter"], parts.flows["importer"])
    if not any((names == ban.actor).any() for names in ends):
        raise BadInput(f"{ban.actor} neither makes nor trades {ban.material} in {ban.year}. See mart_coverage.")


def _chain(parts: ChainNetworks, rows: pl.DataFrame) -> pl.DataFrame:
    place = {stage: int(number) for stage, number in reference("stages.csv").select("stage", "position").iter_rows()}
    chain = parts.coverage.select(
        "stage", "status", "reason", figures=pl.format("{}; {}", "ingredient_years", "sources")
    ).join(rows.select("stage", *_SHOWN, *_DAYS, "evidence"), on="stage", how="left")
    absent = pl.when(status="blind").then(pl.format("not traced: {}", "reason")).otherwise(pl.lit("no recorded supply"))
    order = chain.sort(pl.col("stage").replace_strict(place, return_dtype=pl.Int32))
    return order.with_columns(binds=pl.coalesce("binds", absent)).select(
        "stage", *_SHOWN, *_DAYS, "evidence", "figures"
    )


def basis(home: Home, ban: Ban) -> str:
    """One line on what the answer rests on: the year, the tables and the release."""
    written = datetime.fromtimestamp((home.canonical / "stage_flow.parquet").stat().st_mtime, UTC)
    release = current_release(home.warehouse)
    published = f"release {release.version}" if release else "no release published"
    tables = f"canonical tables of {written:%Y-%m-%d %H:%M} UTC in {home.canonical}"
    return f"output and trade of {ban.year}; {tables}; {published}"


def for_people(chain: pl.DataFrame, actor: str) -> pl.DataFrame:
    """The chain with shares in percent, for the terminal."""
    percent = pl.col("face_value_share", "loss_low", "loss_high") * 100
    rounded = chain.with_columns(percent.round(1), pl.col("supply_t", "loss_t_low", "loss_t_high").round(1))
    return rounded.select(
        "stage",
        "supply_t",
        pl.col("face_value_share").alias(f"from_{actor}_pct"),
        loss_low_pct="loss_low",
        loss_high_pct="loss_high",
        loss_t_low="loss_t_low",
        loss_t_high="loss_t_high",
        binds="binds",
        days=pl.coalesce(pl.col("days_until_bite").round(0).cast(pl.Int64).cast(pl.String), "days_reason"),
        evidence="evidence",
        figures="figures",
    )
