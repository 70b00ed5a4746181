"""The command ``oretrace site``: write the site of the published release anew, for trials.

What belongs here: words and options. What does not: pages (``website``) and what goes beside them (``site``).
"""

from __future__ import annotations

from pathlib import Path

import click

from ingest.errors import BadInput
from ingest.home import Home
from ingest.store import configured


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def site(folder: Path) -> None:
    """Write the site of the published release into FOLDER and print its first page.

    \b
    Every release brings its own; this is for trying a change of the pages. An earlier site in FOLDER is replaced.
    Example: oretrace site /tmp/site
    """  # noqa: D301  # click's mark needs the character itself
    from orchestration.progress import shown
    from orchestration.publish import current_release
    from orchestration.site import write_site

    home = Home.from_environment()
    if configured():
        from orchestration.store.shelf import catch_up

        catch_up(home)
    release = current_release(home.warehouse)
    if release is None:
        raise BadInput(f"there is no release in {home.warehouse} yet. Build one with: oretrace run")
    with shown("writing the site"):
        page = write_site(home, release.database, folder.resolve())
    print(page)
