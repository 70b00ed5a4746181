"""The command ``oretrace scenario``: one ban, or one offtake, for one importer.

What belongs here: words and options. What does not: the work (``scenario``, ``offtake``).
"""

from __future__ import annotations

import sys

import click

from ingest.errors import BadInput
from ingest.home import Home
from orchestration.cli_options import form_option, published_words


@click.command()
@click.option(
    "--material", required=True, shell_complete=published_words("material"), help="Slug or name, e.g. rare_earths."
)
@click.option(
    "--to", required=True, shell_complete=published_words("importer"), help="Importer: ISO3 code or name, or EUU."
)
@click.option(
    "--by", shell_complete=published_words("importer"), help="Country that bans its exports: ISO3 code or name."
)
@click.option(
    "--stage",
    "stages",
    multiple=True,
    shell_complete=published_words("stage"),
    help="Stage that is banned; repeatable; every one by default.",
)
@click.option(
    "--share", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="Part of exports that stops."
)
@click.option("--offtake", metavar="ISO3:STAGE:TONNES", help="Instead of a ban: buy so many tonnes a year there.")
@click.option("--year", type=click.IntRange(1900, 2100), help="Year of output and trade.  [default: newest traced]")
@form_option("table", "json", "csv")
def scenario(
    material: str,
    to: str,
    by: str | None,
    stages: tuple[str, ...],
    share: float,
    offtake: str | None,
    year: int | None,
    form: str,
) -> None:
    """What an importer loses when a country bans its exports, stage by stage.

    The loss is an interval: low, all buyers share the shortage; high, trade keeps its routes. Runs on the
    canonical tables of the last run; writes nothing.

    \b
    Example: oretrace scenario --by CHN --material rare_earths --stage metal --to USA
             oretrace scenario --offtake AUS:compound:1000 --material rare_earths --to USA
    """  # noqa: D301  # click's mark needs the character itself
    if (by is None) == (offtake is None):
        raise BadInput(
            "give either --by (a ban) or --offtake (a purchase), e.g. --by CHN or --offtake AUS:compound:1000."
        )
    if by is not None:
        _ban(by, material, stages, to, share, year, form)
    elif offtake is not None:
        if stages or share != 1.0:
            raise BadInput("--stage and --share go with --by; an offtake names its stage: --offtake AUS:compound:1000.")
        _offtake(offtake, material, to, year, form)


def _ban(by: str, material: str, stages: tuple[str, ...], to: str, share: float, year: int | None, form: str) -> None:
    from orchestration.progress import shown
    from orchestration.render import print_table, write_frame
    from orchestration.scenario import basis, for_people, read_ban, run_ban

    home = Home.from_environment()
    with shown("tracing the ban"):
        ban = read_ban(by, material, stages, to, share, year)
        chain = run_ban(home, ban)
    if form == "table":
        scope = ", ".join(ban.stages) or "every stage"
        title = (
            f"{ban.actor} bans {100 * ban.share:g} % of its exports of {ban.material} ({scope}): loss of {ban.importer}"
        )
        print_table(for_people(chain, ban.actor), title)
        print(f"\n{basis(home, ban)}")
    else:
        write_frame(chain, form)
        print(basis(home, ban), file=sys.stderr)


def _offtake(spec: str, material: str, to: str, year: int | None, form: str) -> None:
    from ingest.scenario_inputs import parameters
    from orchestration.offtake import run_offtake
    from orchestration.progress import shown
    from orchestration.render import write_frame
    from orchestration.scenario import chain_slug, check_tables, country_code

    home = Home.from_environment()
    with shown("tracing the offtake"):
        slug, importer = chain_slug(material), country_code(to, "importer")
        check_tables(home)
        chosen = int(parameters()["year"]) if year is None else year
        traced = run_offtake(home, spec, material=slug, to=importer, year=chosen)
    write_frame(traced, form)
