"""The picture of README: the way of Germany's magnets, from the site of the last release.

    .venv/bin/python -m tests.picture

What belongs here: which page, which part of it, where the file goes. What does not: the page.
"""

from __future__ import annotations

from ingest.home import PROJECT, Home
from tests.browser import chromium, visit

PICTURE = PROJECT / "docs" / "images" / "site.png"


def main() -> None:
    """Take the picture."""
    page = (Home.from_environment().warehouse / "site" / "index.html").resolve()
    with chromium() as browser, visit(browser, f"{page.as_uri()}#importer=DEU", width=1120) as found:
        found.page.wait_for_selector("#importer-part[data-importer=DEU]")
        # Down to the row of rare earths.
        name = found.page.get_by_role("link", name="Rare earths", exact=True)
        box = found.page.locator(".heat tbody tr", has=name).first.bounding_box()
        assert box is not None and not found.troubles, found.troubles
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        clip = {"x": 0, "y": 0, "width": 1120, "height": round(box["y"] + box["height"])}
        found.page.screenshot(path=PICTURE, full_page=True, clip=clip)  # type: ignore[arg-type]
        print(f"{PICTURE} {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
