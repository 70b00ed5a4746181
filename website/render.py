"""Templates to files: the environment with its filters, and how a page is written.

What belongs here: Jinja, escaping, links, writing. What does not: what a page says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from website import words
from website.marts import Marts
from website.packing import table

HERE = Path(__file__).resolve().parent
# Line breaks of a template; a blank between two words of a line is meant.
_BETWEEN_TAGS = re.compile(r">\s*\n\s*<")
_CODE = re.compile(r"`([^`]+)`")


def as_json(value: Any) -> str:
    """Return short JSON in a fixed order, which is also JavaScript."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def embedded(value: Any) -> Markup:
    """Return JSON that can stand in a script element of a page whatever its strings hold."""
    return Markup(as_json(value).replace("<", "\\u003c"))  # noqa: S704


def code_marks(text: str | None) -> Markup:
    """Escape a description and show what stands in backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text or ""))))  # noqa: S704  # escaped before


def squeezed(html: str) -> str:
    """Drop line breaks between tags, which templates are full of."""
    return _BETWEEN_TAGS.sub("><", html).strip()


@dataclass
class Site:
    """A site being written.

    Attributes:
        marts: the release.
        folder: where it goes.
        release: what every page says of the release: version, date.
        default: the importer that pages show first.
        source: folder of the release.
        manifest: dbt's manifest, where it is at hand.
        nav: links of the head: file and title.
        beside: links of the foot to what is published beside the pages.
        parts: what the first page and the pages of countries both show, by importer.
    """

    marts: Marts
    folder: Path
    release: Mapping[str, Any]
    default: str
    source: Path
    manifest: Path | None = None
    nav: list[tuple[str, str]] = field(default_factory=list)
    beside: list[tuple[str, str]] = field(default_factory=list)
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare the templates."""
        self.env = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            auto_reload=False,
        )
        names = ("percent", "interval", "share_with_interval", "points", "number", "number_with_interval", "reliance",
                 "printed", "shade", "day", "listing", "in_words", "basis_mark", "slug")  # fmt: skip
        self.env.filters |= {name: getattr(words, name) for name in names}
        self.env.filters |= {"embedded": embedded, "code_marks": code_marks}
        self.env.globals |= {
            "MISSING": words.MISSING,
            "EVIDENCE": words.EVIDENCE,
            "EVIDENCE_MEANING": words.EVIDENCE_MEANING,
            "share_with_interval": words.share_with_interval,
            "number_with_interval": words.number_with_interval,
            "interval": words.interval,
            "number_range": words.number_range,
            "reliance": words.reliance,
            "printed": words.printed,
            "countries": self.marts.countries,
            "materials": self.marts.materials,
            "stages": self.marts.stages,
            "importers": self.marts.importers,
            "release": self.release,
            "site": self,
        }

    def fragment(self, template: str, **values: Any) -> str:
        """Render a part of a page."""
        return squeezed(self.env.get_template(template).render(**values))

    def page(self, path: str, template: str, **values: Any) -> None:
        """Render and write a page; ``up`` in templates leads back to the site's folder."""
        up = "../" * path.count("/")
        if "page" in values:
            charts = {name: table(chart) for name, chart in values["page"]["charts"].items()}
            values["page"] = {**values["page"], "charts": charts}
        self.write(path, self.fragment(template, up=up, here=path, **values))

    def script(self, path: str, key: str, value: Any) -> None:
        """Write data as a script that hands itself over, because pages on disk may not fetch files."""
        self.write(path, f"oretrace.receive({as_json(key)},{as_json(value)});\n")

    def write(self, path: str, text: str) -> None:
        """Write a file below the site's folder."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
