"""Errors meant for the person who meets them; no stack trace is ever shown for these.

What belongs here: exception types shared by every layer. What does not: handling of them (the
command line turns them into one line on stderr and an exit code).
"""

from __future__ import annotations


class OretraceError(Exception):
    """What went wrong, where, what was expected and what to do, in one message.

    Attributes:
        exit_code: process exit code the command line uses for it.
    """

    exit_code = 1


class BadInput(OretraceError):
    """The user's input cannot be used; exit code 2."""

    exit_code = 2


class Busy(BadInput):
    """Another process is at the same work; when it has ended, the same command does it."""


class UnmappedValue(OretraceError):
    """A publisher's value that no row of a reference file covers."""

    def __init__(self, what: str, values: list[str], file: str) -> None:
        """Name the values and the file under ``ingest/reference`` that needs a row for each."""
        self.what, self.values, self.file = what, values, file
        shown = "; ".join(repr(value) for value in values[:10])
        more = f" and {len(values) - 10} more" if len(values) > 10 else ""
        super().__init__(f"unmapped {what}: {shown}{more}. Add a row for each to ingest/reference/{file}.")


class SourceChanged(OretraceError):
    """A publisher's file no longer has the shape its reader was written for."""


class FetchFailed(OretraceError):
    """A publisher did not answer as it should; trying again later may help. Nothing was kept."""


class KeyRefused(OretraceError):
    """A publisher refused the key, or wants one; trying again does not help."""


class IncompletePull(OretraceError):
    """A pull does not add up to what the publisher says it holds; it is kept aside and never used."""


class NotOut(IncompletePull):
    """The publisher has not released that edition yet; nothing is wrong."""
