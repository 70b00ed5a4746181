"""The commands ``oretrace backup`` and ``oretrace restore``.

What belongs here: words and options. What does not: the work (``backup``, ``restore``).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from ingest.home import Home
from orchestration.cli_options import json_option, print_json


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(min=1), help="Remove all but the newest so many backups of the folder.")
@json_option()
def backup(target: Path, keep: int | None, as_json: bool) -> None:
    """Back up ORETRACE_HOME to TARGET: a folder of backups, or one archive *.tar.gz.

    \b
    In a folder each backup is complete, and what did not change takes no space again (hard links).
    Runs and readers may go on. Run history in PostgreSQL is not part of it: see docs/operations.md.
    Examples: oretrace backup /mnt/backup/oretrace --keep 30
              oretrace backup ~/oretrace-2026-11-27.tar.gz
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.backup import back_up
    from orchestration.progress import shown

    begun = time.monotonic()
    with shown("checking") as meter:
        done = back_up(Home.from_environment(), target, keep=keep, meter=meter)
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    took = time.monotonic() - begun
    if as_json:
        what = {"path": str(done.path), "files": done.files, "bytes": done.size, "new_bytes": done.added}
        print_json({**what, "seconds": round(took, 1), "notes": done.notes})
        return
    print(f"{done.path}  {done.files} files  {done.size / 1e6:.1f} MB, {done.added / 1e6:.1f} MB new  {took:.1f} s")


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Read and compare every byte of the backup; write nothing.")
@json_option()
def restore(source: Path, check: bool, as_json: bool) -> None:
    """Bring the backup SOURCE back into ORETRACE_HOME, which must be empty or missing.

    \b
    Every hash is compared before anything is put in place, and releases and raw vintages are verified.
    Example: ORETRACE_HOME=/srv/oretrace oretrace restore /mnt/backup/oretrace/20261127T020000Z
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.progress import shown
    from orchestration.restore import restore as bring_back

    home = Home.from_environment()
    with shown("reading") as meter:
        manifest = bring_back(source, home, check_only=check, meter=meter)
    size = sum(item["bytes"] for item in manifest["files"])
    if as_json:
        found = {"files": len(manifest["files"]), "bytes": size, "created": manifest["created"]}
        print_json({"source": str(source), "restored_into": None if check else str(home.root), **found})
        return
    what = f"{len(manifest['files'])} files, {size / 1e6:.1f} MB, of {manifest['created']}"
    if check:
        print(f"{source} is as it was written: {what}")
        return
    print(f"restored into {home.root}: {what}")
    print("Look: oretrace releases. The next run writes what a backup leaves out: oretrace run")
