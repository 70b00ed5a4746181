"""The command line ``oretrace``: run, fetch, sources, query, show, scenario, releases, rollback, verify, ui, raw ...

What belongs here: words, options, exit codes (0 done, 1 failed or refused, 2 bad input). What does
not: the work itself. Heavy tools are imported inside the commands, so that a query starts at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from ingest.errors import BadInput, OretraceError
from ingest.home import PROJECT, Home
from ingest.store import configured
from orchestration.cli_alerts import alerts
from orchestration.cli_backfill import backfill
from orchestration.cli_backup import backup, restore
from orchestration.cli_engine import engine_options, usable
from orchestration.cli_ensemble import ensemble, worker
from orchestration.cli_export import export
from orchestration.cli_options import completion, form_option, json_option, print_json, source_names
from orchestration.cli_releases import releases, rollback, verify
from orchestration.cli_scenario import scenario
from orchestration.cli_serve import serve
from orchestration.cli_show import FORMATS, show
from orchestration.cli_site import site
from orchestration.cli_store import store


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="oretrace")
def cli() -> None:
    """Dependence in critical minerals by supply-chain stage: build, audit, publish, query.

    Everything is written below ORETRACE_HOME (default: var/ in the project).

    \b
    Exit codes: 0 done, 1 failed or refused, 2 bad input, 130 stopped by Ctrl-C.
    """  # noqa: D301  # click's mark needs the character itself


@cli.command()
@click.option(
    "--no-compare",
    is_flag=True,
    help="Accept what the comparison with the last release would stop, such as smaller coverage.",
)
@click.option("--draws", type=click.IntRange(1, 10_000), help="Monte Carlo draws behind the intervals (default 100).")
@click.option(
    "--mode",
    type=click.Choice(["snapshot", "live"]),
    default="snapshot",
    envvar="ORETRACE_MODE",
    show_envvar=True,
    show_default=True,
    help="snapshot: the embedded figures, no network. live: ask the publishers, use the newest complete vintages.",
)
@click.option("--offline", is_flag=True, help="With --mode live: use what was fetched before, touch no network.")
@click.option("--force", is_flag=True, help="Run although nothing is new: the same inputs give the same figures.")
@engine_options
def run(no_compare: bool, draws: int | None, mode: str, offline: bool, force: bool, engine: str, remote: str) -> None:
    """Run the whole job, publish, print the headline; say so and stop when no input is new.

    \b
    Example: oretrace run
             oretrace run --mode live --offline
             oretrace run --engine spark --remote sc://127.0.0.1:15002
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.alerting.telling import settle, telling
    from orchestration.standing import engine_setting, nothing_new, reasons_to_run, standing

    if offline and mode == "snapshot":
        raise BadInput("--offline goes with --mode live; snapshot mode never touches the network.")
    home = Home.from_environment()
    with telling(home):
        usable(engine, remote)
        home.create()
        if configured():
            from orchestration.store.shelf import join

            join(home)
        not_fetched = None
        if mode == "live" and not offline:
            from orchestration.run import ask_publishers

            not_fetched = ask_publishers(home)
        reasons = reasons_to_run(home, mode, {"draws": draws, **engine_setting(engine)})
    if not reasons and not force:
        settle(home, not_fetched)
        print(nothing_new(home, standing(home)))
        return
    from orchestration.headline import print_headline
    from orchestration.run import run as run_job
    from orchestration.run import say_why

    if standing(home).version is not None:
        say_why(reasons)
    # The publishers were asked above, and are not asked twice.
    release = run_job(
        home,
        compare=not no_compare,
        draws=draws,
        mode=mode,
        offline=mode == "live",
        engine=engine,
        remote=remote if engine == "spark" else "",
    )
    print_headline(home, str(release["version"]), unchanged=bool(release["unchanged"]))


@cli.command()
@click.argument("sql")
@form_option(*FORMATS)
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=300, help="Stop it after so long (300)."
)
def query(sql: str, form: str, seconds: float) -> None:
    """Read the published warehouse with one SELECT; 2 GB of memory, nothing is written anywhere.

    \b
    Example: oretrace query "select importer, nir_token from mart_dependence_by_stage where material = 'rare_earths'"
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.progress import shown
    from orchestration.query import read_sql
    from orchestration.render import write_frame

    with shown("reading"):
        answer = read_sql(sql, seconds=seconds)
    write_frame(answer, form)


@cli.command()
def docs() -> None:
    """Write the data dictionary (dbt docs) as one page and print where it is.

    \b
    Example: oretrace docs
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.dbt import docs as write_docs
    from orchestration.progress import shown

    with shown("writing the dictionary"):
        page = write_docs(Home.from_environment())
    print(page)


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
def ui(port: int) -> None:
    """Open Dagster on 127.0.0.1 until Ctrl-C.

    \b
    Example: oretrace ui --port 3001
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.instance import dagster_home, dagster_instance, is_made
    from orchestration.serve import listen

    # Dagster itself tells of a taken port with a stack of log lines, and goes on without its pages.
    listen("127.0.0.1", port, "oretrace ui").close()
    home = Home.from_environment().create()
    dagster_home(home)
    if not is_made(home):
        # Dagster starts several processes, each of which would make the storage.
        with dagster_instance(home):
            pass
    dagster = Path(sys.executable).with_name("dagster")
    os.chdir(PROJECT)
    os.execv(  # noqa: S606
        dagster, [str(dagster), "dev", "-w", str(PROJECT / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(port)]
    )


@cli.command()
@click.argument("source", shell_complete=source_names)
@click.option("--year", "years", type=click.IntRange(1900, 2100), multiple=True, help="Edition of a year; repeatable.")
@click.option("--month", "months", multiple=True, help="Edition of a month, YYYY-MM, of monthly sources; repeatable.")
@click.option("--dry-run", is_flag=True, help="Ask what there is and keep nothing.")
@click.option("--any-size", is_flag=True, help="Accept a vintage far larger or smaller than the last one.")
@json_option()
def fetch(
    source: str, years: tuple[int, ...], months: tuple[str, ...], dry_run: bool, any_size: bool, as_json: bool
) -> None:
    """Fetch SOURCE and keep what is new as an immutable raw vintage.

    \b
    Without --year or --month the newest edition that is due. Sources without an interface are taken
    from ORETRACE_HOME/drop/SOURCE/EDITION/.
    Example: oretrace fetch comtrade --year 2023 --year 2024
    """  # noqa: D301  # click's mark needs the character itself
    from ingest.fetch import fetch as fetch_editions
    from ingest.vintages import known_source
    from orchestration.progress import say, shown

    known_source(source)  # before a home is made for it
    home = Home.from_environment().create()
    with shown(f"fetching {source}"):
        items = fetch_editions(home, source, years=years, months=months, dry_run=dry_run, any_size=any_size, say=say)
    if as_json:
        print_json([item.to_dict() for item in items])
        return
    for item in items:
        where = f"  {item.vintage.folder}" if item.vintage else ""
        print(f"{item.source} {item.edition}: {item.outcome} ({item.note}){where}")


@cli.command()
@click.option(
    "--wide", is_flag=True, help="Every column: way, bytes, schedule, licence too; other formats have them all."
)
@form_option(*FORMATS)
def sources(form: str, wide: bool) -> None:
    """List the sources: what is there, how old it is, what is due.

    \b
    Example: oretrace sources
             oretrace sources --wide
             oretrace sources --json
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.render import write_frame
    from orchestration.sources import NARROW, overview

    home = Home.from_environment()
    if configured():
        from ingest.store.raw import see

        see(home.raw)
    found = overview(home)
    write_frame(found if wide or form != "table" else found.select(NARROW), form)


@cli.group()
def raw() -> None:
    """Raw vintages: the publishers' own files, kept unchanged."""


@raw.command("add")
@click.argument("source", shell_complete=source_names)
@click.argument("vintage")
@click.argument("download", type=click.Path(path_type=Path))
def raw_add(source: str, vintage: str, download: Path) -> None:
    """Keep DOWNLOAD (a file or folder) as edition VINTAGE of SOURCE.

    \b
    Example: oretrace raw add usgs_mcs 2026 ~/Downloads/mcs2026
    """  # noqa: D301  # click's mark needs the character itself
    from ingest.vintages import add_vintage, known_source
    from orchestration.progress import shown

    known_source(source)  # before a home is made for it
    home = Home.from_environment().create()
    with shown("keeping"):
        added = add_vintage(home.raw, source, vintage, download)
    print(f"kept {added.folder}")


@cli.group()
def snapshot() -> None:
    """The embedded snapshot in ingest/snapshot."""


@snapshot.command("write")
@click.option("--to", "target", type=click.Path(path_type=Path), help="Another folder than ingest/snapshot.")
@json_option("Rows by table, as JSON.")
def snapshot_write(target: Path | None, as_json: bool) -> None:
    """Write the snapshot anew from the raw vintages of ORETRACE_HOME, through the readers of live mode.

    \b
    Example: oretrace snapshot write --to /tmp/snapshot
    """  # noqa: D301  # click's mark needs the character itself
    from ingest.embedded import write_snapshot
    from ingest.home import SNAPSHOT
    from orchestration.progress import shown

    with shown("writing the snapshot"):
        written = write_snapshot(Home.from_environment().raw, target or SNAPSHOT)
    if as_json:
        print_json(written)
        return
    for table, rows in written.items():
        print(f"{table:<40} {rows:>9,} rows")


for command in (
    alerts,
    backfill,
    backup,
    restore,
    releases,
    rollback,
    verify,
    scenario,
    ensemble,
    worker,
    serve,
    show,
    export,
    site,
    store,
    completion,
):
    cli.add_command(command)


def main() -> None:
    """Run a command; a user's mistake is one line on stderr and exit code 2, never a stack trace."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        fail(error.format_message(), error.exit_code)
    except click.Abort:
        fail("stopped", 130)
    except OretraceError as error:
        fail(str(error), error.exit_code)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        fail(f"{error.filename}: {error.strerror}. Point ORETRACE_HOME at a folder you may write to.", 2)
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        # Libraries raise it with one text alone, which then says all.
        fail(f"{error.filename or 'writing'}: {error.strerror or error}. Nothing half-written is used.", 1)
    except Exception as error:
        # A view or page of today asks a release of yesterday for a column; a user's own SQL is answered elsewhere.
        if type(error).__name__ not in ("BinderException", "CatalogException"):
            raise
        said = str(error).partition("\n")[0]
        fail(f"the published release lacks what this reads ({said}). Make one of this version: oretrace run", 1)
    sys.exit(code if isinstance(code, int) else 0)


def fail(message: str, code: int) -> None:
    """Print one message to stderr and leave."""
    print(f"oretrace: {message}", file=sys.stderr)
    sys.exit(code)
