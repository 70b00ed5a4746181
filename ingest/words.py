"""Matching what people type to slugs and codes: case, blanks, other names, and the nearest where nothing fits.

What belongs here: the matching. What does not: which names there are (reference tables, the warehouse).
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Mapping
from functools import cache

from ingest.errors import BadInput
from ingest.home import REFERENCE

_COUNTRIES = ("importer", "country", "partner")


def known_value(given: str, known: Mapping[str, str], what: str) -> str:
    """Match a user's word to a known slug or code, by slug, name or another name for it, whatever the case.

    Args:
        given: what the user typed.
        known: slug to display name.
        what: ``importer``, ``country``, ``material``, ``stage``, ``table`` or such, for the message and other names.

    Raises:
        BadInput: nothing matches; the message offers the nearest.
    """
    wanted = _plain(given)
    words = {_plain(alias): slug for alias, slug in _aliases(what) if slug in known}
    words |= {_plain(name): slug for slug, name in known.items()}
    words |= {_plain(slug): slug for slug in known}
    if wanted in words:
        return words[wanted]
    near = nearest(wanted, words)
    hint = ", ".join(
        dict.fromkeys(
            words[word] if known[words[word]] == words[word] else f"{words[word]} ({known[words[word]]})"
            for word in near
        )
    )
    raise BadInput(f"unknown {what} {given!r}." + (f" Nearest: {hint}." if hint else f" Known: {', '.join(known)}."))


def nearest(wanted: str, words: Iterable[str]) -> list[str]:
    """Return up to four words that look like ``wanted``, the nearest first."""
    known = list(words)
    return (
        difflib.get_close_matches(wanted, known, n=4, cutoff=0.5)
        or [word for word in known if wanted[:3] and wanted[:3] in word][:4]
    )


def unknown(given: str, words: Iterable[str], all_of: str) -> str:
    """Say the nearest words, or all when none is near: the end of a message about an unknown one.

    Args:
        given: what the user typed.
        words: what there is.
        all_of: what they are together, e.g. ``Known`` or ``Tables``.
    """
    known = list(words)
    near = nearest(given.strip().casefold(), known)
    return f"Nearest: {', '.join(near)}." if near else f"{all_of}: {', '.join(known) or 'none yet'}."


def _plain(word: str) -> str:
    return word.strip().casefold().replace("-", "_").replace(" ", "_")


@cache
def _aliases(what: str) -> tuple[tuple[str, str], ...]:
    """Return other names with what they stand for."""
    if what in _COUNTRIES:
        return (
            *((row["alias"], row["iso3"]) for row in _rows("country_aliases.csv")),
            *((row["iso2"], row["iso3"]) for row in _rows("countries.csv") if row["iso2"]),
        )
    return tuple((row["alias"], row["slug"]) for row in _rows("word_aliases.csv") if row["what"] == what)


def _rows(file: str) -> list[dict[str, str]]:
    with (REFERENCE / file).open(newline="") as lines:
        return list(csv.DictReader(lines))
