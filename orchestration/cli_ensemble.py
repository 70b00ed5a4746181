"""``oretrace ensemble`` and ``oretrace worker``: large ensembles, here or by several workers.

What belongs here: words, options, the table that is printed. What does not: the work (``fan_out``), the broker
(``workers``).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from ingest.errors import BadInput
from ingest.home import PROJECT, Home
from orchestration.cli_options import json_option, print_json

if TYPE_CHECKING:
    from orchestration.fan_out import Outcome

broker_option = click.option(
    "--broker",
    envvar="ORETRACE_BROKER",
    show_envvar=True,
    metavar="ADDRESS",
    help="RabbitMQ, amqp://user:password@host:5672/; other users of the machine see what stands on a command line.",
)


@click.command()
@click.option("--draws", type=click.IntRange(1, 100_000), default=5000, show_default=True, help="Monte Carlo draws.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the draws; that of the job by default.")
@click.option("--material", "materials", multiple=True, help="Material, e.g. rare_earths; repeatable; all by default.")
@click.option("--year", "years", type=int, multiple=True, help="Reference year; repeatable; all by default.")
@click.option("--again", is_flag=True, help="Compute partitions that are there already.")
@broker_option
@json_option()
def ensemble(
    draws: int,
    seed: int | None,
    materials: tuple[str, ...],
    years: tuple[int, ...],
    again: bool,
    broker: str | None,
    as_json: bool,
) -> None:
    """Intervals at many draws, a partition per material and year, beside those of the last run.

    \b
    With a broker, workers (oretrace worker) compute the partitions; without, this process does. The figures
    are the same to the last bit. A partition that is there, of the same tables and code, is kept; so the same
    command goes on where it was stopped.
    Example: oretrace ensemble --draws 5000
             oretrace ensemble --material rare_earths --year 2024
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.workers import broker_url

    url = broker_url(broker)
    home = Home.from_environment().create()
    from orchestration.fan_out import run_ensemble
    from tracing.chains import SEED

    done = run_ensemble(
        home,
        draws=draws,
        seed=SEED if seed is None else seed,
        materials=materials,
        years=years,
        again=again,
        broker=url,
    )
    if as_json:
        print_json(_figures(done))
        return
    _print(done, draws)


def _figures(done: Outcome) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(done), "moved": done.joined.table().to_dicts()}


def _print(done: Outcome, draws: int) -> None:
    from orchestration.render import print_table

    joined = done.joined
    print(
        f"{joined.cells} of {joined.cells} partitions ({done.computed} computed, {done.kept} kept) in "
        f"{done.seconds:.0f} s, {joined.traced} with rows: {joined.rows:,} intervals of {draws:,} draws"
    )
    if any(done.workers):
        print("by " + ", ".join(f"{worker}: {count}" for worker, count in done.workers.items()))
    print(f"{joined.intervals}\n")
    print_table(
        joined.table(),
        f"How far the ends of the intervals are from those of the last run ({joined.published_draws:,} draws); shares",
    )


@click.command()
@broker_option
@click.option(
    "--processes", type=click.IntRange(1, 256), default=1, show_default=True, help="Partitions worked on at once."
)
@click.option("--name", "called", help="Name among the workers; one is made up by default.")
def worker(broker: str | None, processes: int, called: str | None) -> None:
    """Take partitions from the broker and run them until stopped; SIGTERM lets the one at hand end first.

    \b
    Every worker needs the same ORETRACE_HOME and the same Dagster storage as the process that hands out the
    partitions (docs/fan-out.md).
    Example: ORETRACE_BROKER=amqp://oretrace:secret@127.0.0.1:5672/ oretrace worker --processes 2
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.workers import BROKER, broker_url, present, worker_command

    url = broker_url(broker)
    if url is None:
        raise BadInput(f"a worker needs the address of its broker: --broker or {BROKER}.")
    present(url)
    from orchestration.instance import dagster_home

    dagster_home(Home.from_environment().create())
    os.environ[BROKER] = url
    os.chdir(PROJECT)
    os.execv(sys.executable, worker_command(processes, called))  # noqa: S606
