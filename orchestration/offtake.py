"""``oretrace scenario --offtake``: what a contract would change, from the canonical tables of this home.

What belongs here: reading what the user asked for, refusing what cannot be, giving the calculation its frames.
What does not: the calculation (``tracing.offtake``), printing (the command line).
"""

from __future__ import annotations

import re

import polars as pl

from ingest.chain_inputs import network_sources, stage_feed
from ingest.countries import countries
from ingest.errors import BadInput
from ingest.home import Home
from ingest.words import known_value
from orchestration.assets.canonical import read_input
from orchestration.assets.diversified import european_union
from tracing.chain_networks import ChainNetworks, prepare
from tracing.economies import merged
from tracing.network import STAGES
from tracing.offtake import ImpossibleOfftake, Offtake, before_and_after

FORM = "PARTNER:STAGE:TONNES, such as AUS:compound:1000 (tonnes contained a year)"
_NUMBER = re.compile(r"\d+(\.\d+)?([eE]\+?\d+)?")
_TABLES = ("stage_production", "stage_flow", "secondary_supply")


def run_offtake(home: Home, spec: str, *, material: str, to: str, year: int) -> pl.DataFrame:
    """Trace an importer's chain as it is and with an offtake contract.

    Args:
        home: holds the canonical tables of a run.
        spec: ``PARTNER:STAGE:TONNES``; ISO3 code or name, slug or name, tonnes contained a year.
        material: slug or name.
        to: the importer, ISO3 code or name; ``EUU`` is the European Union as one market.
        year: a year whose chain is traced.

    Returns:
        As ``tracing.offtake.before_and_after``: per stage, face-value and processed-in shares of the lead
        and of the partner before and after, the two ends being the two rules of what is replaced.

    Raises:
        BadInput: a word or number that cannot be read, a stage that is not traced, a contract with oneself or
            larger than what the importer gets from others; nothing built yet.
    """
    union = european_union()
    names = _names(home)
    slug = known_value(material, names["material"], "material")
    importer = known_value(to, names["country"] | {union.name: "European Union"}, "importer")
    partner, stage, tonnes = _read(spec, names)
    inside = {importer} | (set(union.members) if importer == union.name else set())
    if partner in inside:
        raise BadInput(f"--offtake {spec}: {partner} is no partner of {importer}, it is the importer itself.")
    parts = _network(home, slug, stage, year)
    if importer == union.name:
        parts = merged(parts, union)
    chain = stage_feed().filter(material=slug).select("stage", "from_stage", "rank")
    try:
        return before_and_after(parts, Offtake(importer, partner, stage, tonnes), chain)
    except ImpossibleOfftake as error:
        raise BadInput(f"--offtake {spec}: {error}") from None


def _names(home: Home) -> dict[str, dict[str, str]]:
    """Slugs and names that the user may type."""
    materials = dict(_table(home, "material").select("material", "name").iter_rows())
    stages = dict(_table(home, "stage").filter(pl.col("stage").is_in(STAGES)).select("stage", "name").iter_rows())
    nations = dict(countries().filter(kind="country").select("iso3", "name").iter_rows())
    return {"material": materials, "stage": stages, "country": nations}


def _table(home: Home, name: str) -> pl.DataFrame:
    try:
        return read_input(home, name)
    except FileNotFoundError:
        raise BadInput(f"{home.canonical} holds no table {name}. Build it with: oretrace run") from None


def _read(spec: str, names: dict[str, dict[str, str]]) -> tuple[str, str, float]:
    """Partner, stage and tonnes of the user's word."""
    words = spec.split(":")
    if len(words) != 3 or not all(word.strip() for word in words):
        raise BadInput(f"--offtake {spec!r} is not {FORM}.")
    partner = known_value(words[0], names["country"], "partner")
    stage = known_value(words[1], names["stage"], "stage")
    figure = words[2].strip()
    if not _NUMBER.fullmatch(figure):
        raise BadInput(
            f"--offtake {spec!r}: tonnes {figure!r} is not a number that is 0 or more, written with a point for "
            "decimals and without separators, such as 1000 or 12.5."
        )
    return partner, stage, float(figure)


def _network(home: Home, material: str, stage: str, year: int) -> ChainNetworks:
    """The networks of one material and year, the stage being closed."""
    tables = (_table(home, name).filter(material=material) for name in _TABLES)
    production, flows, secondary = tables
    feed = stage_feed().filter(material=material)
    if feed.is_empty():
        known = stage_feed()["material"].unique().sort()
        raise BadInput(f"the chain of {material} is not traced. Traced are: {', '.join(known)}.")
    parts = prepare(production, flows, feed, secondary, network_sources(), (year,))
    cell = parts.coverage.filter(stage=stage)
    if cell.is_empty() or cell["status"].item() != "closed":
        closed = parts.coverage.filter(status="closed")["stage"].to_list()
        why = "is no stage of the chain" if cell.is_empty() else f"is blind ({cell['reason'].item()})"
        there = (
            f"Closed in {year}: {', '.join(sorted(closed, key=STAGES.index))}."
            if closed
            else (f"Nothing of it is traced in {year}; see mart_coverage for the years.")
        )
        raise BadInput(f"{material} {stage} {why}. {there}")
    return parts
