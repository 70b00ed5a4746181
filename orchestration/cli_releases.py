"""The commands on releases: list and remove (``releases``), point back (``rollback``), recompute hashes (``verify``).

What belongs here: their words and options. What does not: what they do (``publish``, ``integrity``).
"""

from __future__ import annotations

import click

from ingest.errors import BadInput, OretraceError
from ingest.home import Home


@click.command()
@click.option("--prune", is_flag=True, help="Remove old releases; the published one always stays.")
@click.option("--keep", type=click.IntRange(1), help="With --prune: how many of the newest stay.")
def releases(prune: bool, keep: int | None) -> None:
    """List the releases, newest first; the published one is marked.

    \b
    Example: oretrace releases --prune --keep 24
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.publish import current_release, list_releases
    from orchestration.publish import prune as remove

    if prune != (keep is not None):
        raise BadInput("--prune and --keep go together: oretrace releases --prune --keep 24 keeps the newest 24.")
    home = Home.from_environment()
    for release in remove(home.warehouse, keep) if keep else []:
        print(f"removed {release.version}")
    current = current_release(home.warehouse)
    found = list(list_releases(home.warehouse))
    if not found:
        raise BadInput(f"there are no releases in {home.warehouse} yet. Build one with: oretrace run")
    for release, _ in found:
        mark = "*" if current and release.version == current.version else " "
        sizes = [path.stat().st_size for path in release.folder.rglob("*") if path.is_file()]
        print(f"{mark} {release.version}  {len(sizes)} files  {sum(sizes) / 1e6:.1f} MB  {release.folder}")


@click.command()
@click.argument("version")
def rollback(version: str) -> None:
    """Point readers back at VERSION (see: oretrace releases)."""
    from orchestration.publish import rollback as point_back

    release = point_back(Home.from_environment().warehouse, version)
    print(f"published: {release.version}")


@click.command()
def verify() -> None:
    """Recompute every hash of every release; exit code 1 names each file that changed."""
    from orchestration.publish import verify as verify_all

    home = Home.from_environment()
    count, wrong = verify_all(home.warehouse)
    if not count:
        raise BadInput(f"there are no releases in {home.warehouse} yet. Build one with: oretrace run")
    if wrong:
        raise OretraceError("\n".join(wrong))
    print(f"{count} release(s) are as they were published.")
