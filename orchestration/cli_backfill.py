"""``oretrace backfill``: a range of editions of one source, one after the other.

What belongs here: the range in the user's words, a line per edition, the summary. What does not:
fetching (``ingest.fetch``) and backfills started in the Dagster UI (partitions of the vintage assets).
"""

from __future__ import annotations

from collections import Counter

import click

from ingest.errors import BadInput, Busy, KeyRefused, OretraceError
from ingest.home import Home
from orchestration.cli_options import json_option, print_json, source_names
from orchestration.progress import say, shown

FAILED = "FAILED"


@click.command()
@click.argument("source", shell_complete=source_names)
@click.option(
    "--from", "first", required=True, help="First edition: YYYY-MM of a monthly source, YYYY of a yearly one."
)
@click.option("--to", "last", required=True, help="Last edition, of the same form.")
@click.option("--any-size", is_flag=True, help="Accept vintages far larger or smaller than the last one.")
@json_option("One object per edition, as JSON, at the end.")
def backfill(source: str, first: str, last: str, any_size: bool, as_json: bool) -> None:
    """Fetch a range of editions of SOURCE, oldest first, at the pace that its publisher allows.

    \b
    An edition that is kept already is asked about and downloaded only when the publisher revised it, so
    that the same command goes on where it was stopped. One that fails does not stop the others; exit code 1
    names it at the end.
    Example: oretrace backfill census_monthly --from 2023-01 --to 2024-06
    """  # noqa: D301  # click's mark needs the character itself
    editions = editions_between(source, first, last)
    home = Home.from_environment().create()
    done: list[dict[str, str | None]] = []
    with shown(f"fetching {source}", len(editions), "editions") as meter:
        for edition in editions:
            item, refused = _fetch(home, source, edition, any_size)
            done.append(item)
            if not as_json:
                print(f"{source} {edition}: {item['outcome']} ({item['note']})", flush=True)
            meter.add()
            if refused:
                break  # it would be refused for every other edition too
    if as_json:
        print_json(done)
    counts = Counter(str(item["outcome"]) for item in done)
    failed = [str(item["edition"]) for item in done if item["outcome"] == FAILED]
    summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()) if outcome != FAILED)
    left = editions[len(done) :]
    if failed:
        rest = f"; {len(left)} not asked for, from {left[0]} on" if left else ""
        raise OretraceError(
            f"{source}: {len(failed)} of {len(editions)} editions failed: {', '.join(failed)} ({summary or 'none kept'}"
            f"{rest}). The same command tries them again and skips what is kept."
        )
    if not as_json:
        print(f"{source} {first} to {last}: {summary}")


def _fetch(home: Home, source: str, edition: str, any_size: bool) -> tuple[dict[str, str | None], bool]:
    """Fetch one edition; return what became of it, and whether the publisher refused the key."""
    from ingest.fetch import fetch

    months = [edition] if "-" in edition else []
    years = [] if months else [int(edition)]
    try:
        (item,) = fetch(home, source, years=years, months=months, any_size=any_size, say=say)
    except Busy:
        raise
    except OretraceError as error:
        gone = {"source": source, "edition": edition, "outcome": FAILED, "note": str(error), "folder": None}
        return gone, isinstance(error, KeyRefused)
    note = f"{item.edition}; {item.note}" if item.edition != edition else item.note
    return {**item.to_dict(), "edition": edition, "note": note}, False


def editions_between(source: str, first: str, last: str) -> list[str]:
    """Return the editions of a source from one to another, as partitions are named.

    Raises:
        BadInput: a source without such editions, or a range of another form, backwards or outside.
    """
    from datetime import UTC, datetime

    from ingest.calendar import calendar
    from ingest.clients import clients
    from ingest.vintages import known_source

    known_source(source)
    release = calendar()[source]
    if source not in clients() or release.partition is None:
        able = ", ".join(name for name, item in calendar().items() if item.partition)
        raise BadInput(
            f"{source} has no editions to fetch one by one; these have: {able}. See: oretrace fetch {source}"
        )
    there = release.editions(datetime.now(UTC).date())
    for option, given in (("--from", first), ("--to", last)):
        if given not in there:
            form = {"year": "YYYY", "month": "YYYY-MM"}[release.partition]
            raise BadInput(f"{option} {given}: expected {form} from {there[0]} to {there[-1]}.")
    if first > last:
        raise BadInput(f"--from {first} is after --to {last}.")
    return [edition for edition in there if first <= edition <= last]
