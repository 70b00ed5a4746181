"""What changed since the last release, as the release itself says.

What belongs here: the page. What does not: comparing (``orchestration.release_diff``).
"""

from __future__ import annotations

from website.render import Site


def write(site: Site) -> None:
    """Write ``changes.html`` from the comparison beside the database; without one there is nothing to tell."""
    diff = site.release["diff"]
    tables = diff.get("marts", {})
    first = all(change["added"] is None for change in tables.values())
    site.page("changes.html", "changes.html", diff=diff, tables=sorted(tables.items()), first=first)
