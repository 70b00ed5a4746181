"""The commands on releases: list and remove (``releases``), point back (``rollback``), recompute hashes (``verify``).

What belongs here: their words and options. What does not: what they do (``publish``, ``integrity``).
"""

from __future__ import annotations

from typing import Any

import click

from ingest.errors import BadInput, OretraceError
from ingest.home import Home
from ingest.store import configured
from orchestration.cli_options import json_option, print_json, release_versions


@click.command()
@click.option("--prune", is_flag=True, help="Remove old releases; the published one always stays.")
@click.option("--keep", type=click.IntRange(1), help="With --prune: how many of the newest stay.")
@json_option()
def releases(prune: bool, keep: int | None, as_json: bool) -> None:
    """List the releases, newest first; the published one is marked.

    \b
    Example: oretrace releases --prune --keep 24
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.publish import current_release, list_releases
    from orchestration.publish import prune as remove

    if prune != (keep is not None):
        raise BadInput("--prune and --keep go together: oretrace releases --prune --keep 24 keeps the newest 24.")
    home = Home.from_environment()
    if configured():
        from orchestration.store import upkeep

        for version in upkeep.prune(home, keep) if keep else []:
            click.echo(f"removed {version}", err=as_json)
        _print(upkeep.listed(), as_json)
        return
    for release in remove(home.warehouse, keep) if keep else []:
        click.echo(f"removed {release.version}", err=as_json)
    current = current_release(home.warehouse)
    found = list(list_releases(home.warehouse))
    if not found:
        raise BadInput(f"there are no releases in {home.warehouse} yet. Build one with: oretrace run")
    rows: list[dict[str, Any]] = []
    for release, package in found:
        sizes = [path.stat().st_size for path in release.folder.rglob("*") if path.is_file()]
        rows.append(
            {
                "version": release.version,
                "published": current is not None and release.version == current.version,
                "created": package.get("created"),
                "files": len(sizes),
                "bytes": sum(sizes),
                "folder": str(release.folder),
            }
        )
    _print(rows, as_json)


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    for row in rows:
        mark = "*" if row["published"] else " "
        print(f"{mark} {row['version']}  {row['files']} files  {row['bytes'] / 1e6:.1f} MB  {row['folder']}")


@click.command()
@click.argument("version", shell_complete=release_versions)
@json_option()
def rollback(version: str, as_json: bool) -> None:
    """Point readers back at VERSION (see: oretrace releases).

    \b
    Example: oretrace rollback 20261122T101500Z-1a2b3c4d
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.progress import shown
    from orchestration.publish import rollback as point_back
    from orchestration.releases import folder_of

    home = Home.from_environment()
    with shown("verifying"):
        if configured():
            from orchestration.store import upkeep

            upkeep.rollback(home, version)
        else:
            point_back(home.warehouse, version)
    if as_json:
        print_json({"published": version, "folder": str(folder_of(home.warehouse) / version)})
    else:
        print(f"published: {version}")


@click.command()
@json_option()
def verify(as_json: bool) -> None:
    """Recompute every hash of every release; exit code 1 names each file that changed.

    \b
    Example: oretrace verify
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.backup import bytes_below
    from orchestration.progress import BYTES, shown
    from orchestration.publish import verify as verify_all

    home = Home.from_environment()
    with shown("verifying", bytes_below(home.warehouse), BYTES) as meter:
        count, wrong = verify_all(home.warehouse, meter)
        if configured():
            from orchestration.store import upkeep

            # What is here is a copy, perhaps not of all; it is read all the same.
            count, damaged = upkeep.verify(meter)
            wrong = damaged + wrong
    if not count:
        raise BadInput(f"there are no releases in {home.warehouse} yet. Build one with: oretrace run")
    if as_json:
        print_json({"releases": count, "wrong": wrong})
    if wrong:
        raise OretraceError("\n".join(wrong))
    if not as_json:
        print(f"{count} release(s) are as they were published.")
