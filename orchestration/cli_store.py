"""The commands ``oretrace store``: what the object store holds, and making it and this machine's folder agree.

What belongs here: words and options. What does not: the work (``orchestration.store``).
"""

from __future__ import annotations

import click

from ingest.errors import BadInput
from ingest.home import Home
from ingest.store import VARIABLE, configured
from orchestration.cli_options import json_option, print_json


@click.group()
def store() -> None:
    """The object store that ORETRACE_STORE names: raw vintages, canonical tables, releases (docs/object-storage.md)."""
    if not configured():
        raise BadInput(f"{VARIABLE} names no object store; set it to s3://BUCKET/FOLDER. See docs/object-storage.md")


@store.command()
@json_option()
def status(as_json: bool) -> None:
    """Say what the store holds, and where the published tables are for programs that read s3:// themselves.

    \b
    Example: oretrace store status --json
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.store.upkeep import standing_there

    said = standing_there()
    if as_json:
        print_json(said)
        return
    for name, value in said.items():
        print(f"{name:<13} {'-' if value is None else value}")


@store.command()
@json_option()
def push(as_json: bool) -> None:
    """Send the raw vintages and releases of this folder that the store does not have.

    \b
    Runs do so by themselves; this is for a folder from before there was a store, or after an upload that failed.
    Example: oretrace store push
    """  # noqa: D301  # click's mark needs the character itself
    from ingest.store.bucket import Bucket
    from ingest.store.raw import send
    from orchestration.progress import shown
    from orchestration.store.pointer import newest
    from orchestration.store.shelf import push_releases

    home, bucket = Home.from_environment(), Bucket.from_environment()
    with shown("sending"):
        before = newest(bucket)
        vintages = send(home.raw)
        after = push_releases(home, bucket)
    new = sorted((after.releases.keys() if after else set()) - (before.releases.keys() if before else set()))
    if as_json:
        print_json({"vintages": len(vintages), "releases": new, "store": bucket.url})
        return
    print(f"sent {len(vintages)} raw vintage(s) and {len(new)} release(s) to {bucket.url}")


@store.command()
@click.option("--canonical", is_flag=True, help="The canonical tables of that release too, in place of those here.")
@json_option()
def pull(canonical: bool, as_json: bool) -> None:
    """Bring what others sent: records of raw vintages, and the published release; a damaged copy is brought anew.

    \b
    Readers do so by themselves. Files of raw vintages come when a run reads them.
    Example: oretrace store pull --canonical
    """  # noqa: D301  # click's mark needs the character itself
    from ingest.store.raw import see
    from orchestration.progress import shown
    from orchestration.store.shelf import catch_up
    from orchestration.store.upkeep import bring_canonical

    home = Home.from_environment().create()
    with shown("bringing"):
        records = see(home.raw)
        pointer = catch_up(home, thorough=True)
        tables = bring_canonical(home) if canonical else 0
    if as_json:
        print_json({"records": len(records), "canonical_tables": tables, "published": pointer.current})
        return
    print(f"brought {len(records)} record(s) of raw vintages{f', {tables} canonical tables' if canonical else ''}")
    print(f"published: {pointer.current}")
